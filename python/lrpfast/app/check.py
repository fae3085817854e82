"""The command `check`: whether LRP is applicable to a model, layer by layer and measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrpfast.app.images import Preprocessing
from lrpfast.app.samples import composite_with, noise, pixels, require_preset
from lrpfast.check import RANDOM, Report, check
from lrpfast.errors import UnsupportedError
from lrpfast.model import load
from lrpfast.view.pictures import read_picture

#: Columns to leave out where the terminal is narrow, in this order.
EXPENDABLE = ("operator", "kind")

#: Blanks between columns.
GAP = 2

#: How verdicts stand out.
STYLES = {"heuristic": "yellow"}


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its arguments and options."""

    model: Path
    image: Path | None
    composite: str
    preprocessing: Preprocessing
    size: int | None
    json: bool


def run_check(request: Request) -> bool:
    """Print what was found; whether LRP is applicable."""
    report = report_on(request)
    console = Console(highlight=False)
    if request.json:
        sys.stdout.write(f"{report.to_json()}\n")
    elif console.is_terminal:
        print_report(console, report)
    else:
        sys.stdout.write(f"{report}\n")
    return report.applicable


def report_on(request: Request) -> Report:
    """Load the model, and check it on the picture, or on random numbers where there is none."""
    require_preset(request.composite)
    picture = None if request.image is None else read_picture(request.image)
    try:
        model = load(request.model)
    except UnsupportedError as error:
        return Report.refused(request.model.stem, request.composite, error)
    if picture is None:
        x, low, high = noise(model, request.size)
    else:
        x, low, high = pixels(model, picture, request.preprocessing, request.size)
    report = check(model, x[np.newaxis], composite_with(request.composite, low, high))
    return replace(report, inputs=request.image.name if request.image else RANDOM)


def print_report(console: Console, report: Report) -> None:
    """The report for a terminal."""
    console.print(Text(f"{report.title}\n"))
    if report.applicable:
        console.print(layer_table(console, report))
    for note in report.notes:
        console.print(Text(f"\n{note}", style="yellow" if note.startswith("Warning") else ""))
    console.print(Text(f"\n{report.verdict}", style="bold"))


def layer_table(console: Console, report: Report) -> Table:
    """A line for each layer, with as many columns as fit; long names take several lines if that is not enough."""
    columns = list(zip(*report.cells(), strict=True))
    for expendable in EXPENDABLE:
        if sum(max(map(len, column)) + GAP for column in columns) - GAP > console.width:
            columns = [column for column in columns if column[0] != expendable]
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for heading, *_ in columns:
        table.add_column(heading, overflow="fold", no_wrap=heading != "layer")
    for layer, row in zip(report.layers, list(zip(*columns, strict=True))[1:], strict=True):
        table.add_row(*map(Text, row), style=STYLES.get(layer.verdict))
    return table
