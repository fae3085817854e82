"""Valid models at random: small networks of every layer, and the arithmetic of shapes that exporters write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]

ACTIVATIONS = (
    "Relu", "Sigmoid", "Tanh", "Softplus", "HardSwish", "Elu", "Abs", "LeakyRelu", "Exp", "Erf", "HardSigmoid", "Selu",
    "Softsign", "Celu", "ThresholdedRelu", "Mish", "Neg", "Sqrt", "Log", "Reciprocal",
)  # fmt: skip
LARGEST = 4096  # elements of a sample


@dataclass
class Network:
    """A network in the making: the newest value and its shape, all values, nodes and weights so far."""

    rng: np.random.Generator
    values: list[tuple[str, Shape]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def name(self) -> str:
        """A new one."""
        return f"v{len(self.nodes)}"

    def constant(self, array: npt.ArrayLike) -> str:
        """The name of new weights, as an initializer or as a node."""
        values = np.asarray(array)
        name = f"w{len(self.weights)}_{len(self.nodes)}"
        tensor = numpy_helper.from_array(values, name)
        if self.rng.random() < 0.1:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.weights.append(tensor)
        return name

    def floats(self, *shape: int) -> str:
        """The name of random weights."""
        scale = 1 / max(1.0, float(np.sqrt(np.prod(shape[1:]))))
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def apply(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """The name of what a new node makes."""
        output = self.name()
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output


Step = Callable[[Network, str, Shape], tuple[str, Shape] | None]


def _conv(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    rng, spatial = net.rng, shape[1:]
    if not 1 <= len(spatial) <= 3:
        return None
    kernel = [int(rng.choice([1, 2, 3])) for _ in spatial]
    strides = [int(rng.choice([1, 1, 2])) for _ in spatial]
    depthwise = rng.random() < 0.2
    outputs = shape[0] if depthwise else int(rng.choice([1, 2, 5, 16, 17]))
    weight = net.floats(outputs, 1 if depthwise else shape[0], *kernel)
    given = [x, weight, net.floats(outputs)] if rng.random() < 0.7 else [x, weight]
    pads = [side // 2 for side in kernel]
    sizes = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(spatial, pads, kernel, strides, strict=True)]
    groups = {"group": shape[0]} if depthwise else {}
    return net.apply("Conv", given, strides=strides, pads=pads * 2, **groups), (outputs, *sizes)


def _transposed(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    rank = len(shape) - 1
    if not 1 <= rank <= 3:
        return None
    outputs = int(net.rng.choice([2, 5, 16]))
    y = net.apply("ConvTranspose", [x, net.floats(shape[0], outputs, *[2] * rank)], strides=[2] * rank)
    return y, (outputs, *(2 * size for size in shape[1:]))


def _pool(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    rank = len(shape) - 1
    if rank not in (1, 2, 3) or min(shape[1:]) < 2:
        return None
    operator = str(net.rng.choice(["MaxPool", "AveragePool", "LpPool"]))
    y = net.apply(operator, [x], kernel_shape=[2] * rank, strides=[2] * rank)
    return y, (shape[0], *((size - 2) // 2 + 1 for size in shape[1:]))


def _activation(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    return net.apply(str(net.rng.choice(ACTIVATIONS)), [x]), shape


def _affine(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    ones = [1] * (len(shape) - 1)
    operator = str(net.rng.choice(["Add", "Mul", "Sub", "Div"]))
    return net.apply(operator, [x, net.floats(shape[0], *ones)]), shape


def _normalization(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    scales = net.constant(net.rng.uniform(0.5, 1, shape[0]).astype(np.float32))
    if net.rng.random() < 0.5 or len(shape) < 2:
        mean = net.floats(shape[0])
        return net.apply("BatchNormalization", [x, scales, net.floats(shape[0]), mean, scales]), shape
    return net.apply("InstanceNormalization", [x, scales, net.floats(shape[0])]), shape


def _merge(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    alike = [name for name, other in net.values if other == shape]
    operator = str(net.rng.choice(["Add", "Mul", "Max", "Sub"]))
    return net.apply(operator, [x, str(net.rng.choice(alike))]), shape


def _concat(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    alike = [(name, other) for name, other in net.values if other[1:] == shape[1:]]
    name, other = alike[net.rng.integers(len(alike))]
    return net.apply("Concat", [x, name], axis=1), (shape[0] + other[0], *shape[1:])


def _gate(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if len(shape) < 2:
        return None
    gate = net.apply("Sigmoid", [net.apply("GlobalAveragePool", [x])])
    return net.apply("Mul", [x, gate]), shape


def _dense(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    outputs = int(net.rng.choice([1, 4, 17]))
    if len(shape) > 1:
        return net.apply("MatMul", [x, net.floats(shape[-1], outputs)]), (*shape[:-1], outputs)
    return net.apply("Gemm", [x, net.floats(shape[0], outputs), net.floats(outputs)]), (outputs,)


def _resize(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if len(shape) < 2:
        return None
    scales = net.constant(np.array([1, 1, *[2] * (len(shape) - 1)], np.float32))
    mode = str(net.rng.choice(["nearest", "linear", "cubic"]))
    return net.apply("Resize", [x, "", scales], mode=mode), (shape[0], *(2 * size for size in shape[1:]))


def _pad(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if shape[-1] < 2:
        return None
    amounts = np.zeros(2 * (len(shape) + 1), np.int64)
    amounts[-1] = 1
    mode = str(net.rng.choice(["constant", "reflect", "edge"]))
    return net.apply("Pad", [x, net.constant(amounts)], mode=mode), (*shape[:-1], shape[-1] + 1)


def _slice(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    step = int(net.rng.choice([1, 2, -1]))
    start, end = (0, 2**31 - 1) if step > 0 else (-1, -(2**31))
    given = [net.constant(np.array([number])) for number in (start, end, len(shape), step)]
    return net.apply("Slice", [x, *given]), (*shape[:-1], len(range(*slice(start, end, step).indices(shape[-1]))))


def _split(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    if shape[0] < 2:
        return None
    first, second = f"{net.name()}a", f"{net.name()}b"
    sizes = net.constant(np.array([1, shape[0] - 1]))
    net.nodes.append(helper.make_node("Split", [x, sizes], [first, second], axis=1))
    net.values.append((first, (1, *shape[1:])))
    return second, (shape[0] - 1, *shape[1:])


def _gather(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    places = net.rng.integers(0, shape[-1], 4)
    return net.apply("Gather", [x, net.constant(places)], axis=len(shape)), (*shape[:-1], 4)


def _transpose(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    order = net.rng.permutation(len(shape))
    return net.apply("Transpose", [x], perm=[0, *(int(axis) + 1 for axis in order)]), tuple(shape[i] for i in order)


def _flatten(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    return net.apply("Flatten", [x]), (int(np.prod(shape)),)


def _computed_reshape(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    """As exporters write a flatten: to sizes that are computed of the input's."""
    sizes = net.apply("Shape", [x])
    zero, one, rest = (net.constant(np.array([number])) for number in (0, 1, -1))
    batch = net.apply("Slice", [sizes, zero, one])
    return net.apply("Reshape", [x, net.apply("Concat", [batch, rest], axis=0)]), (int(np.prod(shape)),)


def _repeat(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    times = net.constant(np.array([1] * len(shape) + [2]))
    return net.apply("Tile", [x, times]), (*shape[:-1], 2 * shape[-1])


def _computed_constant(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    """A constant that nodes make, as exporters write positions and masks."""
    sizes = net.constant(np.array(shape[-1:]))
    match net.rng.integers(4):
        case 0:
            value = numpy_helper.from_array(np.array([0.5], np.float32))
            made = net.apply("ConstantOfShape", [sizes], value=value)
        case 1:
            made = net.apply("Expand", [net.floats(1), sizes])
        case 2:
            made = net.apply("Tile", [net.floats(1), sizes])
        case _:
            ends = [net.constant(np.float32(number)) for number in (0, shape[-1], 1)]
            made = net.apply("Range", ends)
    if net.rng.random() < 0.5:
        made = net.apply("Cast", [made], to=TensorProto.FLOAT)
    return net.apply("Add", [x, made]), shape


def _reduced(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    operator = str(net.rng.choice(["ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"]))
    return net.apply(operator, [x], axes=[len(shape)], keepdims=1), (*shape[:-1], 1)


def _branch(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    """A question with a known answer."""
    made = f"{net.name()}b"
    graph = helper.make_graph(
        [helper.make_node("Relu", [x], [made])],
        "branch",
        [],
        [helper.make_tensor_value_info(made, TensorProto.FLOAT, None)],
    )
    question = net.constant(np.array(True))
    return net.apply("If", [question], then_branch=graph, else_branch=graph), shape


def _dequantized(net: Network, x: str, shape: Shape) -> tuple[str, Shape] | None:
    whole = net.constant(net.rng.integers(-5, 5, shape[-1]).astype(np.int8))
    values = net.apply("DequantizeLinear", [whole, net.constant(np.float32(0.1)), net.constant(np.int8(1))])
    return net.apply("Mul", [x, values]), shape


STEPS: tuple[Step, ...] = (
    _conv, _conv, _conv, _transposed, _pool, _activation, _activation, _affine, _normalization, _merge, _concat, _gate,
    _dense, _resize, _pad, _slice, _split, _gather, _transpose, _flatten, _computed_reshape, _repeat,
    _computed_constant, _reduced, _branch, _dequantized,
)  # fmt: skip


def random_model(rng: np.random.Generator) -> onnx.ModelProto:
    """A network of a few layers for small samples."""
    shape: Shape = ((3, 6, 5), (3, 6, 5), (16, 4, 4), (4, 9), (7,), (2, 3, 4, 3))[rng.integers(6)]
    net = Network(rng, [("x", shape)])
    wanted = rng.integers(1, 8)
    for _ in range(wanted):
        name, shape = net.values[-1 if rng.random() < 0.8 else rng.integers(len(net.values))]
        made = STEPS[rng.integers(len(STEPS))](net, name, shape)
        if made is not None:
            net.values.append(made)
            if np.prod(made[1]) > LARGEST:
                break
    graph = helper.make_graph(
        net.nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *net.values[0][1]])],
        [helper.make_tensor_value_info(net.values[-1][0], TensorProto.FLOAT, None)],
        net.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
