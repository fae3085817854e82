"""The command `demo`: explanations of handwritten digits, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from lrpfast.app.classes import probabilities
from lrpfast.app.report import say, seconds, write_json
from lrpfast.attribution import Attribution
from lrpfast.composites import Composite, EpsilonGammaBox, named
from lrpfast.lrp import LRP, BackendName
from lrpfast.model import Model, load
from lrpfast.view.blocks import Block, framed, stacked, table
from lrpfast.view.files import check_writable
from lrpfast.view.heatmap import Pixels, color_table
from lrpfast.view.maps import enlarged
from lrpfast.view.page import heading, page, panel
from lrpfast.view.pictures import picture_format
from lrpfast.view.saving import write_picture
from lrpfast.view.text import line

#: Places of the digits, in the file that is shipped, that all composites explain: a 3, a 4 and a 7.
COMPARED = (3, 5, 8)

#: Places of the digits that are explained for other classes too, and these classes, the right one first.
QUESTIONED = {9: (8, 3, 5, 6, 9), 4: (4, 9, 3, 7, 1)}

#: Width in pixels of an enlarged digit.
SIDE = 196


def run_demo(out: Path, colors: str, backend: BackendName, as_json: bool = False) -> None:
    """Explain digits that come with the package, and write one picture."""
    picture_format(out)
    check_writable(out)
    color_table(colors)
    start = perf_counter()
    model, digits = shipped()
    lrps = [LRP(model, composite, backend=backend) for composite in composites()]
    prepared = perf_counter()
    compared = [lrp.attribute(scaled(digits[list(COMPARED)])) for lrp in lrps]
    questioned = lrps[0].attribute(scaled(digits[list(QUESTIONED)]), np.array(list(QUESTIONED.values())))
    explained = perf_counter()
    blocks = [comparison(digits[list(COMPARED)], lrps, compared, colors)]
    blocks.append(questions(digits[list(QUESTIONED)], questioned, colors))
    written = write_picture(out, page(blocks, colors, gap=40))
    if as_json:
        answers = [*figures(COMPARED, lrps, compared), *figures(list(QUESTIONED), lrps[:1], [questioned])]
        times = {"prepare": prepared - start, "explain": explained - prepared}
        write_json({"model": "digits.onnx", "written": str(written), "seconds": times, "explanations": answers})
        return
    count = len(lrps) * len(COMPARED) + questioned.target.size
    console = Console(highlight=False)
    took = f"{seconds(explained - prepared)}, after {seconds(prepared - start)} to prepare"
    say(console, f"{count} explanations in {took}.")
    say(console, f"Written to {written}")


def figures(places: Sequence[int], lrps: Sequence[LRP], attributions: Sequence[Attribution]) -> list[dict[str, Any]]:
    """Every explanation of the digits at some places, for a program to read."""
    answers = []
    for lrp, attribution in zip(lrps, attributions, strict=True):
        targets = attribution.target.reshape(len(places), -1)
        sums = attribution.relevance.reshape(*targets.shape, -1).sum(axis=-1, dtype=np.float64)
        for sample, place in enumerate(places):
            scores = attribution.output[sample]
            answers += [
                {
                    "digit": place,
                    "read_as": int(scores.argmax()),
                    "composite": lrp.composite.name,
                    "target": int(target),
                    "score": float(scores[target]),
                    "relevance": float(total),
                }
                for target, total in zip(targets[sample], sums[sample], strict=True)
            ]
    return answers


def shipped() -> tuple[Model, npt.NDArray[np.uint8]]:
    """The classifier and the digits that come with the package."""
    data = files("lrpfast") / "data"
    with np.load(BytesIO((data / "digits.npz").read_bytes())) as arrays:
        images: npt.NDArray[np.uint8] = arrays["images"]
    return load((data / "digits.onnx").read_bytes()), images


def scaled(digits: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the classifier takes: a channel axis, and values from 0 to 1."""
    return digits[:, None].astype(np.float32) / np.float32(255)


def composites() -> list[Composite]:
    """What the digits are explained by, one a column."""
    names = ("epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1_flat")
    return [*map(named, names), EpsilonGammaBox(low=0.0, high=1.0), named("gradient_x_input")]


def comparison(digits: Pixels, lrps: Sequence[LRP], attributions: Sequence[Attribution], colors: str) -> Block:
    """The digits below each other, each beside its heatmaps, one a composite."""
    names = ["input", *(lrp.composite.name for lrp in lrps)]
    rows = [[line(name, 13, width=SIDE) for name in names]]
    for sample, digit in enumerate(digits):
        scores = attributions[0].output[sample]
        best = int(scores.argmax())
        percent = f"{100 * probabilities(scores, lrps[0].model.dropped_head)[0][best]:.1f} %"
        heats = [attribution.heatmap(sample, colors=colors) for attribution in attributions]
        panels = [framed(enlarged(heat, SIDE)) for heat in heats]
        rows.append([panel(enlarged(digit, SIDE), f"read as {best}, {percent}", 13), *panels])
    return titled(
        "Why a 3, why a 4, why a 7?",
        "Each column is a set of rules; it shows what speaks for the digit that was read, and what against.",
        table(rows),
    )


def questions(digits: Pixels, attribution: Attribution, colors: str) -> Block:
    """The digits below each other, each beside what speaks for and against several classes."""
    rows = []
    for sample, digit in enumerate(digits):
        row = [panel(enlarged(digit, SIDE), "input", 13)]
        for place, target in enumerate(attribution.target[sample]):
            heat = enlarged(attribution.heatmap(sample, place, colors=colors), SIDE)
            score = f"{attribution.output[sample, target]:.1f}"
            row.append(panel(heat, f"is it {target}? score {score}", 13))
        rows.append(row)
    return titled(
        "Why an 8 and not a 3, why a 4 and not a 9?",
        "One forward pass serves all five questions about a digit. Every map has its own scale.",
        table(rows),
    )


def titled(title: str, subtitle: str, body: Block) -> Block:
    """A picture below its heading."""
    return stacked([heading(title, subtitle, body.width), body])
