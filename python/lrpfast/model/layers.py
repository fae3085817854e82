"""The layers that a network can be made of: what each computes, without saying how.

A layer is immutable data. Shapes are those of one sample: the batch axis is left out everywhere, so
``(C, H, W)`` is a picture and ``(C,)`` a vector. Spatial axes are all axes after the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.model.sampling import Sampling

Array: TypeAlias = npt.NDArray[np.floating]
Shape: TypeAlias = tuple[int, ...]
Pads: TypeAlias = tuple[tuple[int, int], ...]

Kind: TypeAlias = Literal["conv", "dense", "affine", "activation", "sum", "average", "max", "gate", "routing"]
KINDS: tuple[Kind, ...] = ("conv", "dense", "affine", "activation", "sum", "average", "max", "gate", "routing")


@dataclass(frozen=True)
class Window:
    """How a kernel slides over the spatial axes: one entry per axis in every field.

    `auto_pad` ("upper" or "lower", else "") asks for as many zeros as keep ``ceil(size / stride)`` outputs; `ceil`
    lets the last window hang over the end. Both depend on the size of the map, so `pads_for` resolves them.
    """

    kernel: Shape
    strides: Shape
    dilations: Shape
    pads: Pads
    auto_pad: Literal["", "upper", "lower"] = ""
    ceil: bool = False

    def extent(self, axis: int) -> int:
        """Distance from the first to one past the last tap of the kernel."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1

    def output_size(self, spatial: Shape) -> Shape:
        """Number of windows along each axis of a map of size `spatial`."""
        return tuple(self._resolve(axis, size)[0] for axis, size in enumerate(spatial))

    def pads_for(self, spatial: Shape) -> Pads:
        """Padding (before, after) such that every window lies in the padded map; after may be negative (cropped)."""
        pads = []
        for axis, size in enumerate(spatial):
            count, before = self._resolve(axis, size)
            covered = (count - 1) * self.strides[axis] + self.extent(axis)
            pads.append((before, covered - size - before))
        return tuple(pads)

    def _resolve(self, axis: int, size: int) -> tuple[int, int]:
        """Number of windows, and the padding before the first element."""
        stride, extent = self.strides[axis], self.extent(axis)
        if self.auto_pad:
            count = -(-size // stride)
            total = max((count - 1) * stride + extent - size, 0)
            return count, (total // 2 if self.auto_pad == "upper" else total - total // 2)
        before, after = self.pads[axis]
        span = size + before + after - extent
        count = (-(-span // stride) if self.ceil else span // stride) + 1
        if self.ceil and (count - 1) * stride >= size + before:
            count -= 1  # a window must begin inside the map or its leading padding
        return count, before


def whole_map(rank: int) -> Window:
    """Stand-in window of a global pool; replaced by the map's own size where the size is known."""
    return Window((0,) * rank, (1,) * rank, (1,) * rank, ((0, 0),) * rank)


class Layer:
    """Base of all layers."""

    kind: ClassVar[Kind]

    def output_shape(self, *inputs: Shape) -> Shape:
        """Shape of one output sample from the shapes of the inputs."""
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Weighted(Layer):
    """Base of the layers with trained weights: ``W x + bias``, with a `bias` (C_out,)."""

    weight: Array
    bias: Array | None

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, eq=False)
class Convolution(Weighted):
    """Cross-correlation with `weight` (C_out, C_in / groups, *kernel) and `bias` (C_out,)."""

    kind: ClassVar[Kind] = "conv"
    window: Window
    groups: int = 1

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.weight.shape[0], *self.window.output_size(inputs[0][1:]))


@dataclass(frozen=True, eq=False)
class TransposedConvolution(Weighted):
    """The adjoint of a convolution with `weight` (C_in, C_out / groups, *kernel), and `bias` (C_out,).

    Each input element adds its multiple of the kernel to a window of the output; `window` is that of the convolution,
    its padding is cropped. The output has `extra` more elements at the end of each axis.
    """

    kind: ClassVar[Kind] = "conv"
    window: Window
    groups: int
    extra: Shape

    @property
    def outputs(self) -> int:
        return int(self.weight.shape[1]) * self.groups

    def output_shape(self, *inputs: Shape) -> Shape:
        window = self.window
        spatial = (
            (size - 1) * stride + window.extent(axis) - sum(pads) + extra
            for axis, (size, stride, pads, extra) in enumerate(
                zip(inputs[0][1:], window.strides, window.pads, self.extra, strict=True)
            )
        )
        return (self.outputs, *spatial)


@dataclass(frozen=True, eq=False)
class Dense(Weighted):
    """Matrix product ``weight @ x + bias`` with `weight` (out, in) and `bias` (out,), for a vector x."""

    kind: ClassVar[Kind] = "dense"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """``scale * x + shift``, both arrays that broadcast against one sample: BatchNorm, Mul or Add of constants."""

    kind: ClassVar[Kind] = "affine"
    scale: Array
    shift: Array


ActivationName: TypeAlias = Literal[
    "relu", "leaky_relu", "clip", "sigmoid", "tanh", "elu", "hard_sigmoid", "hard_swish", "softplus", "softsign",
    "silu", "mish", "gelu", "gelu_tanh", "erf", "exp", "log", "square", "sqrt", "power",
    "reciprocal", "abs",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """An elementwise function.

    ============  ====================================  =================================
    function      value                                 parameters
    ============  ====================================  =================================
    relu          max(x, 0)
    leaky_relu    x if x >= 0 else slope x              `slope`, broadcasts to a sample
    clip          min(max(x, low), high)                `low`, `high`
    sigmoid       1 / (1 + exp(-x))
    tanh          tanh x
    elu           x if x >= 0 else alpha (exp x - 1)    `alpha`
    hard_sigmoid  clip(alpha x + beta, 0, 1)            `alpha`, `beta`
    hard_swish    x clip(x / 6 + 1/2, 0, 1)
    softplus      log(1 + exp x)
    softsign      x / (1 + |x|)
    silu          x sigmoid x
    mish          x tanh softplus x
    gelu          x (1 + erf(x / sqrt 2)) / 2
    gelu_tanh     x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    erf           erf x
    exp           exp x
    log           log x
    square        x^2
    sqrt          sqrt x
    power         x^alpha                               `alpha`
    reciprocal    1 / x
    abs           |x|
    ============  ====================================  =================================
    """

    kind: ClassVar[Kind] = "activation"
    function: ActivationName
    alpha: float = 0.0
    beta: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    slope: Array = field(default_factory=lambda: np.zeros((), np.float32))


@dataclass(frozen=True)
class MaxPool(Layer):
    """Largest value of each window; padding never wins. ``window.kernel == 0`` means the whole map."""

    kind: ClassVar[Kind] = "max"
    window: Window

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *fitted(self.window, inputs[0][1:]).output_size(inputs[0][1:]))


@dataclass(frozen=True)
class AveragePool(Layer):
    """Mean of each window, over the elements inside the map, or over the padding too. Kernel 0: the whole map."""

    kind: ClassVar[Kind] = "average"
    window: Window
    count_include_pad: bool = False

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *fitted(self.window, inputs[0][1:]).output_size(inputs[0][1:]))


@dataclass(frozen=True)
class Interpolation(Layer):
    """Spatial axes of other lengths, their elements weighted means of those before; None for an axis that stays."""

    kind: ClassVar[Kind] = "average"
    samplings: tuple[Sampling | None, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], *resampled(self.samplings, inputs[0][1:]))

    @property
    def is_convex(self) -> bool:
        """Whether no weight is negative."""
        return all(sampling is None or sampling.mode == "linear" for sampling in self.samplings)


def resampled(samplings: tuple[Sampling | None, ...], sizes: Shape) -> Shape:
    """The lengths of some axes after a sampling of each."""
    return tuple(
        sampling.output_size(size) if sampling else size for sampling, size in zip(samplings, sizes, strict=True)
    )


def fitted(window: Window, spatial: Shape) -> Window:
    """The window itself, or, for a global pool, one as large as the map."""
    if 0 not in window.kernel:
        return window
    ones = (1,) * len(spatial)
    return Window(spatial, ones, ones, ((0, 0),) * len(spatial))


@dataclass(frozen=True)
class Sum(Layer):
    """Sum of branches of equal shape."""

    kind: ClassVar[Kind] = "sum"


@dataclass(frozen=True)
class Gate(Layer):
    """Product, or sum, of two branches of equal shape: of a signal, and of a gate that says how much of it goes on.

    A gate that is added shifts the signal, as one made of its mean does that centres it.
    """

    kind: ClassVar[Kind] = "gate"
    operation: Literal["times", "plus"] = "times"


@dataclass(frozen=True)
class Concat(Layer):
    """Branches side by side along `axis`."""

    kind: ClassVar[Kind] = "routing"
    axis: int

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        total = sum(shape[self.axis] for shape in inputs)
        return (*first[: self.axis], total, *first[self.axis + 1 :])


@dataclass(frozen=True)
class Reshape(Layer):
    """The same elements in the same order; at most one entry of `shape` is -1."""

    kind: ClassVar[Kind] = "routing"
    shape: Shape

    def output_shape(self, *inputs: Shape) -> Shape:
        if -1 not in self.shape:
            return self.shape
        rest = math.prod(size for size in self.shape if size != -1)
        return tuple(math.prod(inputs[0]) // rest if size == -1 else size for size in self.shape)


@dataclass(frozen=True)
class Transpose(Layer):
    """Axes in another order: output axis i is input axis ``permutation[i]`` (batch axis not counted)."""

    kind: ClassVar[Kind] = "routing"
    permutation: Shape

    def output_shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][axis] for axis in self.permutation)


@dataclass(frozen=True)
class Pad(Layer):
    """`value` around the sample, (before, after) per axis; a negative amount crops."""

    kind: ClassVar[Kind] = "routing"
    pads: Pads
    value: float = 0.0

    def output_shape(self, *inputs: Shape) -> Shape:
        return tuple(size + before + after for size, (before, after) in zip(inputs[0], self.pads, strict=True))


@dataclass(frozen=True)
class Gather(Layer):
    """The elements at `indices` along `axis`, in that order: any number of times, or not at all."""

    kind: ClassVar[Kind] = "routing"
    axis: int
    indices: tuple[int, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        return (*first[: self.axis], len(self.indices), *first[self.axis + 1 :])


@dataclass(frozen=True)
class Nearest(Layer):
    """Axes of other lengths, each element the nearest one before; None for an axis that stays."""

    kind: ClassVar[Kind] = "routing"
    samplings: tuple[Sampling | None, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        return resampled(self.samplings, inputs[0])


@dataclass(frozen=True)
class Moves(Layer):
    """Several layers that move values, and fill nothing, as one: what lies between them is never made."""

    kind: ClassVar[Kind] = "routing"
    layers: tuple[Layer, ...]

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape
