"""Layers of any size on the native kernels, against NumPy; and the core's own functions on operands of any size."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tools.fuzz.choice import pick

from lrpfast import LRP, LRPError, Model
from lrpfast import _native as core
from lrpfast.composites import Composite
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import (
    Activation,
    ActivationName,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Gate,
    Gather,
    Interpolation,
    Layer,
    MaxPool,
    Pad,
    Reshape,
    Shape,
    Sum,
    Transpose,
    TransposedConvolution,
    Window,
)
from lrpfast.model.sampling import Sampling
from lrpfast.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    LinearRule,
    Magnitude,
    Norm,
    Proportional,
    Rule,
    Ties,
    WSquare,
    ZBox,
    ZPlus,
)

Floats = npt.NDArray[Any]

CHANNELS = (1, 2, 3, 5, 8, 15, 16, 17, 20, 31, 32, 33, 48, 64, 65, 130)
LARGEST = 6000  # elements of a value
FUNCTIONS: tuple[ActivationName, ...] = (
    "relu", "relu", "relu", "leaky_relu", "sigmoid", "tanh", "elu", "hard_sigmoid", "hard_swish", "softplus",
    "softsign", "silu", "mish", "gelu", "gelu_tanh", "erf", "abs", "square",
)  # fmt: skip
LINEAR: tuple[LinearRule, ...] = (
    Epsilon(0.5), Epsilon(0.5), ZPlus(0.1), AlphaBeta(2, 1, 0.1), AlphaBeta(1, 0, 0.1), Gamma(0.25, 0.1),
    ZBox(-3, 3, 0.1), WSquare(0.1), Flat(0.1),
)  # fmt: skip


def _window(rng: np.random.Generator, spatial: Shape, largest: int = 5) -> Window:
    """One that gives at least one output."""
    kernel, strides, dilations, pads = [], [], [], []
    for size in spatial:
        side = int(rng.integers(1, largest + 1))
        dilation = pick(rng, (1, 1, 1, 2, 3))
        before, after = (int(rng.integers(0, side)) if rng.random() < 0.6 else 0 for _ in range(2))
        while (side - 1) * dilation + 1 > size + before + after:
            side, dilation, before, after = side - 1 or 1, 1, 0, 0
        kernel.append(side)
        dilations.append(dilation)
        strides.append(pick(rng, (1, 1, 1, 2, 2, 3, 4)))
        pads.append((before, after))
    auto = pick(rng, ("", "", "", "upper", "lower"))
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(pads), auto_pad=auto)


def _weights(rng: np.random.Generator, *shape: int) -> Floats:
    """Numbers of which some are zero, at times all of an output's."""
    values = rng.standard_normal(shape) / math.sqrt(max(1, math.prod(shape[1:])))
    if rng.random() < 0.2:
        values[rng.random(shape[0]) < 0.5] = 0
    return values.astype(np.float32)


def _maybe_bias(rng: np.random.Generator, size: int) -> Floats | None:
    return None if rng.random() < 0.3 else (0.3 * rng.standard_normal(size)).astype(np.float32)


def _convolution(rng: np.random.Generator, shape: Shape) -> Layer:
    window, channels = _window(rng, shape[1:]), shape[0]
    divisors = [number for number in range(1, channels + 1) if channels % number == 0]
    groups = pick(rng, (1, 1, 1, channels, pick(rng, divisors)))
    outputs = groups * pick(rng, (1, 1, 2, 3)) if groups > 1 else pick(rng, CHANNELS)
    weight = _weights(rng, outputs, channels // groups, *window.kernel)
    return Convolution(weight, _maybe_bias(rng, outputs), window, groups)


def _transposed(rng: np.random.Generator, shape: Shape) -> Layer:
    rank, channels = len(shape) - 1, shape[0]
    kernel, strides = (tuple(int(rng.integers(1, 4)) for _ in range(rank)) for _ in range(2))
    groups = channels if rng.random() < 0.2 else 1
    each = pick(rng, (1, 2)) if groups > 1 else pick(rng, CHANNELS)
    window = Window(kernel, strides, (1,) * rank, tuple((int(rng.integers(0, side)), 0) for side in kernel))
    extra = tuple(int(rng.integers(0, stride)) for stride in strides)
    return TransposedConvolution(
        _weights(rng, channels, each, *kernel), _maybe_bias(rng, each * groups), window, groups, extra
    )


def _resized(rng: np.random.Generator, shape: Shape) -> Layer:
    mode = pick(rng, ("linear", "cubic"))
    return Interpolation(
        tuple(
            pick(rng, (None, Sampling(mode, "half_pixel", scale=2.0), Sampling(mode, "align_corners", size=size + 1)))
            for size in shape[1:]
        )
    )


def _moved(rng: np.random.Generator, shape: Shape) -> Layer:
    axis = int(rng.integers(len(shape)))
    match rng.integers(4):
        case 0:
            return Gather(axis, tuple(int(place) for place in rng.integers(0, shape[axis], int(rng.integers(1, 9)))))
        case 1:
            before = [max(int(rng.integers(-1, 3)), 1 - size) for size in shape]
            after = [max(int(rng.integers(-1, 3)), 1 - size - low) for size, low in zip(shape, before, strict=True)]
            return Pad(tuple(zip(before, after, strict=True)))
        case 2:
            return Transpose(tuple(int(place) for place in rng.permutation(len(shape))))
        case _:
            return Reshape((math.prod(shape),) if rng.random() < 0.5 else (shape[0], -1))


def _layer(rng: np.random.Generator, shape: Shape) -> Layer:
    """One that reads a single value of that shape."""
    spatial = shape[1:]
    kind = pick(rng, ("conv", "conv", "conv", "transposed", "function", "function", "pool", "affine", "resize", "move"))
    if not spatial and kind in ("conv", "transposed", "pool", "resize"):
        outputs = pick(rng, CHANNELS)
        return Dense(_weights(rng, outputs, shape[0]), _maybe_bias(rng, outputs))
    match kind:
        case "conv":
            return _convolution(rng, shape)
        case "transposed":
            return _transposed(rng, shape)
        case "function":
            return Activation(pick(rng, FUNCTIONS), alpha=0.5, beta=0.3, slope=np.asarray(0.1, np.float32))
        case "pool":
            window = Window((0,) * len(spatial), *[(1,) * len(spatial)] * 2, ((0, 0),) * len(spatial))
            if rng.random() < 0.8:
                found = _window(rng, spatial, 3)
                window = Window(found.kernel, found.strides, (1,) * len(spatial), found.pads)
            return MaxPool(window) if rng.random() < 0.5 else AveragePool(window, bool(rng.integers(2)))
        case "affine":
            sizes = [pick(rng, (1, size)) for size in shape]
            return Affine(_weights(rng, *sizes), _weights(rng, *sizes))
        case "resize":
            return _resized(rng, shape)
    return _moved(rng, shape)


def random_graph(rng: np.random.Generator) -> Graph:
    """Up to six layers, some of which join values."""
    rank = pick(rng, (1, 2, 2, 3, 3, 3, 3, 4))
    sizes = (int(rng.integers(1, 22 if rank < 4 else 7)) for _ in range(rank - 1))
    first: Shape = (pick(rng, CHANNELS), *sizes)
    if rng.random() < 0.2:  # an image that may be held in planes
        first = (pick(rng, (1, 2, 3, 4, 6)), int(rng.integers(1, 22)), 16 * int(rng.integers(1, 4)))
    values: list[tuple[str, Shape]] = [("x", first)]
    nodes: list[Node] = []
    for number in range(int(rng.integers(1, 7))):
        name, shape = values[-1] if rng.random() < 0.8 else pick(rng, values)
        layer, inputs = _joined(rng, values, name, shape)
        out = layer.output_shape(*(dict(values)[entry] for entry in inputs))
        if min(out) < 1 or math.prod(out) > LARGEST or len(out) > 4:
            continue
        output = f"v{number}"
        nodes.append(Node(f"n{number}", type(layer).__name__, layer, inputs, output))
        values.append((output, out))
    if not nodes:
        nodes = [Node("n", "Activation", Activation("relu"), ("x",), "v")]
    wanted, kept = {nodes[-1].output}, []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return Graph("x", first, tuple(reversed(kept)), nodes[-1].output)


def _joined(
    rng: np.random.Generator, values: list[tuple[str, Shape]], name: str, shape: Shape
) -> tuple[Layer, tuple[str, ...]]:
    """A layer, and what it reads: another value of the same shape as well, if there is one, at times."""
    others = [other for other, found in values if found == shape and other != name]
    if not others or rng.random() < 0.7:
        return _layer(rng, shape), (name,)
    layer = pick(rng, (Sum(), Sum(), Gate(), Gate("plus"), Concat(0), Concat(len(shape) - 1)))
    return layer, (name, pick(rng, others))


def _composite(rng: np.random.Generator, graph: Graph) -> Composite:
    norm: Rule = pick(rng, (Norm(0.5), Magnitude(0.1)))
    pool: Rule = pick(rng, (Gradient(), Gradient(), Ties(), Proportional(0.1)))
    if _pools_means(graph):
        pool = Proportional(0.1)  # means of equal values are equal but for rounding, and any of them may win
    if rng.random() < 0.1:
        linear = [(kind, Gradient()) for kind in ("conv", "dense", "sum", "average", "affine")]
        return Composite("gradient", [*linear, ("max", pool)])
    return Composite(
        "random",
        [
            ("conv", pick(rng, LINEAR)),
            ("dense", pick(rng, LINEAR)),
            ("sum", norm),
            ("average", Norm(0.5)),
            ("max", pool),
        ],
    )


def _pools_means(graph: Graph) -> bool:
    """Whether a max pool takes what averages or interpolations gave, at once or later on."""
    means: set[str] = set()
    for node in graph.nodes:
        if isinstance(node.layer, AveragePool | Interpolation) or means.intersection(node.inputs):
            means.add(node.output)
            if isinstance(node.layer, MaxPool):
                return True
    return False


def compare(seed: int) -> str:
    """Both backends on a random network; AssertionError where they differ by more than rounding."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    sample = graph.shapes(tuple(size or 1 for size in graph.input_shape))
    model = Model(graph, "net", "x", (None, *graph.input_shape), "y", (None, *sample[graph.output]))
    composite, batch = _composite(rng, graph), int(rng.integers(1, 6))
    x = rng.standard_normal((batch, *graph.input_shape))
    if rng.random() < 0.3:
        x[rng.random(x.shape) < 0.7] = 0
    x = x.astype(np.float32)
    size = math.prod(sample[graph.output])
    target = rng.integers(0, size, (batch, 2)) if len(sample[graph.output]) == 1 and rng.random() < 0.3 else None
    if target is None:
        target = rng.standard_normal((batch, *sample[graph.output])).astype(np.float32)
    max_memory = 1 if rng.random() < 0.2 else None
    try:
        lrp = LRP(model, composite, threads=int(rng.integers(1, 3)), max_memory=max_memory)
        expected = LRP(model, composite, "reference").attribute(x.astype(np.float64), target)
    except LRPError as error:
        return f"refused as {type(error).__name__}"
    for _ in range(2):  # the second time in memory that the first has used
        found = lrp.attribute(x, target)
        _require_close("output", found.output, expected.output, 1e-4)
        _require_close("relevance", found.relevance, expected.relevance, 1e-2)
    return "equal"


def _require_close(what: str, found: Floats, expected: Floats, rounding: float) -> None:
    """All but a few elements agree: a near-tie in a pool, or a value near zero ahead of a ReLU, may fall otherwise."""
    scale = np.abs(expected).max() + 1e-6
    off = np.abs(found - expected) > rounding * scale
    if found.shape != expected.shape or not np.isfinite(found).all() or off.mean() > 0.02:
        worst = float(np.abs(found - expected).max() / scale)
        raise AssertionError(f"{what} of shape {found.shape} is off by {worst:.1e} of the largest, in {off.mean():.1%}")


def call(seed: int) -> str:
    """One function of the core, on operands that fit, or nearly."""
    rng = np.random.default_rng(seed)
    name = str(pick(rng, sorted(CALLS)))
    try:
        step = CALLS[name](_Operands(rng))
    except (ValueError, TypeError):
        return f"{name} refused"
    step.run(int(rng.integers(0, 3)))
    return f"{name} ran"


class _Operands:
    """Operands that fit one another, but for one in ten."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.pool = rng, core.Pool()
        self.samples = int(rng.integers(1, 4))
        self.channels, self.outputs = (pick(rng, CHANNELS) for _ in range(2))
        self.size = (pick(rng, (1, 1, 1, 2)), *(int(rng.integers(1, 12)) for _ in range(2)))
        self.kept: list[core.Tensor] = []

    def odd(self) -> bool:
        """Whether something is to be wrong here."""
        return bool(self.rng.random() < 0.008)

    def number(self, right: int) -> int:
        """That number, or another one."""
        return int(pick(self.rng, (0, -1, right + 1, 2 * right, right - 1, 2**31 - 1))) if self.odd() else right

    def tensor(
        self, channels: int, size: tuple[int, ...], samples: int | None = None, halo: bool = True
    ) -> core.Tensor:
        """A tensor of that size with random values, one that was made before, or part of it."""
        if self.odd() and self.kept:
            other: core.Tensor = pick(self.rng, self.kept)
            return other.channels_from(0, other.channels) if self.rng.random() < 0.5 else other
        sides = [tuple(int(side) for side in self.rng.integers(0, 4, 3)) if halo else (0, 0, 0) for _ in range(2)]
        given = tuple(self.number(side) for side in size)
        count = self.number(samples or self.samples)
        tensor = core.Tensor(
            self.pool, min(count, 9), min(self.number(channels), 200), tuple(min(n, 40) for n in given), *sides
        )
        tensor.load(self.floats(tensor.samples, tensor.channels, *tensor.size), 1)
        self.kept.append(tensor)
        return tensor

    def floats(self, *shape: int) -> Floats:
        """Random numbers, as many as that, or one more or less."""
        sizes = [max(size + (int(self.rng.integers(-1, 2)) if self.odd() else 0), 0) for size in shape]
        values = self.rng.standard_normal(sizes).astype(np.float32)
        if self.odd() and values.size:
            values.flat[int(self.rng.integers(values.size))] = pick(self.rng, (np.nan, np.inf, -np.inf, 3e38))
        return values

    def window(self, kernel: tuple[int, ...], strides: Any = (1, 1, 1), before: Any = (0, 0, 0)) -> core.Window:
        dilations = tuple(self.number(1) for _ in range(3))
        return core.Window(
            *(tuple(map(self.number, sizes)) for sizes in (kernel, strides)), dilations, tuple(map(self.number, before))
        )

    def epilogue(self, channels: int, size: tuple[int, ...]) -> core.Epilogue:
        """What takes the values of a map up."""
        samples = self.samples
        match self.rng.integers(5):
            case 0:
                rows, columns = (pick(self.rng, (1, 2, 3)) for _ in range(2))
                small = (size[0], size[1] // rows, size[2] // columns)
                pool = (
                    self.window((1, rows, columns), (1, rows, columns)),
                    self.tensor(channels, small),
                    self.tensor(channels, small),
                    0.0,
                )
                return core.Activation(
                    samples, channels, size, self.function(), y=self.tensor(channels, size), pool=pool
                )
            case 1:
                times = pick(self.rng, (1, 1, 2))
                return core.Contribution(
                    self.tensor(channels, size, samples),
                    self.tensor(channels, size, samples),
                    bool(self.rng.integers(2)),
                    [(1.0, float(times - 1), None)],
                )
            case 2:
                groups = [(pick(self.rng, (core.Gate.open, core.Gate.positive)), 1.0)]
                own = self.tensor(channels, size) if self.rng.random() < 0.7 else None
                times = pick(self.rng, (1, 2))
                r, s = (self.tensor(channels, size, times * samples) for _ in range(2))
                return core.Quotient(self.number(samples), r, s, groups, 0.1, bias=self.lanes(channels), own=own)
            case _:
                slope = self.tensor(channels, size, 1) if self.rng.random() < 0.3 else None
                return core.Activation(
                    self.number(samples),
                    self.number(channels),
                    size,
                    self.function(),
                    bias=self.lanes(channels),
                    slope=slope,
                    y=self.tensor(channels, size),
                )

    def lanes(self, channels: int) -> Floats | None:
        return None if self.rng.random() < 0.5 else self.floats(-(-channels // 16) * 16)

    def function(self) -> core.FunctionParameters:
        kind = pick(self.rng, sorted(core.Function.__members__))
        return core.FunctionParameters(getattr(core.Function, kind), 0.5, 0.3, -1.0, 1.0)

    def out_size(self, kernel: Any, strides: Any, before: Any) -> tuple[int, ...]:
        sizes = zip(self.size, kernel, strides, before, strict=True)
        return tuple(max((size + 2 * pad - side) // stride + 1, 1) for size, side, stride, pad in sizes)


def _convolve(o: _Operands) -> core.Step:
    kernel = (1, *(int(o.rng.integers(1, 4)) for _ in range(2)))
    strides = (1, *[pick(o.rng, (1, 1, 2))] * 2)
    before = tuple(int(o.rng.integers(0, side)) for side in kernel)
    groups = o.channels if o.rng.random() < 0.3 else 1
    outputs, adjoint = o.channels if groups > 1 else o.outputs, bool(o.rng.integers(2))
    shape = (outputs, o.channels // groups, math.prod(kernel))
    for_negative = o.floats(*shape) if groups == 1 and o.rng.random() < 0.3 else None
    weights = core.PackedWeights(o.floats(*shape), o.number(groups), adjoint, for_negative)
    small = o.out_size(kernel, strides, before)
    window = o.window(kernel, strides, before)
    if adjoint:
        return core.convolve(weights, window, o.tensor(outputs, small), o.epilogue(o.channels, o.size))
    return core.convolve(weights, window, o.tensor(o.channels, o.size), o.epilogue(outputs, small))


def _image(o: _Operands) -> core.Step:
    """A convolution of an image in planes, or the way back to one."""
    channels, (_, rows, columns) = int(o.rng.integers(1, 4)), o.size
    kernel, width = tuple(int(side) for side in o.rng.integers(1, 4, 2)), 1 + columns % 2
    o.size = (1, rows, 16 * width)
    before = (0, *(int(o.rng.integers(0, side)) for side in kernel))
    small = o.out_size((1, *kernel), (1, 1, 1), before)
    planes = (o.number(channels), rows, width)
    if o.rng.integers(2):
        weights = core.PackedWeights(o.floats(o.outputs, 1, channels * math.prod(kernel)), 1, False)
        epilogue, image = o.epilogue(o.outputs, small), core.Tensor(o.pool, o.samples, 16, planes, *[(0, 3, 1)] * 2)
        image.load(o.floats(o.samples, 16, *planes), 1)
        return core.convolve(weights, o.window((channels, *kernel), before=before), image, epilogue, not o.odd())
    parts = int(o.rng.integers(1, 3))
    targets = channels if parts == 1 else 16 * parts
    w = o.floats(o.outputs, targets, math.prod(kernel))
    w[:, [target for target in range(w.shape[1]) if target % 16 >= channels]] = 0
    a, out = (o.tensor(16, planes) for _ in range(2))
    handed = core.Contribution(a, out, bool(o.rng.integers(2)), [(1.0, 0.5, None)] * parts, not o.odd())
    window, source = o.window((1, *kernel), before=before), o.tensor(o.outputs, small)
    if o.rng.integers(2):
        return core.patch(core.PatchWeights(w, *kernel), window, source, handed)
    return core.convolve(core.PackedWeights(w, 1, True), window, source, handed)


def _winograd(o: _Operands) -> core.Step:
    weights, size = core.WinogradWeights(o.floats(o.outputs, o.channels, 9), bool(o.rng.integers(2))), (1, *o.size[1:])
    ends = (o.channels, o.outputs) if o.rng.integers(2) else (o.outputs, o.channels)
    before = tuple(o.number(1) for _ in range(2))
    return core.winograd(weights, before, o.tensor(ends[0], size), o.epilogue(ends[1], size))


def _skip(o: _Operands) -> core.Step:
    side, adjoint, size = pick(o.rng, (1, 3)), bool(o.rng.integers(2)), (1, *o.size[1:])
    weights = core.SkipWeights(o.floats(o.outputs, o.channels, side * side), adjoint)
    ends = (o.outputs, o.channels) if adjoint else (o.channels, o.outputs)
    window = o.window((1, side, side), before=(0, side // 2, side // 2))
    return core.skip(weights, window, o.tensor(ends[0], size), o.epilogue(ends[1], size))


def _patch(o: _Operands) -> core.Step:
    side, channels = int(o.rng.integers(1, 6)), int(o.rng.integers(1, 5))
    weights = core.PatchWeights(o.floats(o.outputs, channels, side * side), side, side)
    strides, before = (1, *[int(o.rng.integers(1, 4))] * 2), (0, *[int(o.rng.integers(0, side))] * 2)
    size = (1, *o.size[1:])
    o.size = size
    small = o.out_size((1, side, side), strides, before)
    return core.patch(
        weights, o.window((1, side, side), strides, before), o.tensor(o.outputs, small), o.epilogue(channels, size)
    )


def _pooled(o: _Operands) -> core.Step:
    kernel = tuple(int(o.rng.integers(1, 4)) for _ in range(3))
    strides = tuple(int(o.rng.integers(1, 4)) for _ in range(3))
    before = tuple(int(o.rng.integers(0, side)) for side in kernel)
    window, small = o.window(kernel, strides, before), o.out_size(kernel, strides, before)
    whole, few = o.tensor(o.channels, o.size), o.tensor(o.channels, small)
    factors = o.floats(math.prod(few.size))
    match o.rng.integers(5):
        case 0:
            return core.max_pool(window, whole, few, o.tensor(o.channels, small))
        case 1:
            return core.max_unpool(window, few, o.tensor(o.channels, small), whole)
        case 2:
            how = pick(o.rng, (core.PoolShare.ties, core.PoolShare.values))
            return core.share_pool(window, o.tensor(o.channels, o.size, halo=False), few, how, 0.1, 0.0, whole)
        case 3:
            return core.sum_pool(window, whole, factors, few)
    return core.sum_unpool(window, few, factors, whole)


def _elementwise(o: _Operands) -> core.Step:
    x, y = (o.tensor(o.channels, o.size) for _ in range(2))
    one = o.tensor(o.channels, o.size, 1)
    match o.rng.integers(9):
        case 0:
            return core.affine(x, one, None, y)
        case 1:
            return core.add(x, one, y)
        case 2:
            return core.part(1.0, 0.5, x, y)
        case 3:
            rule = pick(o.rng, (core.ActivationRule.gradient, core.ActivationRule.beta_smooth))
            return core.activation_relevance(rule, o.function(), x, one, y, o.tensor(o.channels, o.size))
        case 4:
            return core.sum_channels(x, o.tensor(1, o.size))
        case 5:
            return core.Sum(x).step()
        case 6:
            return core.ShareOut(x, y, 1.0, 0.1, [(one, o.tensor(o.channels, o.size), False)]).step()
        case 7:
            return core.take_up([x, y], o.epilogue(o.channels, o.size))
    return core.clear_halo(x) if o.rng.integers(2) else core.fill(x, 1.0)


def _moves(o: _Operands) -> core.Step:
    source, target = o.tensor(o.channels, o.size), o.tensor(o.outputs, o.size)
    count, there = (tensor.channels * math.prod(tensor.size) for tensor in (target, source))
    places = o.rng.integers(-2, there, o.number(count) % 10**5)
    if o.odd() and places.size:
        places[0] = pick(o.rng, (there, 2**62, -(2**63)))
    match o.rng.integers(4):
        case 0:
            return core.gather([source], places, 0.5, target)
        case 1:
            return core.scatter(target, places, o.number(0), source)
        case 2:
            pixels = math.prod(target.size)
            ends = np.cumsum(o.rng.integers(0, 3, pixels)).astype(np.int32)
            entries = o.rng.integers(0, math.prod(source.size), o.number(int(ends[-1])) % 10**4).astype(np.int32)
            return core.blend(source, ends, entries, o.floats(len(entries)), o.tensor(o.channels, o.size))
    first, second = (int(o.rng.integers(0, tensor.channels)) for tensor in (source, target))
    count = min(source.channels - first, target.channels - second)
    return core.copy_channels(source, o.number(first), target, o.number(second), o.number(count))


CALLS: dict[str, Callable[[_Operands], core.Step]] = {
    "convolve": _convolve,
    "image": _image,
    "winograd": _winograd,
    "skip": _skip,
    "patch": _patch,
    "pool": _pooled,
    "elementwise": _elementwise,
    "moves": _moves,
}
