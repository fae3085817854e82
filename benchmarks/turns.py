"""Competitors take turns, one timed call each a round: what disturbs the machine for a while meets all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

#: the least number of rounds, and the greatest
FEWEST, MOST = 5, 200

#: how many times the seconds asked for may be spent for the sake of the slow
LONGEST = 3

#: seconds; who takes k times as long for a call takes part in every k-th round only, so that there are many rounds
PATIENCE = 0.5


class CompetitorError(Exception):
    """A competitor cannot do what it was asked for; the text says why."""


@dataclass
class Times:
    """Seconds of one competitor in the rounds in which it took part, or why there are none."""

    rounds: dict[int, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def median(self) -> float:
        return median(self.rounds.values())

    def quartiles(self) -> tuple[float, float]:
        low, high = np.percentile(list(self.rounds.values()), (25, 75))
        return float(low), float(high)

    def ratio_to(self, other: Times) -> tuple[float, float, float] | None:
        """Median and quartiles of the ratio to another one's time in the same round; None without such a round."""
        both = [self.rounds[index] / other.rounds[index] for index in self.rounds if index in other.rounds]
        if not both:
            return None
        low, middle, high = np.percentile(both, (25, 50, 75))
        return float(middle), float(low), float(high)

    def figures(self) -> dict[str, Any]:
        """For a machine to read."""
        if self.failure or not self.rounds:
            return {"failure": self.failure or "no turn within the time"}
        low, high = self.quartiles()
        return {"median": self.median, "low": low, "high": high, "rounds": len(self.rounds)}


def take_turns(
    calls: Mapping[Hashable, Callable[[], float]], seconds: float, clock: Callable[[], float] = perf_counter
) -> dict[Hashable, Times]:
    """Ask each competitor for the seconds of one call, round by round, for about so many seconds.

    The first round is there to learn how long each takes, and does not count. Every round begins with another
    competitor than the one before. Who fails once is left out from then on.
    """
    times = {name: Times() for name in calls}
    fastest = dict.fromkeys(calls, inf)

    def turn(name: Hashable, index: int) -> None:
        try:
            took = calls[name]()
        except CompetitorError as error:
            times[name] = Times(failure=str(error) or "failed")
            return
        fastest[name] = min(took, fastest[name])
        if index:
            times[name].rounds[index] = took

    names = list(calls)
    for name in names:
        turn(name, 0)
    start, index = clock(), 0
    while index < MOST and (clock() - start < seconds or (clock() - start < LONGEST * seconds and _too_few(times))):
        index += 1
        first = index % len(names) if names else 0
        for name in names[first:] + names[:first]:
            late = clock() - start > LONGEST * seconds
            if not late and not times[name].failure and index % max(ceil(fastest[name] / PATIENCE), 1) == 0:
                turn(name, index)
    return times


def _too_few(times: Mapping[Hashable, Times]) -> bool:
    """Whether somebody slow, but able, has not had its turns yet."""
    return any(not one.failure and len(one.rounds) < FEWEST for one in times.values())
