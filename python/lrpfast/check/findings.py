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
    """One layer: what the file calls it (`operator`), what it became (`kind`), its rule, and the verdict.

    `reason` is empty for an exact one. `account` is None where nothing was measured, and where no relevance comes by.
    """

    name: str
    operator: str
    kind: str
    rule: str
    verdict: Verdict
    reason: str = ""
    account: Account | None = None
