"""Times that can be compared: competitors take turns within one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any, TypeAlias

Call: TypeAlias = Callable[[], object]

#: seconds after which the idle threads of a competitor sleep for certain; until then they may wait actively, and take a
#: core from the next one
PAUSE = 0.1

#: seconds of calls that are not timed, until the threads of the next one are awake and each on a core of its own
WARM_UP = 0.02


@dataclass(frozen=True)
class Spread:
    """Seconds of several runs of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper one; the median twice where there are few runs."""
        if len(self.seconds) < 4:
            return self.median, self.median
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def timed(call: Call, into: list[float]) -> Call:
    """`call`, with its duration written down."""

    def run() -> None:
        start = perf_counter()
        call()
        into.append(perf_counter() - start)

    return run


def in_turns(benchmark: Any, native: Call, rivals: Mapping[str, Call], seconds: float = 2.0) -> dict[str, Spread]:
    """Time `native` and its rivals round by round, for about so many seconds.

    A round of pytest-benchmark times every rival first, as the set-up, then `native`: what disturbs the machine for a
    while meets all of them. Ahead of each timed call come a pause and a few calls that are not timed.
    """
    times: dict[str, list[float]] = {name: [] for name in ("native", *rivals)}
    calls = {name: timed(call, times[name]) for name, call in {"native": native, **rivals}.items()}

    def ready(call: Call) -> None:
        if rivals:
            sleep(PAUSE)
            begin = perf_counter()
            call()
            while perf_counter() < begin + WARM_UP:
                call()

    def others() -> None:
        for name, call in rivals.items():
            ready(call)
            calls[name]()
        ready(native)

    once: list[float] = []
    native()
    timed(others, once)()
    timed(native, once)()
    benchmark.pedantic(calls["native"], setup=others, rounds=int(min(max(seconds / sum(once), 7), 100)))
    return {name: Spread(tuple(seconds)) for name, seconds in times.items()}


def a_few_times(call: Call, patience: float = 2.0) -> Spread:
    """Time something slow: three runs after one to warm up, or the first one alone if it takes longer than that."""
    first: list[float] = []
    timed(call, first)()
    if first[0] > patience:
        return Spread(tuple(first))
    rest: list[float] = []
    for _ in range(3):
        timed(call, rest)()
    return Spread(tuple(rest))
