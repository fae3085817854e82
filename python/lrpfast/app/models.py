"""The command `models`: the networks that come with the package, as their files describe them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import onnx
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrpfast.app.demo import shipped
from lrpfast.app.outputs import make_folder
from lrpfast.app.report import say, write_json
from lrpfast.model import Model, load
from lrpfast.view.blocks import raster
from lrpfast.view.files import write_whole
from lrpfast.view.saving import write_picture


@dataclass(frozen=True)
class Embedded:
    """A network of the package: its file, and what that says of itself."""

    file: str
    content: bytes
    model: Model
    about: dict[str, str]

    def figures(self) -> dict[str, Any]:
        """What there is to know, for a program to read."""
        return {
            "file": self.file,
            "bytes": len(self.content),
            "input": {"name": self.model.input_name, "shape": self.model.input_shape},
            "output": {"name": self.model.output_name, "shape": self.model.output_shape},
            "layers": len(self.model.graph.nodes),
            **self.about,
        }


def run_models(export: Path | None, as_json: bool) -> None:
    """Print what is known of each network, and write them where that is asked for."""
    found = list(embedded())
    written = [] if export is None else exported(found, export)
    if as_json:
        write_json({"models": [each.figures() for each in found], "written": list(map(str, written))})
        return
    console = Console(highlight=False)
    for each in found:
        console.print(Text(each.file, style="bold"))
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="dim", no_wrap=True)
        for key, value in lines(each):
            table.add_row(key, Text(value))
        console.print(table)
    console.print()
    if export is None:
        say(console, "lrpfast models --export FOLDER writes it there, with digits to try it on.", "dim")
    else:
        say(console, f"Written to {export}: {len(written)} files.")


def embedded() -> Iterator[Embedded]:
    """The networks of the package."""
    for entry in sorted((files("lrpfast") / "data").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".onnx"):
            content = entry.read_bytes()
            proto = onnx.load_from_string(content)
            about = {item.key: item.value for item in proto.metadata_props}
            yield Embedded(entry.name, content, load(content), about)


def lines(embedded: Embedded) -> Iterator[tuple[str, str]]:
    """What there is to know, for a person to read."""
    model = embedded.model
    for name, end, shape in (
        ("input", model.input_name, model.input_shape),
        ("output", model.output_name, model.output_shape),
    ):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        yield name, f"{end} ({sizes})"
    yield "layers", str(len(model.graph.nodes))
    yield "size", f"{len(embedded.content) / 1000:.0f} kB"
    for key, value in embedded.about.items():
        yield key.replace("_", " "), value


def exported(networks: list[Embedded], folder: Path) -> list[Path]:
    """Write the networks into a folder, and the digits that come with them as pictures."""
    make_folder(folder)
    written = [write_network(folder / network.file, network.content) for network in networks]
    _, digits = shipped()
    pictures = enumerate(map(raster, digits), 1)
    return written + [write_picture(folder / f"digit_{number:02}.png", picture) for number, picture in pictures]


def write_network(path: Path, content: bytes) -> Path:
    """Write a network as it came."""
    return write_whole(path, lambda file: file.write(content))
