"""Runs cases one after the other in a process of its own, and finds what crashes it, hangs it, or takes its memory."""

from __future__ import annotations

import faulthandler
import multiprocessing
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ctypes import c_int64
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

#: says in a word or two what came of the case of a seed, and raises what is a finding
Case: TypeAlias = Callable[[int], str]

SECONDS = 20  # a case may take
BYTES = 2**30  # a case may take beyond what the process had before


class HangError(BaseException):
    """A case that takes too long; not an `Exception`, which the code under test may catch."""


def watch(case: Case, seed: int, cases: int, seconds: float | None = None) -> bool:
    """Run the cases of consecutive seeds and print what came of them; whether nothing was found.

    A process that dies, or that a hang in compiled code holds, is replaced by another, from the next seed on.
    """
    context = multiprocessing.get_context("spawn")
    deadline = None if seconds is None else time.monotonic() + seconds
    outcomes: Counter[str] = Counter()
    findings, peak, following = 0, 0, seed
    while following < seed + cases and (deadline is None or time.monotonic() < deadline):
        current = context.Value(c_int64, following, lock=False)
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(case, seed + cases, current, there, deadline))
        process.start()
        there.close()
        try:
            while True:
                kind, what = here.recv()
                if kind == "finding":
                    findings += 1
                    print(what, flush=True)
                else:
                    counted, peak = what
                    outcomes.update(counted)
        except EOFError:
            process.join()
        following = current.value
        if process.exitcode:
            findings += 1
            print(f"seed {following}: the process ended with {process.exitcode}", flush=True)
            following += 1
        elif deadline is not None and time.monotonic() >= deadline:
            break
    done = following - seed
    listing = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{done:,} cases from seed {seed}: {findings} findings; {listing}; at most {peak / 2**20:,.0f} MiB resident")
    return findings == 0


def _work(case: Case, end: int, current: Any, results: Connection, deadline: float | None) -> None:
    """Run cases until the end; an outcome that is an error goes to the other side at once, counts now and then."""
    warnings.simplefilter("ignore")
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _interrupt)
    outcomes: Counter[str] = Counter()
    with suppress(Exception):
        case(current.value)  # loads what is loaded once, before memory is limited
    limited = _limit_memory()
    while current.value < end and (deadline is None or time.monotonic() < deadline):
        seed = current.value
        faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
        signal.alarm(SECONDS)
        before = _resident()
        try:
            outcomes[case(seed)] += 1
        except (Exception, HangError):
            signal.alarm(0)
            results.send(("finding", f"seed {seed}: {traceback.format_exc().strip()}"))
        signal.alarm(0)
        taken = _resident() - before
        if limited and taken > BYTES:
            results.send(("finding", f"seed {seed}: took {taken / 2**20:,.0f} MiB"))
        current.value = seed + 1
        if sum(outcomes.values()) >= 1000:
            results.send(("outcomes", (outcomes.copy(), _resident())))
            outcomes.clear()
    faulthandler.cancel_dump_traceback_later()
    results.send(("outcomes", (outcomes, _resident())))


def _interrupt(signum: int, frame: object) -> None:
    raise HangError


def _limit_memory() -> bool:
    """Let allocations beyond the bound fail; not under sanitizers, which take terabytes of addresses."""
    if "asan" in Path("/proc/self/maps").read_text():
        return False
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2 * BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return True


def _resident() -> int:
    """Most memory that the process has had, in bytes."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
