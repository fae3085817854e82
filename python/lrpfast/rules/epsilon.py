"""Epsilon: relevance in proportion to contribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import AS_IS, NOTHING, Group, Term


@dataclass(frozen=True)
class Epsilon(LinearRule):
    """Distribute relevance in proportion to each input's contribution to the output.

    ``R = x . W'(R' / stab(W x + b))``

    Parameters
    ----------
    epsilon : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0; a larger
        one absorbs the relevance of weakly activated units.
    zero_bias : bool
        Leave the bias out of the denominator, so that it absorbs no relevance.

    Raises
    ------
    CompositeError
        epsilon is negative or not finite.

    References
    ----------
    Bach et al., *On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance
    Propagation*, PLOS ONE 10(7), 2015, eq. 58.
    """

    formula: ClassVar[str] = "x . W'(R / stab(Wx + b))"
    reference: ClassVar[str] = "Bach et al., PLOS ONE 10(7), 2015, eq. 58"
    epsilon: float = 1e-6
    zero_bias: bool = False

    def __post_init__(self) -> None:
        require_stabilizer(self, self.epsilon)

    @property
    def stabilizer(self) -> float:
        return self.epsilon

    def groups(self) -> tuple[Group, ...]:
        return (Group((Term(AS_IS, AS_IS),), bias=NOTHING if self.zero_bias else AS_IS),)
