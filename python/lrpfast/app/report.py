"""What `explain` prints: tables for a person, figures for a program; and what all commands print with."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
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
class Account:
    """What became of the relevance under one composite; `share` and `absorbed` are None where it is a gradient."""

    composite: str
    relevance: float
    """Its sum at the picture."""
    share: float | None
    """The part of what was explained that arrived at the picture."""
    absorbed: dict[str, float] | None
    """What the layers absorbed, by cause."""
    seconds: float

    @property
    def percent(self) -> str:
        """The share in per cent."""
        return "" if self.share is None else f"{100 * self.share:.1f} %"


@dataclass(frozen=True)
class Finding:
    """What was found for one picture; `top` are the predictions to list, the most probable first.

    `rival` says in words what the class was told apart from, and `score` is what is explained: the score of the class,
    or what it has more than that.
    """

    image: Path
    written: Path
    explained: Prediction
    rival: str
    score: float
    top: tuple[Prediction, ...]
    accounts: tuple[Account, ...]

    @property
    def seconds(self) -> float:
        """Time of all explanations of the picture."""
        return sum(account.seconds for account in self.accounts)

    def figures(self) -> dict[str, Any]:
        """All of it, for a program to read."""
        return {
            "image": str(self.image),
            "written": str(self.written),
            "predictions": [vars(prediction) for prediction in self.top],
            "target": vars(self.explained),
            "against": self.rival or None,
            "explained_score": self.score,
            "explanations": [vars(account) for account in self.accounts],
        }


def print_finding(console: Console, finding: Finding) -> None:
    """The predictions for one picture, and how much of the explained score its relevance adds up to."""
    table = plain_table(("class", "label", "score", "probability"), left=("label",), wrapped=("label",), mark=True)
    for prediction in dict.fromkeys((*finding.top, finding.explained)):
        chosen = prediction == finding.explained
        cells = (str(prediction.index), Text(prediction.name), f"{prediction.score:.3f}", prediction.percent)
        table.add_row(">" if chosen else "", *cells, style="bold" if chosen else None)
    console.print(table)
    console.print()
    question = f"Relevance for {finding.explained.name}" + (f" against {finding.rival}" if finding.rival else "")
    of = f"of a {'difference' if finding.rival else 'score'} of {finding.score:.3f}"
    if len(finding.accounts) == 1:
        account = finding.accounts[0]
        share = f" ({account.percent})" if account.percent else ""
        say(console, f"{question}: {account.relevance:.3f} in sum, {of}{share}.")
    else:
        say(console, f"{question}, {of}:\n")
        table = plain_table(("preset", "sum", "share", "time"), left=("preset",))
        for account in finding.accounts:
            table.add_row(account.composite, f"{account.relevance:.3f}", account.percent, seconds(account.seconds))
        console.print(table)
        console.print()
    say(console, f"Written to {finding.written}")


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """A line for each of several pictures; where there are several composites, one for each of them below."""
    table = plain_table(
        ("image", "explained", "score", "probability", "relevance"),
        left=("image", "explained"),
        wrapped=("image", "explained"),
    )
    for finding in findings:
        explained, (first, *others) = finding.explained, finding.accounts
        cells = (finding.image.name, explained.name, f"{explained.score:.3f}", explained.percent)
        table.add_row(*map(Text, cells), "" if others else f"{first.relevance:.3f}")
        for account in finding.accounts if others else ():
            table.add_row(f"  {account.composite}", "", "", "", f"{account.relevance:.3f}")
    console.print(table)
    console.print()
    say(console, f"{len(findings)} pictures written to {findings[0].written.parent.resolve()}")


def plain_table(
    headings: Sequence[str], left: Sequence[str] = (), wrapped: Sequence[str] = (), mark: bool = False
) -> Table:
    """A table without lines, numbers to the right; columns of words may be `left` and `wrapped`.

    `mark` puts a narrow column without a heading first.
    """
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    if mark:
        table.add_column("", width=1)
    for heading in headings:
        side: Literal["left", "right"] = "left" if heading in left else "right"
        table.add_column(heading, justify=side, overflow="fold", no_wrap=heading not in wrapped)
    return table


def say(console: Console, words: str, style: str = "") -> None:
    """A line of plain words; nothing in them is markup, and long paths are not broken."""
    console.print(Text(words, style=style), soft_wrap=True)


def advise(console: Console, words: str) -> None:
    """Words that stand out, and are broken between words on a terminal."""
    console.print(Text(words, style="yellow"), soft_wrap=not console.is_terminal)


def write_json(found: Any) -> None:
    """Print figures for a program to read."""
    sys.stdout.write(f"{json.dumps(found, indent=2)}\n")


def seconds(duration: float) -> str:
    """A duration for reading: "230 ms", "4.1 s"."""
    return f"{1000 * duration:.0f} ms" if duration < 1 else f"{duration:.1f} s"


def clock(left: int) -> str:
    """A number of seconds as on a clock: "0:05", "26:10:00"."""
    minutes = f"{left // 60 % 60:02}:{left % 60:02}"
    return f"{left // 3600}:{minutes}" if left >= 3600 else minutes.removeprefix("0")


class Pace(ProgressColumn):
    """How fast it goes, on average, and for how long: "12.3 a second, 0:05 left"."""

    def render(self, task: Task) -> Text:
        """What the bar shows of a task."""
        if not task.completed or not task.elapsed or task.total is None:
            return Text()
        speed = task.completed / task.elapsed
        left = round((task.total - task.completed) / speed)
        pace = f"{speed:.1f} a second" if speed >= 1 else f"{seconds(1 / speed)} each"
        return Text(f"{pace}, {clock(left)} left")


def with_progress(items: Sequence[Item]) -> Iterator[Item]:
    """The items one by one; for several, on a terminal, with a progress bar once they have taken a second."""
    console = Console(file=sys.stderr)
    shows = len(items) > 1 and console.is_terminal and not console.is_dumb_terminal
    columns = (TextColumn("Explaining"), BarColumn(), MofNCompleteColumn(), Pace())
    bar = Progress(*columns, console=console, transient=True, disable=not shows)
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
