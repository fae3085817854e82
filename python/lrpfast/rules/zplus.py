"""ZPlus: only what speaks for the output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.rules.rule import LinearRule, require_stabilizer
from lrpfast.rules.terms import NEGATIVE, NOTHING, POSITIVE, Group, Term


@dataclass(frozen=True)
class ZPlus(LinearRule):
    """Distribute relevance over the positive contributions alone.

    ``s = R' / stab(W+ x+ + W- x- + b+)``, ``R = x+ . W+'s + x- . W-'s``

    Parameters
    ----------
    stabilizer : float
        Distance that the denominator is moved away from zero, in units of the layer's output, >= 0.
    zero_bias : bool
        Leave the bias out of the denominator, so that it absorbs no relevance.

    Raises
    ------
    CompositeError
        The stabilizer is negative or not finite.

    References
    ----------
    Montavon et al., *Explaining nonlinear classification decisions with deep Taylor decomposition*, Pattern
    Recognition 65, 2017.
    """

    formula: ClassVar[str] = "x+ . W+'s + x- . W-'s,  s = R / stab(W+x+ + W-x- + b+)"
    reference: ClassVar[str] = "Montavon et al., Pattern Recognition 65, 2017"
    stabilizer: float = 1e-6
    zero_bias: bool = False

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)

    def groups(self) -> tuple[Group, ...]:
        terms = (Term(POSITIVE, POSITIVE), Term(NEGATIVE, NEGATIVE))
        return (Group(terms, bias=NOTHING if self.zero_bias else POSITIVE),)
