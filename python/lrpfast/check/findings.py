"""What was found, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["exact", "heuristic", "unsupported"]


@dataclass(frozen=True)
class Account:
    """Where relevance went at a layer, or on its whole way, as shares of the explained score.

    ``received = handed_down + bias + stabilizer + rule`` up to rounding. Of several samples it is the mean, in
    which each counts as much as its score is large.

    Attributes
    ----------
    received, handed_down : float
        Relevance at the output and at the input.
    bias, stabilizer, rule : float
        What went to biases, to stabilizers, and what the rule itself did not conserve.
    """

    received: float
    handed_down: float
    bias: float
    stabilizer: float
    rule: float

    @property
    def absorbed(self) -> float:
        """What was not handed down."""
        return self.received - self.handed_down

    @property
    def rounding(self) -> float:
        """What the other figures leave unexplained."""
        return self.absorbed - self.bias - self.stabilizer - self.rule


@dataclass(frozen=True)
class Proof:
    """What was measured with relevance in proportion to contributions: Epsilon with ``epsilon=0``.

    Attributes
    ----------
    arrived : float
        Share of the score that arrives at the input.
    biases : float
        Share that biases contributed, and other constants, and that therefore goes to them.
    unclaimed : float
        Share that conventions gave to units whose value is zero, and to which nothing contributed.
    deviation : float
        Largest ``|arrived + biases + unclaimed - 1|`` of a sample: rounding, in double precision.
    units, dead : int
        Units behind a ReLU, or a clip from zero, in all samples; and those of them that it set to zero.
    dead_relevance : float
        Largest magnitude of the relevance of such a unit, as a share of the score.
    pools : int
        Max pools of the model.
    pool_loss : float
        Largest difference between what a max pool received and handed down, as a share of what it moved.
    """

    arrived: float
    biases: float
    unclaimed: float
    deviation: float
    units: int
    dead: int
    dead_relevance: float
    pools: int
    pool_loss: float


@dataclass(frozen=True)
class LayerReport:
    """What `check` says of one layer.

    Attributes
    ----------
    name, operator : str
        What the file calls it.
    kind, rule : str
        What it became, and which rule it gets; empty for a node that cannot be explained.
    verdict : {"exact", "heuristic", "unsupported"}
        Whether relevance is conserved or accounted for, settled by a convention, or cannot be told.
    reason : str
        Why it is not exact.
    account : Account or None
        Where relevance went; None where nothing was measured, and where no relevance comes by.
    """

    name: str
    operator: str
    kind: str
    rule: str
    verdict: Verdict
    reason: str = ""
    account: Account | None = None
