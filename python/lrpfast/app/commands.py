"""The commands and their options; each command's work is in a module of its own, imported when it runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from lrpfast.app.images import PREPROCESSINGS, Preprocessing
from lrpfast.errors import LRPError
from lrpfast.view.extras import optional

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Tell which inputs made a neural network say what it said.",
)


class Backend(str, Enum):
    """Names of the backends."""

    native = "native"
    reference = "reference"


class Resize(str, Enum):
    """Ways to give a picture the model's shape."""

    crop = "crop"
    squash = "squash"


Preprocess = Enum("Preprocess", {name: name for name in PREPROCESSINGS}, type=str)  # type: ignore[misc]

CompositeName = Annotated[str, typer.Option("--composite", "-c", help="Preset of rules.")]
PreprocessName = Annotated[
    Preprocess | None,
    typer.Option("--preprocess", "-p", help="What the model was trained with, for a picture.", show_default="0-1"),
]
Mean = Annotated[str | None, typer.Option(metavar="M[,M,M]", help="Subtract this from the scaled pixels.")]
Std = Annotated[str | None, typer.Option(metavar="S[,S,S]", help="Then divide by this.")]
Bgr = Annotated[bool | None, typer.Option("--bgr/--rgb", help="Order of the model's channels.", show_default=False)]
Size = Annotated[int | None, typer.Option(min=1, help="Pixels a side, for a model that takes any.", show_default="224")]
Colors = Annotated[str, typer.Option(help="seismic, bwr, coldnhot, blueorange, or another colour map of matplotlib.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to use.", show_default="all cores")]


def numbers(option: str, text: str | None, above: float = -math.inf) -> tuple[float, ...] | None:
    """One or three numbers from the text of an option, such as "0.5" or "104,117,123"; None stays None."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(above < value < math.inf for value in values):
        bound = f" above {above:g}" if above > -math.inf else ""
        raise typer.BadParameter(f"{option} '{text}': give one number{bound}, or three with commas between them.")
    return values


def scaling(
    preprocess: Preprocess | None, mean: str | None = None, std: str | None = None, bgr: bool | None = None
) -> Preprocessing:
    """What the options of that name ask for together."""
    chosen = PREPROCESSINGS[preprocess.value if preprocess else "0-1"]
    return chosen.adjusted(numbers("--mean", mean), numbers("--std", std, above=0), bgr)


@contextmanager
def failures(debug: bool) -> Iterator[None]:
    """Turn an error of the package into a paragraph and exit code 1, an interrupt into exit code 130."""
    try:
        with optional("This command"):
            yield
    except LRPError as error:
        if debug:
            raise
        typer.echo(f"lrpfast: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from lrpfast import __version__

        typer.echo(f"lrpfast {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and stop."),
    ] = False,
) -> None:
    """Options of the command as a whole."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the picture goes.")] = Path("lrpfast_demo.png"),
    colors: Colors = "seismic",
    backend: Annotated[Backend, typer.Option(help="What computes.")] = Backend.native,
    debug: Debug = False,
) -> None:
    """Explain handwritten digits that come with the package, in one picture."""
    with failures(debug):
        from lrpfast.app.demo import run_demo

        run_demo(out, colors, backend.value)


@app.command()
def explain(
    model: Annotated[Path, typer.Argument(help="ONNX file of a classifier of pictures.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures to explain.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Picture to write, or the folder for it.",
            show_default="here, IMAGE_COMPOSITE.png",
        ),
    ] = None,
    composite: CompositeName = "epsilon_plus_flat",
    epsilon: Annotated[float | None, typer.Option(min=0, help="The preset's epsilon.")] = None,
    gamma: Annotated[float | None, typer.Option(min=0, help="The preset's gamma.")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            help="Class to explain: index, or name from --labels.",
            show_default="the highest score",
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Text file with the name of each class on a line.")] = None,
    preprocess: PreprocessName = None,
    mean: Mean = None,
    std: Std = None,
    bgr: Bgr = None,
    resize: Annotated[Resize, typer.Option(help="Cut the picture to the model's shape, or squash it.")] = Resize.crop,
    size: Size = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also show the relevance over the picture.")] = False,
    colors: Colors = "seismic",
    top: Annotated[int, typer.Option(min=1, help="Predictions to list.")] = 5,
    threads: Threads = None,
    backend: Annotated[Backend, typer.Option(help="What computes.")] = Backend.native,
    debug: Debug = False,
) -> None:
    """Show what in a picture speaks for, and what against, a model's prediction.

    Writes a picture per IMAGE: the input beside its relevance. Pixels must be
    scaled as in the model's training: see --preprocess.
    """
    with failures(debug):
        from lrpfast.app.explain import Request, run_explain

        assumed = preprocess is None and mean is None and std is None
        parameters = {"epsilon": epsilon, "gamma": gamma}
        request = Request(
            model=model,
            images=images,
            out=out,
            composite=composite,
            parameters={name: value for name, value in parameters.items() if value is not None},
            target=target,
            labels=labels,
            preprocessing=scaling(preprocess, mean, std, bgr),
            assumed=assumed,
            resize=resize.value,
            size=size,
            overlay=overlay,
            colors=colors,
            top=top,
            threads=threads,
            backend=backend.value,
        )
        run_explain(request)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="ONNX file.")],
    image: Annotated[Path | None, typer.Argument(help="Picture to measure on.", show_default="random numbers")] = None,
    composite: CompositeName = "epsilon_plus_flat",
    preprocess: PreprocessName = None,
    mean: Mean = None,
    std: Std = None,
    bgr: Bgr = None,
    size: Size = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with shares of the score.")] = False,
    debug: Debug = False,
) -> None:
    """Tell whether LRP is applicable to a model, layer by layer, and measure it.

    Exit code 1 says that it is not.
    """
    with failures(debug):
        from lrpfast.app.check import Request, run_check

        if not run_check(Request(model, image, composite, scaling(preprocess, mean, std, bgr), size, as_json)):
            raise typer.Exit(1)


@app.command()
def bench(
    model: Annotated[Path, typer.Argument(help="ONNX file.")],
    composite: CompositeName = "epsilon_plus_flat",
    threads: Threads = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples a call.")] = 1,
    layers: Annotated[bool, typer.Option("--layers", help="Also show the time of each layer.")] = False,
    image: Annotated[Path | None, typer.Option(help="Picture to explain.", show_default="random numbers")] = None,
    preprocess: PreprocessName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, in seconds and bytes.")] = False,
    debug: Debug = False,
) -> None:
    """Measure what an explanation costs: time, memory, and share of each layer.

    Where onnxruntime is installed, its forward pass takes turns with lrpfast's.
    """
    with failures(debug):
        from lrpfast.app.bench import Request, run_bench

        run_bench(Request(model, composite, image, scaling(preprocess), batch, threads, layers, as_json))
