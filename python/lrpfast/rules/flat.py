"""Flat: evenly over the receptive field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import NOTHING, Fixed, Group, Term


@dataclass(frozen=True)
class Flat(LinearRule):
    """Distribute relevance evenly over all inputs that a unit sees, or the branches of a sum; padding does not count.

    ``R = 1'(R' / stab(1 1))`` with ones for the weights and for the input

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, >= 0.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.

    References
    ----------
    Lapuschkin et al., *Unmasking Clever Hans predictors and assessing what machines really learn*, Nature
    Communications 10, 2019.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"conv", "dense", "sum"})
    formula: ClassVar[str] = "1'(R / stab(1 1))"
    reference: ClassVar[str] = "Lapuschkin et al., Nature Communications 10, 2019"
    stabilizer: float = 1e-6

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)

    def groups(self) -> tuple[Group, ...]:
        return (Group((Term("ones", Fixed(1.0)),), bias=NOTHING),)
