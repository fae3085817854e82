"""AlphaBeta: what speaks for the output and what speaks against it, weighted apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from lrpfast.rules.rule import LinearRule, require, require_stabilizer
from lrpfast.rules.terms import NEGATIVE, NOTHING, POSITIVE, Group, Term


@dataclass(frozen=True)
class AlphaBeta(LinearRule):
    """Distribute alpha shares of the relevance over positive and -beta shares over negative contributions.

    ``s = R' / stab(W+ x+ + W- x- + b+)``, ``t = R' / stab(W- x+ + W+ x- + b-)``,
    ``R = alpha (x+ . W+'s + x- . W-'s) - beta (x+ . W-'t + x- . W+'t)``

    Parameters
    ----------
    alpha, beta : float
        Shares of the two parts, >= 0, with alpha - beta = 1.
    stabilizer : float
        Distance that the denominators are moved away from zero, in units of the layer's output, >= 0.
    zero_bias : bool
        Leave the bias out of the denominators, so that it absorbs no relevance.

    Raises
    ------
    CompositeError
        alpha or beta is negative, their difference is not 1, or the stabilizer is negative or not finite.

    References
    ----------
    Bach et al., PLOS ONE 10(7), 2015, eq. 60.
    """

    formula: ClassVar[str] = "alpha (x+ . W+'s + x- . W-'s) - beta (x+ . W-'t + x- . W+'t)"
    where: ClassVar[str] = "s = R / stab(W+x+ + W-x- + b+),  t = R / stab(W-x+ + W+x- + b-)"
    reference: ClassVar[str] = "Bach et al., PLOS ONE 10(7), 2015, eq. 60"
    alpha: float = 2.0
    beta: float = 1.0
    stabilizer: float = 1e-6
    zero_bias: bool = False

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)
        require(self.alpha >= 0 and self.beta >= 0, self, "alpha and beta must be >= 0")
        balanced = math.isclose(self.alpha - self.beta, 1, rel_tol=1e-9)
        require(balanced, self, "alpha - beta must be 1, or relevance is not conserved")

    def groups(self) -> tuple[Group, ...]:
        spoken_for = (Term(POSITIVE, POSITIVE), Term(NEGATIVE, NEGATIVE))
        spoken_against = (Term(NEGATIVE, POSITIVE), Term(POSITIVE, NEGATIVE))
        pro = Group(spoken_for, bias=NOTHING if self.zero_bias else POSITIVE, share=self.alpha)
        contra = Group(spoken_against, bias=NOTHING if self.zero_bias else NEGATIVE, share=-self.beta)
        return (pro,) if self.beta == 0 else (pro, contra)
