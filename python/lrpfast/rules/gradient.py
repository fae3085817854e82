"""Pass and Gradient: rules without a denominator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import Rule


@dataclass(frozen=True)
class Pass(Rule):
    """Hand relevance down unchanged: ``R = R'``, for layers that keep the shape; a gate hands all to its signal."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"activation", "affine", "gate"})
    formula: ClassVar[str] = "R"


@dataclass(frozen=True)
class Gradient(Rule):
    """Multiply by the transposed Jacobian: ``R = J'R'``; that of max pooling hands all to the winner.

    References
    ----------
    Simonyan, Vedaldi, Zisserman, *Deep Inside Convolutional Networks*, ICLR workshop 2014.
    """

    formula: ClassVar[str] = "J'R"
    reference: ClassVar[str] = "Simonyan et al., ICLR workshop 2014"
