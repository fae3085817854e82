"""The linear maps of layers on the compiled core.

`PreparedWeights` depends on the model alone and is made once; a map is made of it for one shape of input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast import _native as core
from lrpfast.engine.native.layout import (
    BLOCK,
    Bench,
    Floats,
    Halo,
    Recorder,
    adjoint_halo,
    forward_halo,
    lanes,
    window3,
)
from lrpfast.engine.native.methods import Method, patches_below, sparse_below, winograd_pays
from lrpfast.engine.native.stacks import FLAT, Block, Blocks, BySign
from lrpfast.engine.reference.maps import modified, window_counts
from lrpfast.model.layers import (
    Affine,
    Array,
    AveragePool,
    Convolution,
    Interpolation,
    Shape,
    TransposedConvolution,
    Weighted,
    Window,
    fitted,
)
from lrpfast.rules.terms import AS_IS, NOTHING, Part, WeightPart

#: one value per channel in lanes of 16, or a map of one sample, or nothing
Bias: TypeAlias = Floats | core.Tensor | None

#: a dense layer is a convolution of one pixel
ONE_PIXEL = Window((), (), (), ())

IDENTITY = core.FunctionParameters(core.Function.identity, 0, 0, 0, 0)

#: blocks whatever the sign of the input
PlainBlocks: TypeAlias = tuple[tuple[WeightPart | None, ...], ...]

Indices: TypeAlias = npt.NDArray[np.int64]

#: a sparse matrix between pixels: where the entries of each target end, their sources, and their weights
Pixels: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Floats]

Packed: TypeAlias = core.PackedWeights | core.WinogradWeights | core.SkipWeights | core.PatchWeights


class PreparedWeights:
    """The packed weights of one layer, for every direction, stack and method that is asked for.

    Those of a transposed convolution are packed as of the convolution that it is the adjoint of: what it calls its
    outputs are inputs here.
    """

    def __init__(self, layer: Weighted) -> None:
        self.layer = layer
        self.transposed = isinstance(layer, TransposedConvolution)
        self.groups = layer.groups if isinstance(layer, Convolution | TransposedConvolution) else 1
        self._packed: dict[tuple[Blocks, bool, Method], Packed] = {}

    def packed(self, blocks: Blocks, adjoint: bool, method: Method) -> Packed:
        """The weights of a block matrix, packed on first demand."""
        self.prepare(blocks, adjoint, [method])
        return self._packed[blocks, adjoint, method]

    def prepare(self, blocks: Blocks, adjoint: bool, methods: Sequence[Method]) -> None:
        """Pack a block matrix for several methods, where that is not done yet."""
        missing = [method for method in methods if (blocks, adjoint, method) not in self._packed]
        if missing:
            weight = self._assembled(_for_sign(blocks, negative=False))
            for_negative = self._assembled(_for_sign(blocks, negative=True)) if depends_on_sign(blocks) else None
            for method in missing:
                self._packed[blocks, adjoint, method] = self._pack(weight, for_negative, adjoint, method)

    def _pack(self, weight: Floats, for_negative: Floats | None, adjoint: bool, method: Method) -> Packed:
        match method:
            case "winograd":
                return core.WinogradWeights(weight, adjoint)
            case "skip":
                return core.SkipWeights(weight, adjoint, for_negative)
            case "patch":
                assert isinstance(self.layer, Convolution)
                return core.PatchWeights(weight, *self.layer.window.kernel)
            case "dense":
                return core.PackedWeights(weight, self.groups, adjoint, for_negative)

    @property
    def bytes(self) -> int:
        """Memory of all packed weights."""
        return sum(packed.bytes for packed in self._packed.values())

    def _assembled(self, blocks: PlainBlocks) -> Floats:
        """The block matrix (outputs, inputs, taps); between blocks, channels are filled up to a multiple of 16."""
        weight = self.layer.weight.reshape(*self.layer.weight.shape[:2], -1).astype(np.float32, copy=False)
        if blocks == FLAT and self.groups == 1:
            outputs, inputs, taps = weight.shape
            return np.ones((outputs, 1, taps) if self.transposed else (1, inputs, taps), np.float32)
        rows, columns = len(blocks), len(blocks[0])
        only = blocks[0][0]
        if rows == columns == 1 and only is not None:
            return np.ascontiguousarray(modified(weight, only))
        outputs, inputs = whole_blocks(len(weight), rows), whole_blocks(weight.shape[1], columns)
        assembled = np.zeros((rows, outputs, columns, inputs, weight.shape[2]), np.float32)
        for row, members in enumerate(blocks):
            for column, block in enumerate(members):
                if block is not None:
                    assembled[row, : len(weight), column, : weight.shape[1]] = modified(weight, block)
        return assembled.reshape(rows * outputs, columns * inputs, -1)

    def bias(self, part: WeightPart) -> Floats | None:
        """The bias of a part in lanes of 16, or None where there is none."""
        if self.layer.bias is None or part == NOTHING:
            return None
        return lanes(modified(self.layer.bias.astype(np.float32, copy=False), part))


def depends_on_sign(blocks: Blocks) -> bool:
    """Whether the weights depend on the sign of what they meet."""
    return any(isinstance(block, BySign) for row in blocks for block in row)


def _for_sign(blocks: Blocks, negative: bool) -> PlainBlocks:
    """The blocks for values of one sign."""

    def of(block: Block) -> WeightPart | None:
        if isinstance(block, BySign):
            return block.negative if negative else block.positive
        return block

    return tuple(tuple(of(block) for block in row) for row in blocks)


def whole_blocks(channels: int, members: int) -> int:
    """Channels of each of several maps in one tensor: filled up to whole blocks if there are several."""
    return channels if members == 1 else -(-channels // BLOCK) * BLOCK


class LinearMap(Protocol):
    """A linear map with modified weights, its adjoint and its bias on tensors.

    `inputs` holds one tensor per branch; results go to an epilogue.
    """

    halo: Halo  # around the inputs
    s_halo: Halo  # around what the adjoint reads
    together: bool  # whether several groups and parts may run at once
    by_sign: bool  # whether weights may depend on the sign of the input
    branches: int  # how many inputs it has
    out_shape: Shape

    def prepare(self, blocks: Blocks, adjoint: bool) -> None:
        """Make what does not depend on the input."""

    def evaluate(
        self, on: Recorder, blocks: Blocks, parts: list[Part], inputs: list[core.Tensor], to: core.Epilogue
    ) -> None:
        """Hand on ``sum_p M_gp x_p``, the groups g behind one another."""

    def spread(self, on: Recorder, blocks: Blocks, s: core.Tensor, to: core.Epilogue) -> None:
        """Hand on ``sum_g M_gp' s_g``, the parts p behind one another."""

    def spreads_at_once(self, blocks: Blocks) -> bool:
        """Whether `spread` takes the blocks of several parts, and hands them down in order."""

    def bias(self, part: WeightPart) -> Bias: ...


class ConvolutionMap:
    """A convolution, the adjoint of one, or a dense layer."""

    halo = s_halo = Halo()
    branches = 1

    def __init__(self, weights: PreparedWeights, shape: Shape, roomy: bool) -> None:
        """`roomy` allows methods whose weights take more memory than those of a convolution by definition."""
        layer, transposed = weights.layer, weights.transposed
        window = layer.window if isinstance(layer, Convolution | TransposedConvolution) else ONE_PIXEL
        self.weights, self.shape, self.out_shape = weights, shape, layer.output_shape(shape)
        spatial = self.out_shape[1:] if transposed else shape[1:]  # where the windows slide
        self.layer_window, self.window = window, window3(window, spatial)
        self.together = weights.groups == 1
        self.products = (layer.weight[:, 0] if transposed else layer.weight[0]).size  # added up for each value
        self.roomy, self.winograd = roomy and not transposed, roomy and winograd_pays(layer, shape)
        # An image of few channels goes back with all its parts at once in another way, see `spreads_at_once`.
        self.by_sign = self.together and not transposed and not self.winograd and 2 * shape[0] > core.NARROW
        if not self.winograd:
            self.halo, self.s_halo = forward_halo(window, spatial), adjoint_halo(window, spatial)
        if transposed:
            self.halo, self.s_halo = self.s_halo, self.halo
        self.before = tuple(pad for pad, _ in window.pads_for(spatial))

    def prepare(self, blocks: Blocks, adjoint: bool) -> None:
        for run in self._runs(blocks):
            self.weights.prepare(*self._of_weights(run, adjoint), self._methods(run, adjoint))

    def _of_weights(self, blocks: Blocks, adjoint: bool) -> tuple[Blocks, bool]:
        """The blocks and the direction as the packed weights have them."""
        return (tuple(zip(*blocks, strict=True)), not adjoint) if self.weights.transposed else (blocks, adjoint)

    def _runs(self, blocks: Blocks) -> list[Blocks]:
        """What is computed in one go: all parts of the input, or with groups of channels one after the other."""
        if self.together:
            return [blocks]
        return [tuple((row[column],) for row in blocks) for column in range(len(blocks[0]))]

    def _methods(self, blocks: Blocks, adjoint: bool) -> list[Method]:
        """How the map may run: in one way, or by visiting what is not zero where that is less."""
        usual: Method = "winograd" if self.winograd else "dense"
        sparse, below = self._sparse_method(blocks, adjoint)
        return [usual, sparse] if below > 0 else [usual]

    def _sparse_method(self, blocks: Blocks, adjoint: bool) -> tuple[Method, float]:
        """How to visit only values that are not zero, and the share of these up to which that pays; 0: never."""
        if not self.together or not self.roomy or blocks == FLAT:
            return "skip", 0
        if depends_on_sign(blocks) and (not adjoint or self.products > self.shape[0]):
            return "skip", 0
        if adjoint and self.spreads_at_once(blocks):
            return "patch", patches_below(self.layer_window, self.shape[1:])
        outputs, inputs = self.out_shape[0] * len(blocks), self.shape[0] * len(blocks[0])
        targets, sources = (inputs, outputs) if adjoint else (outputs, inputs)
        if min(targets, sources) < BLOCK:
            return "skip", 0
        return "skip", sparse_below(self.layer_window, self.shape[1:], targets, adjoint, self.winograd)

    def evaluate(
        self, on: Recorder, blocks: Blocks, parts: list[Part], inputs: list[core.Tensor], to: core.Epilogue
    ) -> None:
        runs = self._runs(blocks)
        if len(runs) == 1:
            self._convolve(on, blocks, False, taken(on, parts, inputs[0], self.shape, self.halo), to)
            return
        total = None
        for run, part in zip(runs, parts, strict=True):
            value = on.tensor(inputs[0].samples, self.out_shape)
            self._convolve(on, run, False, taken(on, [part], inputs[0], self.shape, self.halo), kept(value))
            total = value if total is None else added(on, total, value)
        assert total is not None
        on.add(core.take_up([total], to))

    def spread(self, on: Recorder, blocks: Blocks, s: core.Tensor, to: core.Epilogue) -> None:
        self._convolve(on, blocks, True, s, to)

    def spreads_at_once(self, blocks: Blocks) -> bool:
        few = self.together and not self.weights.transposed and self.shape[0] * len(blocks[0]) <= core.NARROW
        packed = self.weights.packed(blocks, True, "dense") if few else None
        return isinstance(packed, core.PackedWeights) and packed.is_narrow

    def _convolve(self, on: Recorder, blocks: Blocks, adjoint: bool, source: core.Tensor, to: core.Epilogue) -> None:
        steps = [self._step(blocks, adjoint, method, source, to) for method in self._methods(blocks, adjoint)]
        if len(steps) == 1:
            on.add(steps[0])
        else:
            usual, sparse = steps
            on.add(core.sparse_or(sparse, usual, source, self._sparse_method(blocks, adjoint)[1]))

    def _step(
        self, blocks: Blocks, adjoint: bool, method: Method, source: core.Tensor, to: core.Epilogue
    ) -> core.BatchStep:
        packed = self.weights.packed(*self._of_weights(blocks, adjoint), method)
        if isinstance(packed, core.WinogradWeights):
            rows, columns = self.before
            before = (2 - rows, 2 - columns) if adjoint else (rows, columns)
            return core.winograd(packed, before, source, to)
        if isinstance(packed, core.SkipWeights):
            return core.skip(packed, self.window, source, to)
        if isinstance(packed, core.PatchWeights):
            return core.patch(packed, self.window, source, to)
        return core.convolve(packed, self.window, source, to)

    def bias(self, part: WeightPart) -> Bias:
        return self.weights.bias(part)


def kept(value: core.Tensor) -> core.Activation:
    """The epilogue that keeps the values as they are."""
    return core.Activation(value.samples, value.channels, value.size, IDENTITY, y=value)


def added(on: Recorder, total: core.Tensor, value: core.Tensor) -> core.Tensor:
    """``total + value``, in the memory of `value`."""
    on.add(core.add(total, value, value))
    return value


def taken(on: Recorder, parts: list[Part], a: core.Tensor, shape: Shape, halo: Halo) -> core.Tensor:
    """Parts of an input, behind one another."""
    if parts == [AS_IS]:
        return a
    channels = whole_blocks(shape[0], len(parts))
    out = on.tensor(a.samples, (len(parts) * channels, *shape[1:]), halo)
    for index, part in enumerate(parts):
        place = out.channels_from(index * channels, shape[0])
        on.add(core.part(part.positive, part.negative, a, place))
    return out


class ElementwiseMap:
    """Base of the maps whose steps are cheap: one part after the other, through tensors.

    `apply` and `unapply` give ``W_t a`` and ``W_t' s`` for one modification of the weights.
    """

    halo = s_halo = Halo()
    together = by_sign = False
    branches = 1

    def __init__(self, shape: Shape, out_shape: Shape) -> None:
        self.shape, self.out_shape = shape, out_shape

    def apply(self, on: Recorder, part: WeightPart, inputs: list[core.Tensor]) -> core.Tensor:
        raise NotImplementedError

    def unapply(self, on: Recorder, part: WeightPart, s: core.Tensor) -> core.Tensor:
        raise NotImplementedError

    def prepare(self, blocks: Blocks, adjoint: bool) -> None:
        pass

    def evaluate(
        self, on: Recorder, blocks: Blocks, parts: list[Part], inputs: list[core.Tensor], to: core.Epilogue
    ) -> None:
        total = None
        for block, part in zip(blocks[0], parts, strict=True):
            if block is None:
                continue
            assert not isinstance(block, BySign)
            value = self.apply(on, block, [taken(on, [part], a, self.shape, self.halo) for a in inputs])
            total = value if total is None else added(on, total, value)
        assert total is not None
        on.add(core.take_up([total], to))

    def spreads_at_once(self, blocks: Blocks) -> bool:
        return False

    def spread(self, on: Recorder, blocks: Blocks, s: core.Tensor, to: core.Epilogue) -> None:
        block = blocks[0][0]
        assert block is not None and not isinstance(block, BySign)
        on.add(core.take_up([self.unapply(on, block, s)], to))

    def bias(self, part: WeightPart) -> Bias:
        return None


class AffineMap(ElementwiseMap):
    """A diagonal matrix, whose bias is the shift: maps of one sample, since both may differ at every element."""

    def __init__(self, bench: Bench, layer: Affine, shape: Shape) -> None:
        super().__init__(shape, shape)
        self.bench, self.layer = bench, layer
        self._scales: dict[WeightPart, core.Tensor] = {}
        self._shifts: dict[WeightPart, core.Tensor] = {}

    def _map(self, known: dict[WeightPart, core.Tensor], part: WeightPart, values: Array) -> core.Tensor:
        if part not in known:
            known[part] = self.bench.loaded(np.broadcast_to(modified(values, part), self.out_shape)[np.newaxis])
        return known[part]

    def apply(self, on: Recorder, part: WeightPart, inputs: list[core.Tensor]) -> core.Tensor:
        out = on.tensor(inputs[0].samples, self.out_shape)
        on.add(core.affine(inputs[0], self._map(self._scales, part, self.layer.scale), None, out))
        return out

    def unapply(self, on: Recorder, part: WeightPart, s: core.Tensor) -> core.Tensor:
        return self.apply(on, part, [s])

    def bias(self, part: WeightPart) -> Bias:
        return None if part == NOTHING else self._map(self._shifts, part, self.layer.shift)


class AverageMap(ElementwiseMap):
    """The mean of each window: its weights are positive, so no rule changes them."""

    def __init__(self, layer: AveragePool, shape: Shape) -> None:
        super().__init__(shape, layer.output_shape(shape))
        spatial = shape[1:]
        window = fitted(layer.window, spatial)
        self.window = window3(window, spatial)
        counts = window_counts(window, spatial, layer.count_include_pad)
        self.factors = np.ascontiguousarray(1 / counts, np.float32)

    def apply(self, on: Recorder, part: WeightPart, inputs: list[core.Tensor]) -> core.Tensor:
        out = on.tensor(inputs[0].samples, self.out_shape)
        on.add(core.sum_pool(self.window, inputs[0], self.factors, out))
        return out

    def unapply(self, on: Recorder, part: WeightPart, s: core.Tensor) -> core.Tensor:
        out = on.tensor(s.samples, self.shape)
        on.add(core.sum_unpool(self.window, s, self.factors, out))
        return out


class SumMap(ElementwiseMap):
    """The sum of branches; the adjoint hands every branch the same."""

    def __init__(self, shape: Shape, branches: int) -> None:
        super().__init__(shape, shape)
        self.branches = branches

    def apply(self, on: Recorder, part: WeightPart, inputs: list[core.Tensor]) -> core.Tensor:
        out = on.tensor(inputs[0].samples, self.out_shape)
        on.add(core.take_up(inputs, kept(out)))
        return out

    def unapply(self, on: Recorder, part: WeightPart, s: core.Tensor) -> core.Tensor:
        return s


class InterpolationMap(ElementwiseMap):
    """A sparse matrix between pixels, the same for every channel."""

    def __init__(self, layer: Interpolation, shape: Shape) -> None:
        super().__init__(shape, layer.output_shape(shape))
        out, size = self.out_shape[1:], shape[1:]
        rows, columns, weights = np.zeros(1, np.int64), np.zeros(1, np.int64), np.ones(1)
        for sampling, before, after in zip(layer.samplings, size, out, strict=True):
            matrix = np.eye(before) if sampling is None else sampling.matrix(before)
            row, column = np.nonzero(matrix)
            rows = np.add.outer(rows * after, row).ravel()
            columns = np.add.outer(columns * before, column).ravel()
            weights = np.multiply.outer(weights, matrix[row, column]).ravel()
        self._forward = _by_target(rows, columns, weights, math.prod(out))
        self._adjoint = _by_target(columns, rows, weights, math.prod(size))

    def apply(self, on: Recorder, part: WeightPart, inputs: list[core.Tensor]) -> core.Tensor:
        return self._blended(on, self._forward, inputs[0], self.out_shape)

    def unapply(self, on: Recorder, part: WeightPart, s: core.Tensor) -> core.Tensor:
        return self._blended(on, self._adjoint, s, self.shape)

    def _blended(self, on: Recorder, pixels: Pixels, source: core.Tensor, shape: Shape) -> core.Tensor:
        target = on.tensor(source.samples, shape)
        on.add(core.blend(source, *pixels, target))
        return target


def _by_target(targets: Indices, sources: Indices, weights: npt.NDArray[np.float64], count: int) -> Pixels:
    """The entries of a sparse matrix in the order of their targets; where those of each target end comes first."""
    order = np.argsort(targets, kind="stable")
    ends = np.cumsum(np.bincount(targets, minlength=count))
    return ends.astype(np.int32), sources[order].astype(np.int32), weights[order].astype(np.float32)
