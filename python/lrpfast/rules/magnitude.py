"""Magnitude: Norm with the size of each summand, whatever its sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import AS_IS, NOTHING, Group, Part, Term


@dataclass(frozen=True)
class Magnitude(LinearRule):
    """Distribute the relevance of a sum or an average in proportion to the magnitude of its summands.

    ``R_i = |x_i| . A'(R' / stab(A |x|))`` with A the sum or the average. Summands that cancel do not make relevance
    grow, as they do with `Norm`, and every one of them gets relevance of the same sign.

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"sum", "average"})
    formula: ClassVar[str] = "|x| . A'(R / stab(A|x|))"
    stabilizer: float = 1e-6

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)

    def groups(self) -> tuple[Group, ...]:
        return (Group((Term(AS_IS, Part(1, -1)),), bias=NOTHING),)
