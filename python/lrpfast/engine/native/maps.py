"""The linear maps of layers on the compiled core, for one shape of input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from lrpfast import _native as core
from lrpfast.engine.native.layout import (
    BLOCK,
    Floats,
    Halo,
    Recorder,
    adjoint_halo,
    forward_halo,
    size3,
    window3,
)
from lrpfast.engine.native.methods import Method, patches_below, sparse_below, strips_pay, winograd_pays
from lrpfast.engine.native.stacks import FLAT, WHOLE, Blocks, mirrored
from lrpfast.engine.native.weights import PreparedWeights, depends_on_sign, whole_blocks
from lrpfast.model.layers import Convolution, Shape, TransposedConvolution, Window
from lrpfast.rules.terms import AS_IS, Part, WeightPart

#: one value per channel in lanes of 16, or a map of one sample, or nothing
Bias: TypeAlias = Floats | core.Tensor | None

#: values, or what they are made of: blocks of weights, parts of the inputs, and these
Source: TypeAlias = core.Tensor | tuple[Blocks, list[Part], list[core.Tensor]]

#: a dense layer is a convolution of one pixel
ONE_PIXEL = Window((), (), (), ())

IDENTITY = core.FunctionParameters(core.Function.identity, 0, 0, 0, 0)


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
        if depends_on_sign(blocks) and (not adjoint or self.products > self.shape[0] or not mirrored(blocks)):
            return "skip", 0
        if adjoint and self.spreads_at_once(blocks):
            return "patch", patches_below(self.layer_window, self.shape[1:])
        outputs, inputs = self.out_shape[0] * len(blocks), self.shape[0] * len(blocks[0])
        targets, sources = (inputs, outputs) if adjoint else (outputs, inputs)
        if min(targets, sources) < BLOCK:
            return "skip", 0
        by_sign = depends_on_sign(blocks)
        return "skip", sparse_below(self.layer_window, self.shape[1:], targets, adjoint, self.winograd, by_sign)

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

    def prepare_image(self) -> None:
        """Make what `evaluate_image` needs."""
        self.weights.prepare(WHOLE, False, ["image"])

    def evaluate_image(self, on: Recorder, image: core.Tensor, to: core.Epilogue) -> None:
        """Hand on ``M x`` of an image in planes."""
        packed = self.weights.packed(WHOLE, False, "image")
        assert isinstance(packed, core.PackedWeights)
        window, (_, rows, columns) = self.layer_window, size3(self.layer_window.kernel)
        over_channels = core.Window(
            (self.shape[0], rows, columns), size3(window.strides), size3(window.dilations), size3(self.before, 0)
        )
        on.add(core.convolve(packed, over_channels, image, to, in_planes=True))

    def spread(self, on: Recorder, blocks: Blocks, s: core.Tensor, to: core.Epilogue) -> None:
        self._convolve(on, blocks, True, s, to)

    def runs_in_strips(self, blocks: Blocks) -> bool:
        """Whether `redistribute` does, and is faster than one map after the other."""
        if not self.together or self.weights.transposed or blocks == FLAT:
            return False
        inputs, outputs = self.shape[0] * len(blocks[0]), self.out_shape[0] * len(blocks)
        return min(inputs, outputs) >= BLOCK and strips_pay(self.layer_window, self.shape[1:], inputs, outputs)

    def redistribute(
        self, on: Recorder, source: Source, quotient: core.Quotient, ways: Sequence[tuple[Blocks, core.Contribution]]
    ) -> None:
        """A whole rule, strip by strip: denominators, their quotients, and these handed down.

        The source is the denominators, or an input with the weights and the parts that make them.
        """
        weights = None
        if isinstance(source, core.Tensor):
            values = source
        else:
            blocks, parts, inputs = source
            weights = self._dense(blocks, False)
            values = taken(on, parts, inputs[0], self.shape, self.halo)
        back = [(self._dense(blocks, True), to) for blocks, to in ways]
        on.add(core.redistribute(weights, values, quotient, back))

    def _dense(self, blocks: Blocks, adjoint: bool) -> core.PackedWeights:
        packed = self.weights.packed(blocks, adjoint, "dense")
        assert isinstance(packed, core.PackedWeights)
        return packed

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
            factors = mirrored(blocks)
            if factors is not None:
                return core.skip_by_sign(packed, source, to, factors)
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
