"""Norm: Epsilon for layers without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import AS_IS, NOTHING, Group, Term


@dataclass(frozen=True)
class Norm(LinearRule):
    """Distribute the relevance of a sum or an average in proportion to its summands.

    ``R_i = x_i . A'(R' / stab(A x))`` with A the sum or the average

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.

    References
    ----------
    Bach et al., PLOS ONE 10(7), 2015: Epsilon with the weights of the sum or the average.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"sum", "average"})
    formula: ClassVar[str] = "x . A'(R / stab(Ax))"
    reference: ClassVar[str] = "Bach et al., PLOS ONE 10(7), 2015"
    stabilizer: float = 1e-6

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)

    def groups(self) -> tuple[Group, ...]:
        return (Group((Term(AS_IS, AS_IS),), bias=NOTHING),)
