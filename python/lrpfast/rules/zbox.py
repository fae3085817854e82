"""ZBox: for the first layer, where inputs lie between known bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require, require_stabilizer
from lrpfast.rules.terms import AS_IS, NEGATIVE, NOTHING, POSITIVE, Fixed, Group, Term


@dataclass(frozen=True, eq=False)
class ZBox(LinearRule):
    """Distribute relevance by contribution relative to the ends of the input's range.

    ``s = R' / stab(W x - W+ l - W- h)``, ``R = x . W's - l . W+'s - h . W-'s``; the bias cancels and padding
    stays zero in l and h.

    Parameters
    ----------
    low, high : array_like
        Smallest and largest value that an input can take, in the units of the layer's input, low <= high;
        numbers or arrays that broadcast against one sample in the layout of the model's input, such as
        (3, 1, 1).
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.

    References
    ----------
    Montavon et al., Pattern Recognition 65, 2017, eq. 15.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"conv", "dense"})
    formula: ClassVar[str] = "x . W's - l . W+'s - h . W-'s,  s = R / stab(Wx - W+l - W-h)"
    low: npt.ArrayLike
    high: npt.ArrayLike
    stabilizer: float = 1e-6

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)
        low, high = np.asarray(self.low, np.float64), np.asarray(self.high, np.float64)
        require(bool(np.isfinite(low).all() and np.isfinite(high).all()), self, "low and high must be finite")
        try:
            ordered = bool((low <= high).all())
        except ValueError:
            ordered = False
        require(ordered, self, "low and high must broadcast against each other, with low <= high")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def groups(self) -> tuple[Group, ...]:
        low = Term(POSITIVE, Fixed(self.low), sign=-1.0)
        high = Term(NEGATIVE, Fixed(self.high), sign=-1.0)
        return (Group((Term(AS_IS, AS_IS), low, high), bias=NOTHING),)
