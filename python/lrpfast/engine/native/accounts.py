"""The account of relevance, read from the figures of a relevance pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrpfast.engine.audit import FIGURES, Audit, Entry, Sums
from lrpfast.engine.native.prepared import Stage

#: columns of the figures of a program whose sum is meant
Columns = tuple[int, ...]

#: the sum of no columns: that of zeros behind the others
NOTHING: Columns = (-1,)


@dataclass
class Account:
    """Which figures say what became of the relevance of a stage."""

    stage: Stage
    received: Columns
    handed: Columns = ()
    found: Columns = ()  # received by the first step, behind the others of the stage
    bias: Columns = ()
    stabilizer: Columns = ()
    handled: Columns | None = None  # by the rule; None: what was handed down

    def rows(self) -> Sequence[tuple[Columns, ...]]:
        """Sums of each step, from the output to the input: the `FIGURES`, and what the last of them goes without."""
        found = self.found or self.received
        handled = self.handed if self.handled is None else self.handled
        rows = [(found, self.handed, self.bias, self.stabilizer, found, handled)]
        rows += [(found, found, (), (), (), ())] * (len(self.stage.steps) - 1)
        rows[-1] = (self.received, *rows[-1][1:])
        return rows[::-1]


class Accounts:
    """Which figures say what became of all relevance: one gather and one sum make the audit of all layers."""

    def __init__(self, accounts: Sequence[Account], explanations: int) -> None:
        self.explanations = explanations
        self.entries = tuple(Entry.of(step) for account in accounts for step in reversed(account.stage.steps))
        sums = [columns or NOTHING for account in accounts for row in account.rows() for columns in row]
        self._columns = [column for columns in sums for column in columns]
        self._starts = np.cumsum([0, *map(len, sums)])[:-1]

    def audit(self, figures: Sums) -> Audit:
        """The audit of a run, from its figures (N * T, columns)."""
        return Audit(self.entries, lambda: self._read(figures))

    def _read(self, figures: Sums) -> Sums:
        columns = np.concatenate([figures.T, np.zeros((1, len(figures)))])[self._columns]
        sums = np.add.reduceat(columns, self._starts).reshape(
            len(self.entries), len(FIGURES) + 1, -1, self.explanations
        )
        sums[:, -2] -= sums[:, -1]
        return sums[:, :-1]
