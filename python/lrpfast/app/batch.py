"""The command `batch`: a dataset explained into a store, with a bar that shows how far it is."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from lrpfast.app.classes import Classes
from lrpfast.app.doubts import ASSUMED
from lrpfast.app.explainer import against_of
from lrpfast.app.images import Preprocessing, Resize
from lrpfast.app.labels import match_labels, read_labels
from lrpfast.app.report import Pace, advise, say, seconds, write_json
from lrpfast.app.samples import require_preset
from lrpfast.dataset import Job, Options, Progress, make_job, run_job
from lrpfast.dataset.job import Precision
from lrpfast.lrp import BackendName
from lrpfast.model import Model, load

#: Inputs that are listed of those that could not be read.
LISTED = 10


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its arguments and options."""

    model: Path
    inputs: list[str]
    out: Path
    composite: str
    parameters: dict[str, float]
    target: str | None
    against: str | None
    labels: Path | None
    preprocessing: Preprocessing
    assumed: bool
    """Nobody said how pixels are scaled."""
    resize: Resize
    size: int | None
    column: str | None
    precision: Precision
    pooled: bool
    chunk: int | None
    threads: int | None
    backend: BackendName
    scheduler: str | None
    json: bool


def run_batch(request: Request) -> bool:
    """Explain what is not explained yet, and say what became of it; whether all inputs could be read."""
    require_preset(request.composite)
    names = read_labels(request.labels) if request.labels else ()
    model = load(request.model)
    classes = _classes(request.labels, names, model)
    options = Options(
        composite=request.composite,
        parameters=request.parameters,
        target=None if request.target is None else classes.find(request.target),
        against=None if request.against is None else against_of(request.against, classes),
        preprocess=request.preprocessing,
        resize=request.resize,
        size=request.size,
        column=request.column,
        precision=request.precision,
        pooled=request.pooled,
        chunk=request.chunk,
        backend=request.backend,
        threads=request.threads,
    )
    job, notes = make_job(model, request.inputs, request.out, options)
    if request.assumed and job.source.has_pictures:
        notes.append(ASSUMED)
    start = perf_counter()
    with _bar(job) as show:
        try:
            done = run_job(job, show, request.scheduler)
        except KeyboardInterrupt:
            sys.stderr.write(f"Interrupted. The same command goes on where it stopped: {request.out}\n")
            raise
    took = perf_counter() - start
    if request.json:
        write_json(_figures(request, job, done, notes, took))
    else:
        _print_summary(request, job, done, notes, took)
    return done.unexplained == 0


def _classes(labels: Path | None, names: tuple[str, ...], model: Model) -> Classes:
    """The classes of the model, as far as its file tells how many there are."""
    sizes = [size for size in model.output_shape[1:] if size is not None]
    count = math.prod(sizes)
    return match_labels(labels, names, count) if labels else Classes(count)


@contextmanager
def _bar(job: Job) -> Iterator[Callable[[Progress], object]]:
    """What shows, on a terminal, how far a job is, how fast it goes, and how long it will take."""
    console = Console(file=sys.stderr)
    shows = console.is_terminal and not console.is_dumb_terminal
    columns = (TextColumn("Explaining"), BarColumn(), MofNCompleteColumn(), Pace())
    with Bar(*columns, console=console, transient=True, disable=not shows) as bar:
        task = bar.add_task("", total=None)
        yield lambda state: bar.update(task, total=state.images - state.earlier, completed=state.done - state.earlier)


def _print_summary(request: Request, job: Job, done: Progress, notes: list[str], took: float) -> None:
    console = Console(highlight=False)
    now = done.done - done.earlier
    pace = f", {now / took:.1f} a second" if now else ""
    earlier = f"{done.earlier:,} were done by an earlier call, " if done.earlier else ""
    say(console, f"{done.explained:,} of {done.images:,} inputs are explained in {request.out}.")
    say(console, f"{earlier}{now:,} now in {seconds(took)}{pace}.")
    for note in notes:
        advise(console, note)
    if done.unexplained:
        advise(console, f"{done.unexplained:,} could not be explained; the array errors of the store says why:")
        for _, error in islice(job.store.problems(), LISTED):
            advise(console, f"  {error}")
        if done.unexplained > LISTED:
            advise(console, f"  and {done.unexplained - LISTED:,} more")


def _figures(request: Request, job: Job, done: Progress, notes: list[str], took: float) -> dict[str, Any]:
    """What became of the inputs, for a program to read."""
    listed = islice(job.store.problems(), LISTED) if done.unexplained else ()
    return {
        "store": str(request.out),
        "inputs": done.images,
        "explained": done.explained,
        "unexplained": done.unexplained,
        "earlier": done.earlier,
        "seconds": took,
        "errors": [{"input": name, "error": error} for name, error in listed],
        "notes": notes,
    }
