"""What an importer is, and what it is given: one node of the file together with all that is known of its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Array, Layer, Shape

FreeShape: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True)
class Value:
    """What is known of a value of the file.

    `shape` has the batch axis first, and is None where the rank is unknown. `constant` holds the elements of a value
    that does not depend on the model's input. `name` is the value's name in the graph that is built, which differs
    from that in the file behind a node that computes nothing.
    """

    name: str
    dtype: int = onnx.TensorProto.UNDEFINED
    shape: FreeShape | None = None
    constant: npt.NDArray[Any] | None = None
    is_activation: bool = False
    saturates: bool = False  # made by a function with a floor and a ceiling, such as a sigmoid: how gates are made
    mean_of: str = ""  # the value that it is a mean of
    by_id: npt.NDArray[Any] | None = None  # (1, V, ...), elements for every id, of a value that each id decides alone
    is_stacked: bool = False  # without a batch axis of its own: the rows of all samples lie behind one another

    @property
    def sample_shape(self) -> FreeShape:
        """Shape of one sample; a stacked value is as large as one, for it is read only in a batch of one."""
        shape = self.shape or ()
        return shape if self.is_stacked else shape[1:]

    @property
    def type_proto(self) -> onnx.TypeProto:
        """The same as ONNX writes it."""
        return onnx.helper.make_tensor_type_proto(self.dtype, self.shape)


@dataclass(frozen=True)
class Operation:
    """One node, its inputs (None for an optional one left out), and the inferred type of an output."""

    node: onnx.NodeProto
    inputs: tuple[Value | None, ...]
    output: Value
    batch: int
    opset: int
    position: int = 0  # of the output among the node's

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute, texts as str and lists as tuples."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                if isinstance(value, bytes):
                    return value.decode(errors="replace")
                return value if isinstance(value, (int, float)) else tuple(value)
        return default

    def input(self, index: int) -> Value | None:
        """Input number `index`, None if the node leaves it out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def is_constant(self, index: int) -> bool:
        """Whether input number `index` is there and does not depend on the model's input."""
        value = self.input(index)
        return value is not None and value.constant is not None

    @property
    def activations(self) -> tuple[Value, ...]:
        """The inputs that depend on the model's input."""
        return tuple(value for value in self.inputs if value is not None and value.is_activation)

    @property
    def sample_shape(self) -> FreeShape:
        """Shape of one sample of the first activation."""
        value = self.activations[0]
        if not value.shape:
            raise UnsupportedError(f"its input '{value.name}' has no batch axis; keep the batch as the first axis")
        return value.sample_shape

    @property
    def is_stacked(self) -> bool:
        """Whether the first activation has no batch axis of its own."""
        return self.activations[0].is_stacked

    @property
    def stacks(self) -> bool:
        """Whether the output has no batch axis of its own."""
        return self.is_stacked if self.output.shape is None else self.output.shape[:1] != (self.batch,)

    @property
    def rank(self) -> int:
        """Number of axes of the first activation as the file has it."""
        return len(self.sample_shape) + (not self.is_stacked)

    def setting(self, name: str, index: int, default: Any = None) -> Any:
        """An option that is the attribute `name` in older operator sets and input number `index` in newer ones.

        A list comes as a tuple, a single element as a number.
        """
        value = self.input(index)
        if value is None:
            return self.attribute(name, default)
        if value.constant is None:
            raise UnsupportedError(f"its input '{name}' is computed at run time; make it a constant")
        elements = value.constant.tolist()
        return tuple(elements) if isinstance(elements, list) else elements

    def axes(self, rank: int, index: int = 1) -> tuple[int, ...] | None:
        """The option `axes`, counted from the front of `rank` axes and sorted; None if it is left out."""
        axes = self.setting("axes", index)
        if axes is None:
            return None
        return tuple(sorted(self.axis(axis, rank) for axis in axes))

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= axis < rank:
            raise ModelError(f"axis {axis} does not exist in a tensor with {rank} axes")
        return axis % rank

    def weights(self, index: int) -> Array | None:
        """A float constant, None if the input is left out; float16 becomes float32."""
        value = self.input(index)
        if value is None:
            return None
        if value.constant is None:
            raise UnsupportedError(
                f"its input '{value.name}' is computed from the model's input, where a constant is needed; "
                f"fold it into a weight before the export"
            )
        array = value.constant
        if array.dtype not in (np.float32, np.float64):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            raise ModelError(f"the weights '{self.node.input[index]}' hold NaN or infinity")
        return array

    def required(self, index: int) -> Array:
        """A float constant that must be there."""
        array = self.weights(index)
        if array is None:
            raise ModelError(f"its input number {index} is missing")
        return array

    def per_sample(self, array: Array) -> Array:
        """A constant that broadcasts against a batch, as one that broadcasts against a sample without enlarging it."""
        shape = self.sample_shape
        rank = len(shape)
        if array.ndim == rank + 1 and not self.is_stacked:
            if array.shape[0] != 1:
                raise UnsupportedError(
                    f"a constant of shape {array.shape} differs from sample to sample; use one for all"
                )
            array = array[0]
        aligned = shape[rank - array.ndim :] if array.ndim <= rank else ()
        fits = array.ndim <= rank and all(size in (1, known) for size, known in zip(array.shape, aligned, strict=True))
        if not fits:
            raise UnsupportedError(
                f"a constant of shape {array.shape} enlarges its sample of shape {shape}, or may do so; give "
                f"the constant the sample's shape, or fix the input size"
            )
        return array


@dataclass(frozen=True)
class Join:
    """A layer that reads several values, or one several times, each through layers of its own.

    `branches` holds the number of a value, or a join that makes it of the same values, and its layers. Where a node's
    layers begin, values are the node's activations; further on there is one, number 0, made by what comes before.
    """

    branches: tuple[tuple[int | Join, tuple[Layer, ...]], ...]
    layer: Layer


Importer: TypeAlias = Callable[[Operation], Sequence[Layer | Join]]

MOST_LISTED = 2**22  # places along an axis that a layer names one by one

IMPORTERS: dict[str, Importer] = {}


def importer(*operators: str) -> Callable[[Importer], Importer]:
    """Register a function as the reader of some operators, those of domains other than ONNX's own with the domain.

    It returns the layers that the node stands for, in order: the first reads the node's activations, each other
    what the one before it made. No layers means that the node hands on its input. It is asked once for each output
    that is used. It raises UnsupportedError, with the reason and what to do, for what no layer expresses, and
    ModelError for what makes no sense; the reader names the node.
    """

    def register(function: Importer) -> Importer:
        for operator in operators:
            IMPORTERS[operator] = function
        return function

    return register


def listed(count: int) -> int:
    """A number of elements that are listed one by one; UnsupportedError if they are too many."""
    if count > MOST_LISTED:
        raise UnsupportedError(f"it moves {count:,} elements along an axis one by one; lrpfast lists {MOST_LISTED:,}")
    return count


def full_name(node: onnx.NodeProto) -> str:
    """The operator as importers are registered for it."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def describe(node: onnx.NodeProto, inputs: Sequence[Value | None]) -> str:
    """A node as errors name it: name or output, operator, shapes of its inputs."""
    shapes = [str(value.shape) if value.shape is not None else "unknown" for value in inputs if value is not None]
    given = f" with inputs {', '.join(shapes)}" if shapes else ""
    return f"node '{node.name or node.output[0]}' ({node.op_type}){given}"


def known_size(shape: FreeShape) -> int | None:
    """Number of elements, None if an axis is free."""
    sizes = [size for size in shape if size is not None]
    return math.prod(sizes) if len(sizes) == len(shape) else None


def fixed(shape: FreeShape) -> Shape | None:
    """The shape, None if an axis is free."""
    sizes = tuple(size for size in shape if size is not None)
    return sizes if len(sizes) == len(shape) else None
