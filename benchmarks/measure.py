"""One model measured: times in turns, agreement of the results, memory, and the first explanation of a new process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from .libraries import FORWARD, GRADIENT, METHODS
from .process import Interpreters, Worker
from .turns import CompetitorError, take_turns

Row = dict[str, Any]

#: whose forward pass is the yardstick
YARDSTICK = ("onnxruntime", FORWARD)

#: processes started for the median of the first explanation
STARTS = 3

#: the explanation whose memory and whose start are looked at
USUAL = {"onnxruntime": FORWARD, "torch": FORWARD, "captum": "epsilon_plus", "innvestigate": "preset_a_flat"}

#: what of lrpfast a result is compared with, where the names differ
SAME_AS = {GRADIENT: "gradient"}


def times(
    folder: Path, libraries: Sequence[str], pythons: Interpreters, threads: int, batch: int, seconds: float
) -> list[Row]:
    """Times of all methods of all libraries, and how far their results are from lrpfast's."""
    with ExitStack() as running:
        workers = {
            library: running.enter_context(Worker(str(pythons.of(library)), library, folder, threads, batch))
            for library in libraries
        }
        for worker in workers.values():
            worker.ask("memory")  # it has started, and disturbs nobody from now on
        calls = {
            (library, method): partial(_seconds, worker, method)
            for library, worker in workers.items()
            for method in METHODS[library]
        }
        found = take_turns(calls, seconds)
        rows = []
        for (library, method), taken in found.items():
            row: Row = {"library": library, "method": method, "threads": threads, "batch": batch, **taken.figures()}
            if taken.rounds and YARDSTICK in found:
                row["ratio"] = taken.ratio_to(found[YARDSTICK])
            if taken.rounds and "lrpfast" in workers and library not in ("lrpfast", "onnxruntime"):
                row["agreement"] = agreement(workers[library], workers["lrpfast"], method, folder)
            rows.append(row)
    return rows


def _seconds(worker: Worker, method: str) -> float:
    return float(worker.ask("time", method=method)["seconds"])


def agreement(worker: Worker, ours: Worker, method: str, folder: Path) -> Row:
    """Largest difference of a result from lrpfast's, and that which 999 of 1,000 values keep, by lrpfast's maximum."""
    paths = folder / "theirs.npy", folder / "ours.npy"
    try:
        worker.ask("result", method=method, to=str(paths[0]))
        ours.ask("result", method=SAME_AS.get(method, method), to=str(paths[1]))
    except CompetitorError as error:
        return {"failure": str(error)}
    theirs, own = (np.load(path).astype(np.float64) for path in paths)
    if theirs.shape != own.shape:
        return {"failure": f"shapes {theirs.shape} and {own.shape}"}
    apart = np.abs(theirs - own) / max(float(np.abs(own).max()), np.finfo(np.float64).tiny)
    return {"largest": float(apart.max()), "most": float(np.quantile(apart, 0.999))}


def start_and_memory(folder: Path, libraries: Sequence[str], pythons: Interpreters, threads: int) -> list[Row]:
    """Seconds to the first result of a new process, and peak memory for growing batches, the allocator as it is."""
    rows = []
    for library in libraries:
        method = USUAL.get(library, "epsilon_plus_flat")
        row: Row = {"library": library, "method": method, "threads": threads, "memory": {}}
        rows.append(row)
        python = str(pythons.of(library))
        try:
            row["start"] = median(first_result(python, library, folder, threads, 1, method)[0] for _ in range(STARTS))
            for batch in (1, 8, 64) if library == "lrpfast" else (1, 8):
                row["memory"][str(batch)] = first_result(python, library, folder, threads, batch, method, calls=2)[1]
        except CompetitorError as error:
            row["failure"] = str(error)
    return rows


def first_result(
    python: str, library: str, folder: Path, threads: int, batch: int, method: str, calls: int = 0
) -> tuple[float, int | None]:
    """Seconds from the start of a process to its first result, and its peak memory after some further calls."""
    with Worker(python, library, folder, threads, batch, keep_memory=False) as worker:
        worker.ask("first", method=method)
        took = perf_counter() - worker.began
        for _ in range(calls):
            worker.ask("time", method=method)
        return took, worker.ask("memory")["bytes"]
