"""What the commands print."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Item = TypeVar("Item")

#: Seconds of work after which a progress bar appears.
PATIENCE = 1.0


@dataclass(frozen=True)
class Prediction:
    """One class of one picture."""

    index: int
    name: str
    score: float
    probability: float

    @property
    def percent(self) -> str:
        """The probability in per cent."""
        return f"{100 * self.probability:.1f} %"


@dataclass(frozen=True)
class Finding:
    """What was found for one picture; `top` are the predictions to list, the most probable first."""

    image: Path
    written: Path
    explained: Prediction
    top: tuple[Prediction, ...]
    relevance: float
    seconds: float


def print_finding(console: Console, finding: Finding, sums_to_score: bool) -> None:
    """The predictions for one picture, and how much of the explained score its relevance adds up to."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("", width=1)
    for heading in ("class", "label", "score", "probability"):
        table.add_column(heading, justify="left" if heading == "label" else "right")
    for prediction in dict.fromkeys((*finding.top, finding.explained)):
        chosen = prediction == finding.explained
        cells = (str(prediction.index), Text(prediction.name), f"{prediction.score:.3f}", prediction.percent)
        table.add_row(">" if chosen else "", *cells, style="bold" if chosen else None)
    console.print(table)
    console.print()
    name, score = finding.explained.name, finding.explained.score
    share = f" ({100 * finding.relevance / score:.1f} %)" if sums_to_score and score else ""
    say(console, f"Relevance for {name}: {finding.relevance:.3f} in sum, of a score of {score:.3f}{share}.")
    say(console, f"Written to {finding.written}")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """A line for each of several pictures."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("image", "explained", "score", "probability", "relevance"):
        table.add_column(heading, justify="left" if heading in ("image", "explained") else "right")
    for finding in findings:
        explained = finding.explained
        numbers = (f"{explained.score:.3f}", explained.percent, f"{finding.relevance:.3f}")
        table.add_row(Text(finding.image.name), Text(explained.name), *numbers)
    console.print(table)
    console.print()
    say(console, f"{len(findings)} pictures written to {findings[0].written.parent.resolve()}")


def say(console: Console, words: str, style: str = "") -> None:
    """A line of plain words; nothing in them is markup, and long paths are not broken."""
    console.print(Text(words, style=style), soft_wrap=True)


def seconds(duration: float) -> str:
    """A duration for reading: "230 ms", "4.1 s"."""
    return f"{1000 * duration:.0f} ms" if duration < 1 else f"{duration:.1f} s"


def with_progress(items: Sequence[Item]) -> Iterator[Item]:
    """The items one by one, with a progress bar on a terminal once they have taken more than a second."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("Explaining"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=len(items))
    start, shown = perf_counter(), False
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not shown and perf_counter() - start > PATIENCE:
                bar.start()
                shown = True
    finally:
        if shown:
            bar.stop()
