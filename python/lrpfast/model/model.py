"""The model that a user holds: a graph, and how the file that it came from calls and shapes its ends."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy.typing as npt
import onnx

from lrpfast.errors import InputError
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import AveragePool, Convolution, MaxPool, Shape, TransposedConvolution, Weighted

Source: TypeAlias = str | os.PathLike[str] | bytes | onnx.ModelProto


@dataclass(frozen=True, repr=False)
class Model:
    """A trained network, ready to be explained; `load` makes it, ``print(model)`` shows a table of its layers.

    Shapes are complete, the batch first, with None for an axis of free size, in the layout of the file.

    Attributes
    ----------
    graph : Graph
        The layers, in canonical form.
    name : str
        Name of the file without its suffix, or that of the graph.
    input_name, output_name : str
        What the file calls the input that is explained, and the scores.
    input_shape, output_shape : tuple of int or None
        Shape of the input, and of the scores.
    dropped_head : str or None
        Operator of a final Softmax, LogSoftmax or Sigmoid that was left out to reach the scores.
    """

    graph: Graph
    name: str
    input_name: str
    input_shape: tuple[int | None, ...]
    output_name: str
    output_shape: tuple[int | None, ...]
    dropped_head: str | None = None

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """Shape of one input sample, with None for an axis of free size."""
        return self.input_shape[1:]

    def accept(self, shape: Sequence[int]) -> Shape:
        """Shape of one sample of a batch of the given shape.

        A batch may have any size, also where the file fixes one: layers work sample by sample.

        Parameters
        ----------
        shape : sequence of int
            That of the batch, (N, ...).

        Returns
        -------
        tuple of int

        Raises
        ------
        InputError
            The model does not take such a batch.
        """
        sample = tuple(shape[1:])
        if len(shape) == 0 or not _fits(sample, self.sample_shape):
            raise InputError(
                f"The model '{self.name}' takes an input of shape {_shape_text(('N', *self.sample_shape))}, not "
                f"{_shape_text(shape)}; give a batch of such samples, in the model's own layout.{self._remedy(shape)}"
            )
        return sample

    def _remedy(self, shape: Sequence[int]) -> str:
        """What makes of an array of that shape one that the model takes, if moving axes or resizing does."""
        sample = self.sample_shape
        candidates = _rearranged(tuple(shape), len(sample))
        for what, expression, found in candidates:
            if _fits(found[1:], sample):
                return f" {what}: pass {expression}."
        axis = self.graph.input_permutation[0] if self.graph.input_permutation else 0
        if len(sample) != 3 or sample[axis] not in (1, 3):
            return ""
        free = [size if place == axis else None for place, size in enumerate(sample)]
        pixels = " x ".join(str(size) for place, size in enumerate(sample) if place != axis)
        for what, expression, found in (("", "", tuple(shape)), *candidates):
            if _fits(found[1:], free):
                moved = f" {what}: pass {expression}." if what else ""
                return f"{moved} Resize pictures to {pixels} pixels first."
        return ""

    def __repr__(self) -> str:
        head = f", {self.dropped_head} left out" if self.dropped_head else ""
        ids = "" if self.graph.input_table is None else f" of {len(self.graph.input_table)} ids"
        title = (
            f"Model '{self.name}': {self.input_name} {_shape_text(self.input_shape)}{ids} -> "
            f"{self.output_name} {_shape_text(self.output_shape)}{head}"
        )
        shapes = self.graph.known_shapes
        rows = [("layer", "operator", "kind", "output", "parameters")]
        rows += [_row(node, shapes.get(node.output) if shapes else None) for node in self.graph.nodes]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        count = sum(_parameters(node) for node in self.graph.nodes)
        return "\n".join([title, *lines, f"{len(self.graph.nodes)} layers, {count:,} parameters"])


def load(
    source: Source,
    output: str | None = None,
    *,
    fixed: Mapping[str, npt.ArrayLike] | None = None,
    shape: Sequence[int | None] | None = None,
) -> Model:
    """Read a model from a path, from the bytes of a file, or from an `onnx.ModelProto`.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto
        Operator set 7 or later.
    output : str, optional
        The output that is explained. None takes the only one that may hold scores.
    fixed : mapping of str to array_like, optional
        Values for all inputs but the one that is explained, each with a batch axis of size 1; the model becomes one
        of a single input.
    shape : sequence of int or None, optional
        Shape of the input, batch first, for a file that leaves sizes free which its layers have to know:
        ``(None, 3, 224, 224)``.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        What is given is no readable model, or has several inputs or outputs to choose from.
    UnsupportedError
        The model is valid, but lrpfast cannot explain it; the message lists all nodes concerned.
    """
    # What reads files takes as long to import as the rest of the package.
    from lrpfast.model.canonize import canonize
    from lrpfast.model.onnx_import import model_proto, read

    proto, name = model_proto(source)
    reading = read(proto, output, fixed, shape)
    _ = reading.graph.known_shapes  # refuses layers that do not fit, before they are joined
    return Model(
        graph=canonize(reading.graph),
        name=name,
        input_name=reading.input_name,
        input_shape=reading.input_shape,
        output_name=reading.output_name,
        output_shape=reading.output_shape,
        dropped_head=reading.dropped_head,
    )


def _fits(sample: Sequence[int], known: Sequence[int | None]) -> bool:
    return len(sample) == len(known) and all(size in (None, given) for size, given in zip(known, sample, strict=True))


def _rearranged(shape: Shape, rank: int) -> list[tuple[str, str, Shape]]:
    """What a batch of samples with `rank` axes may have been meant to be: what is wrong, the cure, its shape then."""
    found = [("A batch axis is missing", "x[None]", (1, *shape))]
    if rank > 1 and len(shape) in (rank, rank + 1):
        batch, name = (shape, "x") if len(shape) > rank else ((1, *shape), "x[None]")
        orders = {"last": (0, rank, *range(1, rank)), "first": (0, *range(2, rank + 1), 1)}
        for place, order in orders.items():
            moved = tuple(batch[axis] for axis in order)
            found.append((f"This one has its channels {place}", f"{name}.transpose{order}", moved))
    if rank > 1 and shape:
        channel = "An axis for the channel is missing"
        found.append((channel, "x[:, None]", (shape[0], 1, *shape[1:])))
        found.append((channel, "x[..., None]", (*shape, 1)))
        found.append((f"{channel}, and one for the batch", "x[None, None]", (1, 1, *shape)))
        found.append((f"{channel}, and one for the batch", "x[None, ..., None]", (1, *shape, 1)))
    return found


def _shape_text(shape: Sequence[int | str | None]) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"


def _row(node: Node, shape: Shape | None) -> tuple[str, str, str, str, str]:
    count = _parameters(node)
    return (
        node.name,
        node.operator,
        kind_text(node),
        _shape_text(shape) if shape is not None else "",
        f"{count:,}" if count else "",
    )


def kind_text(node: Node) -> str:
    """Kind of a layer, with the size of its window."""
    layer = node.layer
    if not isinstance(layer, (Convolution, TransposedConvolution, MaxPool, AveragePool)):
        return layer.kind
    if 0 in layer.window.kernel:
        return f"{layer.kind} whole map"
    strides = "x".join(map(str, layer.window.strides))
    return f"{layer.kind} {'x'.join(map(str, layer.window.kernel))}/{strides}"


def _parameters(node: Node) -> int:
    layer = node.layer
    if not isinstance(layer, Weighted):
        return 0
    return layer.weight.size + (0 if layer.bias is None else layer.bias.size)
