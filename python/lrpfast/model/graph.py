"""What a network is: nodes in an order in which each comes after those it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from lrpfast.errors import ModelError
from lrpfast.model.fitting import shape_after
from lrpfast.model.layers import Array, Layer, Shape

_Size = TypeVar("_Size", int, int | None)


@dataclass(frozen=True)
class Node:
    """One layer at its place: `inputs` and `output` are names of values, `operator` is what the file called it."""

    name: str
    operator: str
    layer: Layer
    inputs: tuple[str, ...]
    output: str

    def __str__(self) -> str:
        return f"node '{self.name}' ({self.operator})"


@dataclass(frozen=True)
class Graph:
    """A feed-forward network from one input to one output.

    `input_shape` is that of one sample, with None for an axis of free size. `input_permutation` reorders the axes of
    a sample of the caller before the first node sees it (empty: as it is), for models that begin with a transpose.
    `input_table` (V, D) is for models that begin with an embedding: a sample of the caller holds ids (L,), the first
    node sees their rows of the table (L, D), and so does `input_permutation`.
    """

    input: str
    input_shape: tuple[int | None, ...]
    nodes: tuple[Node, ...]
    output: str
    input_permutation: Shape = ()
    input_table: Array | None = field(default=None, compare=False, repr=False)

    @cached_property
    def producers(self) -> dict[str, Node]:
        """The node that computes each value (the graph's input has none)."""
        return {node.output: node for node in self.nodes}

    @cached_property
    def consumers(self) -> dict[str, tuple[Node, ...]]:
        """The nodes that read each value, in order."""
        readers: dict[str, tuple[Node, ...]] = {name: () for name in (self.input, *self.producers)}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers[name] += (node,)
        return readers

    def permuted(self, shape: tuple[_Size, ...]) -> tuple[_Size, ...]:
        """Shape of a caller's sample as the first node sees it."""
        if self.input_table is not None:
            shape += (int(self.input_table.shape[1]),)
        return tuple(shape[axis] for axis in self.input_permutation) if self.input_permutation else shape

    def arranged(self, x: Array) -> Array:
        """A batch of a caller's samples as the first node sees it."""
        if self.input_table is not None:
            x = self.input_table[x.astype(np.intp)].astype(x.dtype)
        return x.transpose(0, *(1 + axis for axis in self.input_permutation)) if self.input_permutation else x

    def returned(self, relevance: Array) -> Array:
        """Relevance (N, T, ...) of samples as the first node sees them, in the caller's layout; an id's is the sum of
        what its row of the table has.
        """
        if self.input_permutation:
            relevance = relevance.transpose(0, 1, *(2 + int(axis) for axis in np.argsort(self.input_permutation)))
        return relevance if self.input_table is None else relevance.sum(axis=-1)

    def shapes(self, sample_shape: Shape) -> dict[str, Shape]:
        """Shape of every value for a sample of the caller's `sample_shape`; raises ModelError where it cannot be."""
        return self.inner_shapes(self.permuted(sample_shape))

    def inner_shapes(self, sample_shape: Shape) -> dict[str, Shape]:
        """The same for a sample as the first node sees it."""
        shapes = {self.input: sample_shape}
        for node in self.nodes:
            inputs = [shapes[name] for name in node.inputs]
            try:
                shape = shape_after(node.layer, inputs)
            except ModelError as error:
                raise ModelError(f"{node} {error}; the model is inconsistent, or its input too large.") from None
            if any(size < 1 for size in shape):
                given = " and ".join(map(str, inputs))
                raise ModelError(
                    f"{node} gives an empty output {shape} for input {given}: the input {sample_shape} of the "
                    f"model is too small for it; give a larger one."
                )
            shapes[node.output] = shape
        return shapes

    @cached_property
    def known_shapes(self) -> dict[str, Shape] | None:
        """Shape of every value, None if the input has an axis of free size."""
        sample = tuple(size for size in self.input_shape if size is not None)
        return self.shapes(sample) if len(sample) == len(self.input_shape) else None

    def rewritten(self, nodes: Iterable[Node]) -> Graph:
        """The same graph with other nodes."""
        return replace(self, nodes=tuple(nodes))
