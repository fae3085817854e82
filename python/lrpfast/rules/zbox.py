"""ZBox: for the first layer, where inputs lie between known bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import LinearRule, require, require_stabilizer
from lrpfast.rules.terms import NEGATIVE, NOTHING, POSITIVE, Group, Shifted, Term


@dataclass(frozen=True, eq=False)
class ZBox(LinearRule):
    """Distribute relevance by contribution relative to the ends of the input's range.

    ``s = R' / stab(W+ (x - l) + W- (x - h))``, ``R = (x - l) . W+'s + (x - h) . W-'s``: the same as
    ``x . W's - l . W+'s - h . W-'s``. The bias cancels, and padding stays zero in x, l and h.

    Parameters
    ----------
    low, high : array_like
        Smallest and largest value that an input can take, in the units of the layer's input, low <= high;
        numbers or arrays that broadcast against one sample in the layout of the model's input, such as
        (3, 1, 1).
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.

    Raises
    ------
    CompositeError
        A bound is not finite, low is above high, or the stabilizer is negative or not finite.

    References
    ----------
    Montavon et al., Pattern Recognition 65, 2017, eq. 15.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"conv", "dense"})
    formula: ClassVar[str] = "(x - l) . W+'s + (x - h) . W-'s,  s = R / stab(W+(x - l) + W-(x - h))"
    reference: ClassVar[str] = "Montavon et al., Pattern Recognition 65, 2017, eq. 15"
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
        above_low, below_high = Term(POSITIVE, Shifted(self.low)), Term(NEGATIVE, Shifted(self.high))
        return (Group((above_low, below_high), bias=NOTHING),)
