"""Gamma: Epsilon with the favoured sign amplified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.rules.rule import LinearRule, require, require_stabilizer
from lrpfast.rules.terms import AS_IS, NOTHING, Group, Part, Term


@dataclass(frozen=True)
class Gamma(LinearRule):
    """Distribute relevance by contribution, contributions of the output's own sign counting 1 + gamma times.

    With ``P = W + gamma W+``, ``N = W + gamma W-`` and p, n the same of b,
    ``s = [z > 0] R' / stab(P x+ + N x- + p)``, ``t = [z < 0] R' / stab(N x+ + P x- + n)``,
    ``R = x+ . (P's + N't) + x- . (N's + P't)``; a unit with z = W x + b = 0 passes nothing.

    Parameters
    ----------
    gamma : float
        How much more the favoured sign counts, >= 0; 0 is the Epsilon rule, infinity tends to ZPlus.
    stabilizer : float
        Distance that the denominators are moved away from zero, in units of the layer's output, >= 0.
    zero_bias : bool
        Leave the bias out of the denominators, so that it absorbs no relevance; z keeps it.

    Raises
    ------
    CompositeError
        gamma or the stabilizer is negative or not finite.

    References
    ----------
    Montavon et al., *Layer-Wise Relevance Propagation: An Overview*, 2019; generalised to inputs of both
    signs in Andeol et al., *Learning domain invariant representations by joint Wasserstein distance
    minimization*, 2023.
    """

    formula: ClassVar[str] = "x+ . (P's + N't) + x- . (N's + P't),  P = W + gW+, N = W + gW-"
    where: ClassVar[str] = (
        "s = [z > 0] R / stab(Px+ + Nx- + p),  t = [z < 0] R / stab(Nx+ + Px- + n),  p, n: as P, N with b"
    )
    reference: ClassVar[str] = (
        "Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019; Andeol et al., 2023"
    )
    gamma: float = 0.25
    stabilizer: float = 1e-6
    zero_bias: bool = False

    def __post_init__(self) -> None:
        require_stabilizer(self, self.stabilizer)
        require(0 <= self.gamma < float("inf"), self, "gamma must be finite and >= 0")

    def groups(self) -> tuple[Group, ...]:
        if self.gamma == 0:
            favoured = opposed = AS_IS
        else:
            favoured, opposed = Part(1 + self.gamma, 1), Part(1, 1 + self.gamma)
        positive, negative = Part(1, 0), Part(0, 1)
        return (
            Group(
                (Term(favoured, positive), Term(opposed, negative)),
                bias=NOTHING if self.zero_bias else favoured,
                gate="z > 0",
            ),
            Group(
                (Term(opposed, positive), Term(favoured, negative)),
                bias=NOTHING if self.zero_bias else opposed,
                gate="z < 0",
            ),
        )
