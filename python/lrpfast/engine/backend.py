"""What the package asks of a backend."""

from __future__ import annotations

from typing import Any, Protocol

from lrpfast.engine.audit import Audit
from lrpfast.model.layers import Array, Shape


def parts_of(backend: Backend, x: Array, explanations: int) -> list[slice]:
    """The batch `x` (N, ...) in the parts in which it goes through the backend."""
    at_once = 1 if len(x) == 1 else backend.samples_at_once(x.shape[1:], explanations) or len(x)
    return [slice(start, start + at_once) for start in range(0, len(x), at_once)]


class Backend(Protocol):
    """Runs a plan forward, then relevance backward, any number of times and from any number of threads."""

    def samples_at_once(self, shape: Shape, explanations: int) -> int | None:
        """How many samples of a shape, in the graph's layout, a pass should take together; None: any number."""

    def forward(self, x: Array) -> tuple[Array, Any]:
        """Output (N, ...) of the batch `x` (N, ...) in the graph's layout, and what `relevance` needs of the
        pass.
        """

    def relevance(self, state: Any, seed: Array) -> tuple[Array, Audit]:
        """Relevance (N, T, ...) of the input for a seed (N, T, ...) at the output, and the account of it."""
