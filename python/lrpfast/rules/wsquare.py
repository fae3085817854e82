"""WSquare: by the square of the weights, whatever the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import NOTHING, Fixed, Group, Term


@dataclass(frozen=True)
class WSquare(LinearRule):
    """Distribute relevance in proportion to squared weights.

    ``R = (W^2)'(R' / stab(W^2 1 + b^2))``

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, >= 0.
    zero_bias : bool
        Leave the bias out of the denominator, so that it absorbs no relevance.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.

    References
    ----------
    Montavon et al., Pattern Recognition 65, 2017, eq. 12.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"conv", "dense"})
    formula: ClassVar[str] = "(W^2)'(R / stab(W^2 1 + b^2))"
    reference: ClassVar[str] = "Montavon et al., Pattern Recognition 65, 2017, eq. 12"
    stabilizer: float = 1e-6
    zero_bias: bool = False

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)

    def groups(self) -> tuple[Group, ...]:
        return (Group((Term("squared", Fixed(1.0)),), bias=NOTHING if self.zero_bias else "squared"),)
