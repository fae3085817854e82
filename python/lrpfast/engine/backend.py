"""What the package asks of a backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from lrpfast.engine.audit import Audit
from lrpfast.model.layers import Array, Shape


def parts_of(backend: Backend, x: Array, explanations: int) -> list[slice]:
    """The batch `x` (N, ...) in the parts in which it goes through the backend."""
    at_once = 1 if len(x) == 1 else backend.samples_at_once(x.shape[1:], explanations) or len(x)
    return [slice(start, start + at_once) for start in range(0, len(x), at_once)]


def joined(parts: Sequence[Array]) -> Array:
    """Parts of a batch behind one another; one alone as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Inside:
    """What is asked about relevance inside the network, at the outputs of layers, by the names of their nodes."""

    layers: tuple[str, ...] = ()  # where it is wanted
    masks: Mapping[str, Array] = field(default_factory=dict)  # what it is multiplied with there, (N, T, ...)

    @property
    def names(self) -> frozenset[str]:
        """The layers whose output has to be looked at."""
        return frozenset((*self.layers, *self.masks))

    def part(self, samples: slice) -> Inside:
        """The same for some samples of the batch."""
        return Inside(self.layers, {name: mask[samples] for name, mask in self.masks.items()})


NOTHING_INSIDE = Inside()


class Explained(NamedTuple):
    """Relevance (N, T, ...) of the input, the account of it, and relevance (N, T, ...) at the layers asked for."""

    relevance: Array
    audit: Audit
    layers: dict[str, Array]

    @staticmethod
    def joined(parts: Sequence[Explained]) -> Explained:
        """That of several batches as that of one."""
        return Explained(
            joined([part.relevance for part in parts]),
            Audit.joined([part.audit for part in parts]),
            {name: joined([part.layers[name] for part in parts]) for name in parts[0].layers},
        )


class Backend(Protocol):
    """Runs a plan forward, then relevance backward, any number of times and from any number of threads."""

    def __str__(self) -> str:
        """Its name, and the instructions that it runs with."""

    def samples_at_once(self, shape: Shape, explanations: int) -> int | None:
        """How many samples of a shape, in the graph's layout, a pass should take together; None: any number."""

    def forward(self, x: Array, inside: Inside = NOTHING_INSIDE) -> tuple[Array, Any]:
        """Output (N, ...) of the batch `x` (N, ...) in the graph's layout, and what `relevance` needs of the
        pass.
        """

    def relevance(self, state: Any, seed: Array, inside: Inside = NOTHING_INSIDE) -> Explained:
        """What becomes of a seed (N, T, ...) at the output; `inside` is that of the forward pass."""
