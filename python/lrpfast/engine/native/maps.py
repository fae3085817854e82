"""The linear maps of layers on the compiled core.

`PreparedWeights` depends on the model alone and is made once; a map is made of it for one shape of input.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.native.layout import Floats, Halo, Workshop, adjoint_halo, forward_halo, lanes, window3
from lrpfast.engine.plan import Step
from lrpfast.engine.reference.maps import modified, window_counts
from lrpfast.model.layers import Affine, Array, AveragePool, Convolution, Dense, Shape, Window, fitted
from lrpfast.rules import Gradient
from lrpfast.rules.terms import AS_IS, NOTHING, WeightPart

#: one value per channel in lanes of 16, or a map of one sample, or nothing
Bias: TypeAlias = Floats | core.Tensor | None

#: a dense layer is a convolution of one pixel
ONE_PIXEL = Window((), (), (), ())


class PreparedWeights:
    """The packed weights of one convolution or dense layer, for every direction and part that a step needs."""

    def __init__(self, step: Step, layer: Convolution | Dense) -> None:
        self.layer = layer
        self.biases: dict[WeightPart, Floats] = {}
        self.packed = {
            (part, adjoint): self._pack(part, adjoint) for part, adjoint in dict.fromkeys(self._needed(step))
        }

    @staticmethod
    def _needed(step: Step) -> list[tuple[WeightPart, bool]]:
        needed: list[tuple[WeightPart, bool]] = [(AS_IS, False)]
        for group in step.groups:
            for term in group.terms:
                needed.append((term.weight, True))
                if group.denominator != "forward":
                    needed.append((term.weight, False))
        return [*needed, (AS_IS, True)] if isinstance(step.rule, Gradient) else needed

    def _pack(self, part: WeightPart, adjoint: bool) -> core.PackedWeights:
        weight = modified(self.layer.weight.astype(np.float32, copy=False), part)
        groups = self.layer.groups if isinstance(self.layer, Convolution) else 1
        return core.PackedWeights(np.ascontiguousarray(weight).reshape(*weight.shape[:2], -1), groups, adjoint)

    def bias(self, part: WeightPart) -> Floats | None:
        """The bias of a part in lanes of 16, or None where there is none."""
        if self.layer.bias is None or part == NOTHING:
            return None
        if part not in self.biases:
            self.biases[part] = lanes(modified(self.layer.bias.astype(np.float32, copy=False), part))
        return self.biases[part]


class LinearMap(Protocol):
    """``W_t a``, its adjoint and its bias on tensors; `inputs` holds one tensor per branch."""

    halo: Halo  # around the inputs
    s_halo: Halo  # around what the adjoint reads
    out_shape: Shape

    def forward(self, part: WeightPart, inputs: list[core.Tensor], bias: Bias, out: core.Tensor) -> None: ...

    def adjoint(self, part: WeightPart, s: core.Tensor, branch: int) -> core.Tensor: ...

    def bias(self, part: WeightPart) -> Bias: ...


class ConvolutionMap:
    """A convolution or a dense layer."""

    def __init__(self, shop: Workshop, weights: PreparedWeights, shape: Shape) -> None:
        layer, spatial = weights.layer, shape[1:]
        window = layer.window if isinstance(layer, Convolution) else ONE_PIXEL
        self.shop, self.weights, self.shape = shop, weights, shape
        self.window = window3(window, spatial)
        self.halo, self.s_halo = forward_halo(window, spatial), adjoint_halo(window, spatial)
        self.out_shape = layer.output_shape(shape)

    def forward(self, part: WeightPart, inputs: list[core.Tensor], bias: Bias, out: core.Tensor) -> None:
        packed = self.weights.packed[part, False]
        values = bias if isinstance(bias, np.ndarray) else None
        core.convolve(packed, self.window, inputs[0], out, values, False, self.shop.threads)

    def adjoint(self, part: WeightPart, s: core.Tensor, branch: int) -> core.Tensor:
        out = self.shop.tensor(s.samples, self.shape)
        core.convolve(self.weights.packed[part, True], self.window, s, out, None, False, self.shop.threads)
        return out

    def bias(self, part: WeightPart) -> Bias:
        return self.weights.bias(part)


class AffineMap:
    """A diagonal matrix, whose bias is the shift: maps of one sample, since both may differ at every element."""

    halo = s_halo = Halo()

    def __init__(self, shop: Workshop, layer: Affine, shape: Shape) -> None:
        self.shop, self.layer, self.out_shape = shop, layer, shape
        self._scales: dict[WeightPart, core.Tensor] = {}
        self._shifts: dict[WeightPart, core.Tensor] = {}

    def _map(self, known: dict[WeightPart, core.Tensor], part: WeightPart, values: Array) -> core.Tensor:
        if part not in known:
            known[part] = self.shop.loaded(np.broadcast_to(modified(values, part), self.out_shape)[np.newaxis])
        return known[part]

    def _apply(self, part: WeightPart, x: core.Tensor, shift: core.Tensor | None, out: core.Tensor) -> None:
        core.affine(x, self._map(self._scales, part, self.layer.scale), shift, out, self.shop.threads)

    def forward(self, part: WeightPart, inputs: list[core.Tensor], bias: Bias, out: core.Tensor) -> None:
        self._apply(part, inputs[0], bias if isinstance(bias, core.Tensor) else None, out)

    def adjoint(self, part: WeightPart, s: core.Tensor, branch: int) -> core.Tensor:
        out = self.shop.tensor(s.samples, self.out_shape)
        self._apply(part, s, None, out)
        return out

    def bias(self, part: WeightPart) -> Bias:
        return None if part == NOTHING else self._map(self._shifts, part, self.layer.shift)


class AverageMap:
    """The mean of each window: its weights are positive, so no rule changes them."""

    halo = s_halo = Halo()

    def __init__(self, shop: Workshop, layer: AveragePool, shape: Shape) -> None:
        spatial = shape[1:]
        window = fitted(layer.window, spatial)
        self.shop, self.shape, self.out_shape = shop, shape, layer.output_shape(shape)
        self.window = window3(window, spatial)
        counts = window_counts(window, spatial, layer.count_include_pad)
        self.factors = np.ascontiguousarray(1 / counts, np.float32)

    def forward(self, part: WeightPart, inputs: list[core.Tensor], bias: Bias, out: core.Tensor) -> None:
        core.sum_pool(self.window, inputs[0], self.factors, out, self.shop.threads)

    def adjoint(self, part: WeightPart, s: core.Tensor, branch: int) -> core.Tensor:
        out = self.shop.tensor(s.samples, self.shape)
        core.sum_unpool(self.window, s, self.factors, out, self.shop.threads)
        return out

    def bias(self, part: WeightPart) -> Bias:
        return None


class SumMap:
    """The sum of branches; the adjoint hands every branch the same."""

    halo = s_halo = Halo()

    def __init__(self, shop: Workshop, shape: Shape) -> None:
        self.shop, self.out_shape = shop, shape

    def forward(self, part: WeightPart, inputs: list[core.Tensor], bias: Bias, out: core.Tensor) -> None:
        core.affine(inputs[0], None, None, out, self.shop.threads)
        for branch in inputs[1:]:
            core.add(out, branch, out, self.shop.threads)

    def adjoint(self, part: WeightPart, s: core.Tensor, branch: int) -> core.Tensor:
        return s

    def bias(self, part: WeightPart) -> Bias:
        return None
