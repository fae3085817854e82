"""A competitor's process: waits for a line, does what it says, and answers with a line.

    python -m benchmarks.worker LIBRARY FOLDER THREADS BATCH

Lines are JSON. {"do": "time", "method": M} answers with the seconds of one call; the first one of a method prepares it
and is followed by a call that is not timed. {"do": "first", "method": M} prepares and calls once, {"do": "result",
"method": M, "to": FILE} leaves what a call returns, {"do": "memory"} tells the peak of resident memory. Between lines
the process sleeps.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

#: seconds until the idle threads of the one before sleep; until then they may take a core
PAUSE = 0.1

#: seconds of calls that are not timed, until this process' threads are awake, and how many there are at least, until
#: the caches hold what they hold in steady work; slower calls need none
WARM_UP, CALLS, SLOW = 0.02, 3, 0.2


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    library, folder, threads, batch = sys.argv[1:]
    from .libraries import method
    from .task import Task

    task = Task.load(Path(folder), int(threads))
    desk = Desk(lambda name: method(library, name, task, int(batch)))
    for line in sys.stdin:
        try:
            answer = desk.answer(json.loads(line))
        except Exception as error:  # whatever a library raises; the others go on
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Desk:
    """Answers requests with the methods of a library, made on first demand."""

    def __init__(self, make: Callable[[str], Callable[[], Any]]) -> None:
        self.make = make
        self.methods: dict[str, Callable[[], Any]] = {}
        self.took: dict[str, float] = {}

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        kind, name = request["do"], request.get("method", "")
        if kind == "memory":
            return {"bytes": peak_memory()}
        if kind == "result":
            import numpy as np

            np.save(request["to"], (self.methods.get(name) or self.make(name))())  # made anew, it is not kept
            return {}
        if name not in self.methods:
            call = self.make(name)
            self.took[name] = timed(call)
            self.methods[name] = call
            if kind == "first":
                return {}
            self.took[name] = timed(call)
        call = self.methods[name]
        sleep(PAUSE)
        begin, calls = perf_counter(), 0
        while self.took[name] < SLOW and (calls < CALLS or perf_counter() < begin + WARM_UP):
            call()
            calls += 1
        self.took[name] = timed(call)
        return {"seconds": self.took[name]}


def timed(call: Callable[[], Any]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def peak_memory() -> int | None:
    """Largest resident memory of this process, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)


if __name__ == "__main__":
    main()
