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
    """A trained network, ready to be explained.

    `graph` is canonical. Shapes are complete, the batch first, with None for an axis of free size, in the
    layout of the file. `output_shape` is that of the scores; `dropped_head` names a final Softmax, LogSoftmax
    or Sigmoid that was left out to reach them.
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
        """Shape of one sample of a batch of the given shape; InputError if the model does not take such a
        batch.

        A batch may have any size, also where the file fixes one: layers work sample by sample.
        """
        if not self._takes(shape):
            hint = self._remedy(tuple(shape))
            raise InputError(
                f"The model '{self.name}' takes an input of shape {_shape_text(('N', *self.sample_shape))}, not "
                f"{_shape_text(shape)}; give a batch of such samples, in the layout of the model's file.{hint}"
            )
        return tuple(shape[1:])

    def _takes(self, shape: Sequence[int]) -> bool:
        """Whether a batch of `shape` fits the model's input."""
        return len(shape) == len(self.input_shape) and all(
            known in (None, size) for known, size in zip(self.sample_shape, shape[1:], strict=True)
        )

    def _remedy(self, shape: tuple[int, ...]) -> str:
        """What makes an input of `shape` one that the model takes, where that can be told."""
        if shape == self.sample_shape:
            return " A batch axis is missing: pass x[None]."
        axes = tuple(range(1, len(shape)))
        for hint, order in (("last", (0, *axes[-1:], *axes[:-1])), ("first", (0, *axes[1:], *axes[:1]))):
            if len(axes) > 1 and self._takes([shape[axis] for axis in order]):
                return f" This one has its channels {hint}: pass x.transpose{order}."
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
    return Model(
        graph=canonize(reading.graph),
        name=name,
        input_name=reading.input_name,
        input_shape=reading.input_shape,
        output_name=reading.output_name,
        output_shape=reading.output_shape,
        dropped_head=reading.dropped_head,
    )


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
