"""The algebra of relevance rules: terms that share a denominator.

Every redistribution rule of a linear layer ``z = W a + b`` is one or more groups

    z = sum_t W_t a_t + b_g      s = gate R_out / stab(z)      R_in += share sum_t a_t . W_t' s

where ``W_t`` is a modification of the weights, ``a_t`` one of the input, ``b_g`` one of the bias, ``W'`` the
adjoint of ``W`` and ``stab(z) = z + stabilizer sgn(z)`` with ``sgn(0) = 1``. A quotient 0 / 0 counts as zero:
a unit to which nothing contributed passes nothing on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy.typing as npt


@dataclass(frozen=True)
class Part:
    """``positive max(v, 0) + negative min(v, 0)`` of weights, bias or input."""

    positive: float
    negative: float

    def of_nonnegative(self) -> Part:
        """The same on values that are known to be >= 0, in the simplest form."""
        return Part(self.positive, self.positive)

    def __add__(self, other: Part) -> Part:
        return Part(self.positive + other.positive, self.negative + other.negative)

    @property
    def vanishes(self) -> bool:
        """Whether the part is zero whatever the values."""
        return self.positive == 0 and self.negative == 0

    def __str__(self) -> str:
        names = {(1.0, 1.0): "", (1.0, 0.0): "+", (0.0, 1.0): "-", (0.0, 0.0): "0"}
        return names.get((self.positive, self.negative), f"({self.positive:g}+, {self.negative:g}-)")


AS_IS = Part(1, 1)
POSITIVE = Part(1, 0)
NEGATIVE = Part(0, 1)
NOTHING = Part(0, 0)

SpecialPart: TypeAlias = Literal["squared", "ones"]
WeightPart: TypeAlias = Part | SpecialPart


@dataclass(frozen=True, eq=False)
class Fixed:
    """An input replaced by a constant that broadcasts against one sample; padding stays zero."""

    value: npt.ArrayLike


@dataclass(frozen=True, eq=False)
class Shifted:
    """The input less a constant that broadcasts against one sample; padding stays zero."""

    value: npt.ArrayLike


InputPart: TypeAlias = Part | Fixed | Shifted
Gate: TypeAlias = Literal["open", "z > 0", "z < 0"]


@dataclass(frozen=True)
class Term:
    """``W_t a_t``."""

    weight: WeightPart
    input: InputPart


@dataclass(frozen=True)
class Group:
    """Terms that share a denominator.

    `gate` looks at the layer's own pre-activation; `share` is the factor on what the group hands down.
    """

    terms: tuple[Term, ...]
    bias: WeightPart
    gate: Gate = "open"
    share: float = 1.0
