"""Rules of max pooling beside the winner, who takes all: equal parts for ties, and proportional parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import Rule, require_stabilizer


@dataclass(frozen=True)
class Ties(Rule):
    """Distribute the relevance of each window of a max pool evenly among its largest values.

    ``R_i = R' / n`` for the n values of the window that are as large as any, zero for the others. Where there is one,
    it takes all, as by default, where the first of several does.

    References
    ----------
    Lapuschkin et al., *The LRP Toolbox for Artificial Neural Networks*, JMLR 17(114), 2016.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"max"})
    formula: ClassVar[str] = "R / n, for n equal winners"
    reference: ClassVar[str] = "Lapuschkin et al., JMLR 17(114), 2016"


@dataclass(frozen=True)
class Proportional(Rule):
    """Distribute the relevance of each window of a max pool in proportion to its values, as if it took their sum.

    ``R_i = x_i R' / stab(sum_j x_j)``

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"max"})
    formula: ClassVar[str] = "x . R / stab(sum x)"
    stabilizer: float = 1e-6

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)
