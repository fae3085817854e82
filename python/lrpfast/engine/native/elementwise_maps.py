"""The linear maps whose steps are cheap: scales, averages, sums, interpolation."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast import _native as core
from lrpfast.engine.native.layout import Bench, Floats, Halo, Recorder, window3
from lrpfast.engine.native.maps import Bias, added, kept, taken
from lrpfast.engine.native.stacks import Blocks, BySign
from lrpfast.engine.reference.maps import modified, window_counts
from lrpfast.model.layers import Affine, Array, AveragePool, Interpolation, Shape, fitted
from lrpfast.rules.terms import NOTHING, Part, WeightPart

Indices: TypeAlias = npt.NDArray[np.int64]

#: a sparse matrix between pixels: where the entries of each target end, their sources, and their weights
Pixels: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Floats]


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
