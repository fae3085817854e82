"""Each operator means what onnxruntime says it means, in the raw graph and in the canonical one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from lrpfast import LRP, UnsupportedError, check
from lrpfast.model import load
from lrpfast.model.layers import (
    Activation,
    AveragePool,
    Convolution,
    Dense,
    Gate,
    Reshape,
    Sum,
    Transpose,
    TransposedConvolution,
)
from lrpfast.model.onnx_import import read
from lrpfast.model.onnx_import.registry import IMPORTERS
from oracles.books import balanced
from oracles.forward import forward
from oracles.onnx_models import light_model, make_model, node, relative_difference, run

RNG = np.random.default_rng(7)


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


# The versions that were seen to differ are 1.23 and 1.24; 1.31 agrees with the standard.
OLD_RUNTIME = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 31)


def ints(*values):
    return np.array(values, np.int64)


def agrees(model, shape, tolerance=2e-6, dtype=np.float32):
    """Load a model and compare it, raw and canonical, with onnxruntime on a random batch."""
    loaded = load(model)
    x = np.random.default_rng(3).normal(size=shape).astype(dtype)
    expected = run(model, x, read(model).graph.output)
    assert relative_difference(forward(read(model).graph, x), expected) < tolerance
    assert relative_difference(forward(loaded.graph, x), expected) < tolerance
    known = [(size, actual) for size, actual in zip(loaded.output_shape, expected.shape, strict=True) if size]
    assert all(size == actual for size, actual in known)
    return loaded


def layers(model, kind):
    return [entry.layer for entry in model.graph.nodes if isinstance(entry.layer, kind)]


CONVOLUTIONS = {
    "1-D": ((2, 3, 11), (4, 3, 3), {"pads": [1, 2], "strides": [2]}),
    "2-D with asymmetric pads": ((2, 3, 9, 8), (4, 3, 3, 2), {"pads": [1, 0, 2, 1]}),
    "3-D": ((1, 2, 5, 6, 4), (3, 2, 2, 3, 1), {"pads": [0, 1, 0, 1, 1, 0]}),
    "dilated and strided": ((1, 3, 12, 11), (4, 3, 3, 3), {"dilations": [2, 1], "strides": [1, 3]}),
    "grouped": ((1, 4, 6, 6), (6, 2, 3, 3), {"group": 2}),
    "depthwise": ((1, 4, 6, 6), (8, 1, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    "SAME_UPPER": ((1, 3, 8, 7), (4, 3, 3, 2), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    "SAME_LOWER": ((1, 3, 8, 7), (4, 3, 4, 2), {"auto_pad": "SAME_LOWER", "strides": [3, 2]}),
    "SAME_UPPER with a stride beyond the kernel": (
        (1, 2, 8, 9),
        (3, 2, 1, 1),
        {"auto_pad": "SAME_UPPER", "strides": [3, 2]},
    ),
    "VALID": ((1, 3, 8, 7), (4, 3, 3, 2), {"auto_pad": "VALID"}),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_conv(case, bias):
    shape, size, attributes = CONVOLUTIONS[case]
    initializers = {"w": weights(*size)} | ({"b": weights(size[0])} if bias else {})
    nodes = [node("Conv", "x w b" if bias else "x w", "y", kernel_shape=size[2:], **attributes)]
    agrees(make_model(nodes, ["N", *shape[1:]], initializers), shape)


def test_automatic_padding_of_a_map_of_free_size_is_kept():
    nodes = [node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2])]
    model = make_model(nodes, ["N", 3, "H", "W"], {"w": weights(4, 3, 3, 3)})
    loaded = agrees(model, (1, 3, 8, 7))
    agrees(model, (1, 3, 9, 10))
    assert layers(loaded, Convolution)[0].window.auto_pad == "upper"
    assert loaded.output_shape == (None, 4, None, None)


POOLS = {
    "plain": {"kernel_shape": [2, 2], "strides": [2, 2]},
    "padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 2]},
    "ceil": {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    "ceil and padded": {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1, "pads": [1, 0, 1, 1]},
    "ceil whose last window would begin in the padding": {
        "kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1],
    },
    "dilated": {"kernel_shape": [2, 3], "dilations": [3, 2], "pads": [1, 1, 0, 1]},
    "SAME_UPPER": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "SAME_LOWER": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "VALID": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "VALID"},
}  # fmt: skip


@pytest.mark.parametrize("case", POOLS)
def test_max_pool(case):
    agrees(make_model([node("MaxPool", "x", "y", **POOLS[case])], ["N", 3, 10, 9]), (2, 3, 10, 9))


@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("count_include_pad", [0, 1])
def test_average_pool(case, count_include_pad):
    if count_include_pad and case in ("ceil and padded", "SAME_UPPER") and OLD_RUNTIME:
        pytest.skip("this onnxruntime divides by another number of padded elements than the ONNX standard says")
    nodes = [node("AveragePool", "x", "y", count_include_pad=count_include_pad, **POOLS[case])]
    agrees(make_model(nodes, ["N", 3, 10, 9], opset=19), (2, 3, 10, 9))


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools_take_maps_of_any_size(operator):
    model = make_model([node(operator, "x", "p"), node("Flatten", "p", "y")], ["N", 3, "H", "W"])
    agrees(model, (2, 3, 5, 6))
    agrees(model, (1, 3, 8, 4))


@pytest.mark.parametrize("axes", [(2, 3), (-1, -2), (1, 2), (3,), (2,), (1,), (1, 3)])
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(
    "operator", ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2"]
)
def test_reductions(operator, axes, keepdims):
    if operator == "ReduceSum":
        nodes, given = [node(operator, "x axes", "y", keepdims=keepdims)], {"axes": ints(*axes)}
    else:
        nodes, given = [node(operator, "x", "y", axes=axes, keepdims=keepdims)], {}
    agrees(make_model(nodes, ["N", 3, 5, 4], given), (2, 3, 5, 4))


@pytest.mark.parametrize(("shape", "axes"), [((7,), (1,)), ((3, 4), (1, 2))])
@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceMax", "ReduceL1", "ReduceL2"])
def test_reductions_of_a_whole_sample_keep_its_axes(operator, shape, axes):
    nodes = [node(operator, "x", "r", axes=axes, keepdims=1), node("Sub", "x r", "y")]
    agrees(make_model(nodes, ["N", *shape]), (2, *shape))


def test_a_vector_divided_by_its_length_is_a_signal_and_its_gate():
    nodes = [
        node("ReduceL2", "x", "r", axes=[1], keepdims=1), node("Clip", "r small", "c"), node("Expand", "c shape", "e"),
        node("Div", "x e", "y"),
    ]  # fmt: skip
    loaded = agrees(make_model(nodes, ["N", 7], {"small": np.float32(1e-12), "shape": ints(1, 7)}), (2, 7))
    assert len(layers(loaded, Gate)) == 1


def test_the_axes_of_a_reduction_may_be_an_input():
    nodes = [node("ReduceMean", "x axes", "y", keepdims=0)]
    loaded = agrees(make_model(nodes, ["N", 3, "H", "W"], {"axes": ints(2, 3)}, opset=18), (2, 3, 5, 4))
    assert isinstance(loaded.graph.nodes[0].layer, AveragePool)
    assert layers(loaded, Reshape)[0].shape == (3,)


ACTIVATIONS = {
    "Relu": {}, "LeakyRelu": {"alpha": 0.3}, "Tanh": {}, "Elu": {"alpha": 0.7},
    "HardSigmoid": {"alpha": 0.25, "beta": 0.4}, "HardSwish": {}, "Softplus": {}, "Softsign": {}, "Erf": {}, "Exp": {},
    "Abs": {}, "Reciprocal": {}, "Selu": {}, "Celu": {"alpha": 0.7},
}  # fmt: skip


@pytest.mark.parametrize("operator", ACTIVATIONS)
def test_activation(operator):
    agrees(make_model([node(operator, "x", "y", **ACTIVATIONS[operator])], ["N", 3, 4]), (2, 3, 4))


@pytest.mark.parametrize("attributes", [{}, {"approximate": "tanh"}], ids=str)
def test_gelu(attributes):
    agrees(make_model([node("Gelu", "x", "y", **attributes)], ["N", 3, 4], opset=20), (2, 3, 4))


def test_mish():
    agrees(make_model([node("Mish", "x", "y")], ["N", 3, 4], opset=18), (2, 3, 4))


@pytest.mark.parametrize("exponent", [2, 1, 0.5, -0.5, -1, 3, 0.3])
def test_powers(exponent):
    nodes = [node("Abs", "x", "a"), node("Pow", "a p", "y")]
    agrees(make_model(nodes, ["N", 3, 4], {"p": np.float32(exponent)}), (2, 3, 4))


def test_an_exponential_of_another_base():
    agrees(make_model([node("Pow", "p x", "y")], ["N", 3, 4], {"p": np.float32(1.7)}), (2, 3, 4))


def test_a_logarithm():
    agrees(make_model([node("Exp", "x", "e"), node("Log", "e", "y")], ["N", 3, 4]), (2, 3, 4))


TRANSPOSED = {
    "strides": {"strides": [2, 2]},
    "pads": {"strides": [2, 1], "pads": [1, 0, 0, 1]},
    "output padding": {"strides": [2, 3], "pads": [1, 1, 1, 1], "output_padding": [1, 2]},
    "dilations": {"dilations": [2, 1]},
    "groups": {"group": 2, "strides": [2, 2]},
    "SAME_UPPER": {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "SAME_LOWER": {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "output shape": {"strides": [2, 2], "output_shape": [9, 8]},
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", TRANSPOSED)
def test_conv_transpose(case, bias):
    groups = TRANSPOSED[case].get("group", 1)
    given = {"w": weights(4, 6 // groups, 3, 3)} | ({"b": weights(6)} if bias else {})
    nodes = [node("ConvTranspose", "x w b" if bias else "x w", "y", **TRANSPOSED[case])]
    agrees(make_model(nodes, ["N", 4, 5, 4], given), (2, 4, 5, 4))


@pytest.mark.parametrize("asked", [{"dilations": [2, 2], "output_padding": [1, 0]}, {"output_shape": [8, 6]}])
def test_an_output_that_no_stride_makes_is_refused(asked):
    model = make_model([node("ConvTranspose", "x w", "y", **asked)], ["N", 4, 5, 4], {"w": weights(4, 6, 3, 3)})
    with pytest.raises(UnsupportedError, match="longer than its kernel reaches"):
        load(model)


def test_scale_and_shift_are_folded_into_a_transposed_convolution():
    given = {"w": weights(4, 3, 2, 2), "s": positive(6, 1, 1), "t": weights(6, 1, 1)}
    nodes = [
        node("ConvTranspose", "x w", "c", strides=[2, 2], group=2),
        node("Mul", "c s", "m"),
        node("Add", "m t", "y"),
    ]
    loaded = agrees(make_model(nodes, ["N", 4, 3, 3], given), (2, 4, 3, 3))
    assert [type(entry.layer) for entry in loaded.graph.nodes] == [TransposedConvolution]


RESIZED = {
    "nearest": {},
    "nearest, rounded down": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest, rounded up": {"coordinate_transformation_mode": "align_corners", "nearest_mode": "round_prefer_ceil"},
    "nearest, ceiling": {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "ceil"},
    "linear": {"mode": "linear"},
    "linear, corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "linear, asymmetric": {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    "linear, as in PyTorch": {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    "cubic": {"mode": "cubic"},
    "cubic, sharper": {"mode": "cubic", "cubic_coeff_a": -0.5, "coordinate_transformation_mode": "align_corners"},
    "cubic, inside": {"mode": "cubic", "exclude_outside": 1},
}


@pytest.mark.parametrize("scale", [(2, 3), (1, 0.5), (1.5, 0.7)], ids=str)
@pytest.mark.parametrize("case", RESIZED)
def test_resize_by_scales(case, scale):
    nodes = [node("Resize", "x - s", "y", **RESIZED[case])]
    given = {"s": np.array([1, 1, *scale], np.float32)}
    loaded = agrees(make_model(nodes, ["N", 3, "H", "W"], given), (2, 3, 6, 5), tolerance=1e-5)
    kind = "routing" if case.startswith("nearest") else "average"
    assert {entry.layer.kind for entry in loaded.graph.nodes} == {kind}


@pytest.mark.parametrize("case", RESIZED)
def test_resize_to_a_size(case):
    nodes = [node("Resize", "x - - s", "y", axes=[2, 3], **RESIZED[case])]
    agrees(make_model(nodes, ["N", 3, 6, 5], {"s": ints(4, 11)}, opset=18), (2, 3, 6, 5), tolerance=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_resize_in_older_files(operator, opset, mode):
    given = {"s": np.array([1, 1, 2, 3], np.float32)}
    agrees(make_model([node(operator, "x s", "y", mode=mode)], ["N", 3, 4, 5], given, opset=opset), (2, 3, 4, 5))


NORMALISATIONS = {
    "instance": (17, [node("InstanceNormalization", "x s4 t4", "y", epsilon=1e-3)]),
    "group": (21, [node("GroupNormalization", "x s4 t4", "y", num_groups=2)]),
    "groups, written as an instance": (
        17,
        [
            node("Reshape", "x rows", "r"), node("InstanceNormalization", "r s2 t2", "i"),
            node("Reshape", "i shape", "y"),
        ],
    ),
    "layer": (17, [node("LayerNormalization", "x s5 t5", "y")]),
    "layer, several axes": (17, [node("LayerNormalization", "x s35", "y", axis=-2)]),
    "layer, written out": (
        17,
        [
            node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "c"), node("Mul", "c c", "q"),
            node("ReduceMean", "q", "v", axes=[-1]), node("Add", "v small", "a"), node("Sqrt", "a", "d"),
            node("Div", "c d", "n"), node("Mul", "n s5", "o"), node("Add", "o t5", "y"),
        ],
    ),
    "local response": (17, [node("LRN", "x", "y", size=3, alpha=0.3, beta=0.6, bias=1.5)]),
    "local response, wide": (17, [node("LRN", "x", "y", size=9)]),
}  # fmt: skip


@pytest.mark.parametrize("case", NORMALISATIONS)
def test_normalisations_are_gates_of_what_they_normalise(case):
    opset, nodes = NORMALISATIONS[case]
    constants = {
        "s4": positive(4), "t4": weights(4), "s2": positive(2), "t2": weights(2), "s5": positive(5), "t5": weights(5),
        "s35": positive(3, 5), "rows": ints(0, 2, -1), "shape": ints(0, 4, 3, 5), "small": np.float32(1e-5),
    }  # fmt: skip
    used = {name for entry in nodes for name in entry.input}
    given = {name: array for name, array in constants.items() if name in used}
    loaded = agrees(make_model(nodes, ["N", 4, 3, 5], given, opset=opset), (2, 4, 3, 5), tolerance=1e-5)
    x, seed = np.ones((1, 4, 3, 5)) * np.arange(5), np.ones((1, 4, 3, 5))
    np.testing.assert_array_equal(LRP(loaded, "epsilon").attribute(x, seed).relevance, seed)
    assert not layers(loaded, Sum)


EXPONENTIALS = {
    "softmax over channels": (13, [node("Softmax", "x", "s", axis=1)]),
    "softmax over the last axis": (13, [node("Softmax", "x", "s")]),
    "softmax of all from an axis on": (11, [node("Softmax", "x", "s", axis=2)]),
    "softmax of a whole sample": (11, [node("Softmax", "x", "s")]),
    "logarithm of a softmax": (13, [node("LogSoftmax", "x", "s", axis=2)]),
    "logarithm of a softmax of all": (9, [node("LogSoftmax", "x", "s")]),
    "logarithm of summed exponentials": (17, [node("ReduceLogSumExp", "x", "s", axes=[2, 3])]),
    "the same along channels": (17, [node("ReduceLogSumExp", "x", "s", axes=[1], keepdims=0)]),
}


@pytest.mark.parametrize("case", EXPONENTIALS)
@pytest.mark.parametrize("size", [1, 300])
def test_exponentials_that_are_summed_do_not_overflow(case, size):
    opset, nodes = EXPONENTIALS[case]
    large = [node("Mul", "x c", "l"), *nodes, node("Neg", "s", "y")]
    large[1].input[0] = "l"
    model = make_model(large, ["N", 4, 3, 5], {"c": np.float32(size)}, opset=opset)
    agrees(model, (2, 4, 3, 5), tolerance=1e-5)
    x = weights(2, 4, 3, 5)
    np.testing.assert_allclose(LRP(load(model), "epsilon").scores(x), run(model, x), rtol=1e-4, atol=1e-6)


def test_a_softmax_between_layers_is_a_convention_that_keeps_relevance():
    nodes = [
        node("Conv", "x w b", "c"), node("Softmax", "c", "s", axis=1), node("Flatten", "s", "f"),
        node("Gemm", "f v", "y"),
    ]  # fmt: skip
    given = {"w": weights(4, 3, 2, 2), "b": weights(4), "v": weights(48, 5)}
    loaded = agrees(make_model(nodes, ["N", 3, 5, 4], given), (2, 3, 5, 4))
    balanced(loaded, weights(2, 3, 5, 4))
    assert "heuristic" in {layer.verdict for layer in check(loaded).layers}


def test_a_softmax_weighs_what_it_is_multiplied_with():
    nodes = [node("GlobalAveragePool", "x", "m"), node("Conv", "m w", "e"), node("Softmax", "e", "g", axis=1),
             node("Mul", "g x", "y")]  # fmt: skip
    loaded = agrees(make_model(nodes, ["N", 3, 5, 4], used_constants(nodes)), (2, 3, 5, 4))
    (last,) = [entry for entry in loaded.graph.nodes if entry.output == loaded.graph.output]
    assert last.inputs[0] == "x"


POWERS = {
    "squares": {"kernel_shape": [2, 3], "strides": [2, 1]},
    "magnitudes": {"kernel_shape": [2, 2], "p": 1, "pads": [1, 1, 0, 0]},
}


@pytest.mark.parametrize("case", POWERS)
def test_lp_pool(case):
    agrees(make_model([node("LpPool", "x", "y", **POWERS[case])], ["N", 3, 6, 5], opset=18), (2, 3, 6, 5))


def test_global_lp_pool():
    agrees(make_model([node("GlobalLpPool", "x", "y")], ["N", 3, 6, 5]), (2, 3, 6, 5))


GATES = {
    "a squeeze and excitation": [
        node("GlobalAveragePool", "x", "m"), node("Conv", "m w", "e"), node("Sigmoid", "e", "g"),
        node("Mul", "x g", "y"),
    ],
    "square": [node("Mul", "x x", "y")],
    "quotient": [node("Exp", "x", "e"), node("Div", "x e", "y")],
    "a swish of another steepness": [node("Mul", "x half", "h"), node("Sigmoid", "h", "g"), node("Mul", "g x", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", GATES)
def test_products_of_a_signal_and_a_gate(case):
    loaded = agrees(make_model(GATES[case], ["N", 3, 5, 4], used_constants(GATES[case])), (2, 3, 5, 4))
    (gate,) = [entry for entry in loaded.graph.nodes if isinstance(entry.layer, Gate)]
    assert gate.inputs[0] == "x"


def used_constants(nodes):
    constants = {
        "w": weights(3, 3, 1, 1), "root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5),
        "three": np.float32(3), "zero": np.float32(0), "six": np.float32(6), "c": np.float32(0.044715),
        "r": np.float32((2 / np.pi) ** 0.5), "sixth": np.float32(1 / 6),
    }  # fmt: skip
    used = {name for entry in nodes for name in entry.input}
    return {name: array for name, array in constants.items() if name in used}


WRITTEN_OUT = {
    "silu": ("silu", [node("Sigmoid", "x", "g"), node("Mul", "g x", "y")]),
    "gelu": (
        "gelu",
        [
            node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "p"), node("Mul", "x p", "m"),
            node("Mul", "m half", "y"),
        ],
    ),
    "gelu, halved first": (
        "gelu",
        [
            node("Mul", "half x", "h"), node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "one e", "p"),
            node("Mul", "h p", "y"),
        ],
    ),
    "gelu by a hyperbolic tangent": (
        "gelu_tanh",
        [
            node("Pow", "x three", "q"), node("Mul", "q c", "u"), node("Add", "x u", "i"), node("Mul", "r i", "v"),
            node("Tanh", "v", "t"), node("Add", "t one", "p"), node("Mul", "x p", "m"), node("Mul", "m half", "y"),
        ],
    ),
    "gelu by products": (
        "gelu_tanh",
        [
            node("Mul", "x x", "s"), node("Mul", "s x", "q"), node("Mul", "q c", "u"), node("Add", "u x", "i"),
            node("Mul", "r i", "v"), node("Tanh", "v", "t"), node("Add", "t one", "p"), node("Mul", "p half", "o"),
            node("Mul", "x o", "y"),
        ],
    ),
    "hard swish": (
        "hard_swish",
        [
            node("Add", "x three", "a"), node("Clip", "a zero six", "c6"), node("Mul", "x c6", "m"),
            node("Div", "m six", "y"),
        ],
    ),
    "hard swish, scaled first": (
        "hard_swish",
        [
            node("Add", "x three", "a"), node("Clip", "a zero six", "c6"), node("Mul", "c6 sixth", "m"),
            node("Mul", "m x", "y"),
        ],
    ),
    "hard swish of a hard sigmoid": (
        "hard_swish", [node("HardSigmoid", "x", "h", alpha=1 / 6), node("Mul", "x h", "y")],
    ),
    "mish": ("mish", [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t", "y")]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN_OUT)
def test_activations_that_are_written_out_become_one_layer(case):
    function, nodes = WRITTEN_OUT[case]
    loaded = agrees(make_model(nodes, ["N", 3, 5, 4], used_constants(nodes)), (2, 3, 5, 4))
    (entry,) = loaded.graph.nodes
    assert entry.layer.function == function


def test_a_factor_of_an_activation_stays():
    nodes = [node("Sigmoid", "x", "g"), node("Mul", "g x", "m"), node("Mul", "m three", "y")]
    loaded = agrees(make_model(nodes, ["N", 3, 4], used_constants(nodes)), (2, 3, 4))
    assert [entry.layer.kind for entry in loaded.graph.nodes] == ["activation", "affine"]


JOINS = {
    "difference": [node("Relu", "x", "r"), node("Sub", "r x", "y")],
    "difference of a small branch": [node("GlobalAveragePool", "x", "m"), node("Sub", "x m", "y")],
    "sum of a small branch": [node("GlobalAveragePool", "x", "m"), node("Add", "m x", "y")],
    "mean": [node("Relu", "x", "r"), node("Neg", "x", "n"), node("Mean", "x r n", "y")],
    "maximum": [node("Neg", "x", "n"), node("Relu", "x", "r"), node("Max", "x n r", "y")],
    "minimum of a small branch": [node("GlobalMaxPool", "x", "m"), node("Neg", "m", "n"), node("Min", "x n", "y")],
    "floor": [node("Max", "x low", "y")],
    "ceiling": [node("Min", "x high", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", JOINS)
def test_what_joins_branches(case):
    constants = {"low": np.float32(-0.2), "high": np.float32(0.3)}
    used = {name for entry in JOINS[case] for name in entry.input}
    given = {name: array for name, array in constants.items() if name in used}
    agrees(make_model(JOINS[case], ["N", 3, 5, 4], given), (2, 3, 5, 4))


MOVING = {
    "slice with steps": [node("Slice", "x starts ends axes steps", "y")],
    "split": [node("Split", "x", "a b c", axis=1), node("Concat", "c a", "y", axis=1)],
    "split by sizes": [node("Split", "x sizes", "a b", axis=-2), node("Relu", "b", "y")],
    "split, an output of the model": [node("Split", "x sizes", "a y", axis=2)],
    "gather": [node("Gather", "x places", "y", axis=2)],
    "gather one": [node("Gather", "x place", "g", axis=1), node("Relu", "g", "y")],
    "gather a table": [node("Gather", "x table", "y", axis=3)],
    "expand": [node("GlobalAveragePool", "x", "m"), node("Expand", "m target", "y")],
    "tile": [node("Tile", "x repeats", "y")],
    "depth to space": [node("Concat", "x x x x", "c", axis=1), node("DepthToSpace", "c", "y", blocksize=2)],
    "depth to space, columns first": [
        node("Concat", "x x x x", "c", axis=1), node("DepthToSpace", "c", "y", blocksize=2, mode="CRD"),
    ],
    "reflected border": [node("Pad", "x pads", "y", mode="reflect")],
    "border of the edge": [node("Pad", "x pads", "y", mode="edge")],
    "border from the other end": [node("Pad", "x pads", "y", mode="wrap")],
    "slice of everything": [node("Slice", "x zero most zero", "s"), node("Relu", "s", "y")],
    "space to depth": [node("Slice", "x zero four two", "s"), node("SpaceToDepth", "s", "y", blocksize=2)],
}  # fmt: skip


@pytest.mark.parametrize("case", MOVING)
def test_moving(case):
    constants = {
        "starts": ints(-1, 0), "ends": ints(-6, 4), "axes": ints(2, 3), "steps": ints(-2, 3), "sizes": ints(2, 3),
        "places": ints(4, 0, 0, -1), "place": np.array(1), "table": np.array([[0, 3], [2, 2]]),
        "target": ints(1, 3, 6, 2), "repeats": ints(1, 2, 1, 3), "zero": ints(0), "four": ints(4), "two": ints(2),
        "pads": ints(0, 0, 2, 1, 0, 0, -1, 3),
        "most": ints(2**31 - 1),
    }  # fmt: skip
    used = {name for entry in MOVING[case] for name in entry.input}
    given = {name: array for name, array in constants.items() if name in used}
    opset = 19 if "other end" in case else 17
    agrees(make_model(MOVING[case], ["N", 3, 5, 4], given, opset=opset), (2, 3, 5, 4))


WITHOUT_BATCH_AXIS = {
    "elements that come back one by one": [
        node("Reshape", "x vector", "r"), node("Gather", "r places", "g"), node("Relu", "g", "y"),
    ],
    "elements that come back in one axis": [
        node("Reshape", "x vector", "r"), node("Neg", "r", "n"), node("Unsqueeze", "n first", "y"),
    ],
    "the same dense layer for all rows": [
        node("Reshape", "x rows", "r"), node("MatMul", "r w", "m"), node("Add", "m b", "a"), node("Relu", "a", "h"),
        node("Gemm", "h v b", "g"), node("Reshape", "g back", "y"),
    ],
    "rows joined": [
        node("Reshape", "x rows", "r"), node("Tanh", "r", "t"), node("Mul", "r t", "m"), node("Reshape", "m back", "y"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", WITHOUT_BATCH_AXIS)
def test_a_batch_axis_may_vanish_and_come_back(case):
    constants = {
        "vector": ints(-1), "rows": ints(-1, 4), "places": RNG.permutation(60).reshape(1, 3, 4, 5), "first": ints(0),
        "w": weights(4, 4), "b": weights(4), "v": weights(4, 4), "back": ints(-1, 3, 5, 4),
    }  # fmt: skip
    used = {name for entry in WITHOUT_BATCH_AXIS[case] for name in entry.input}
    given = {name: array for name, array in constants.items() if name in used}
    shape = (1, 3, 5, 4) if case.startswith("elements") else (2, 3, 5, 4)  # their numbers are those of one sample
    agrees(make_model(WITHOUT_BATCH_AXIS[case], ["N", 3, 5, 4], given), shape)


@pytest.mark.parametrize("size", [4, "L"])
def test_scores_of_all_samples_behind_one_another_are_told_apart(size):
    nodes = [node("Relu", "x", "r"), node("Reshape", "r vector", "y")]
    model = make_model(nodes, ["N", 3, size], {"vector": ints(-1)})
    loaded, x = load(model), weights(2, 3, 4)
    assert loaded.output_shape == (None, None if size == "L" else 12)
    np.testing.assert_array_equal(forward(loaded.graph, x).ravel(), run(model, x))


WITH_CONSTANTS = {
    "around": [node("Concat", "k x k", "y", axis=1)],
    "among several": [node("Relu", "x", "r"), node("Concat", "k x k k r k", "y", axis=1)],
    "along another axis": [node("Concat", "x row", "y", axis=2)],
}


@pytest.mark.parametrize("case", WITH_CONSTANTS)
def test_constants_stand_beside_every_sample(case):
    nodes, given = WITH_CONSTANTS[case], {"k": weights(1, 2, 5, 4), "row": weights(1, 3, 1, 4)}
    used = {name for entry in nodes for name in entry.input}
    model = make_model(nodes, ["N", 3, 5, 4], {name: array for name, array in given.items() if name in used})
    x = np.random.default_rng(3).normal(size=(2, 3, 5, 4)).astype(np.float32)
    # A runtime joins the constants, which are one sample, with a batch of one.
    expected = np.concatenate([run(model, sample[np.newaxis]) for sample in x])
    assert relative_difference(forward(load(model).graph, x), expected) < 1e-6


def test_a_sigmoid_in_the_middle_is_a_layer():
    nodes = [node("Sigmoid", "x", "s"), node("Gemm", "s w", "y")]
    loaded = agrees(make_model(nodes, ["N", 4], {"w": weights(4, 3)}), (2, 4))
    assert layers(loaded, Activation)[0].function == "sigmoid"
    assert loaded.dropped_head is None


@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (1, 3, 1, 1), (4,), (3, 5, 4)])
def test_prelu_slopes_broadcast(shape):
    agrees(make_model([node("PRelu", "x s", "y")], ["N", 3, 5, 4], {"s": weights(*shape)}), (2, 3, 5, 4))


@pytest.mark.parametrize(
    ("opset", "inputs", "attributes", "bounds"),
    [
        (10, "x", {"min": -0.5, "max": 1.0}, (-0.5, 1.0)),
        (13, "x low high", {}, (-0.5, 1.0)),
        (13, "x low", {}, (-0.5, np.inf)),
        (13, "x - high", {}, (-np.inf, 1.0)),
    ],
)
def test_clip(opset, inputs, attributes, bounds):
    constants = {"low": np.float32(-0.5), "high": np.float32(1.0)}
    given = {name: constants[name] for name in inputs.split() if name in constants}
    model = make_model([node("Clip", inputs, "y", **attributes)], ["N", 9], given, opset=opset)
    layer = layers(agrees(model, (2, 9)), Activation)[0]
    assert (layer.low, layer.high) == bounds


def test_a_clip_at_zero_from_below_is_a_relu():
    model = make_model([node("Clip", "x low", "y")], ["N", 9], {"low": np.float32(0)})
    assert layers(agrees(model, (2, 9)), Activation)[0].function == "relu"


GEMMS = {
    "plain": ((4, 5), {}, None),
    "transB with a row": ((5, 4), {"transB": 1}, (1, 5)),
    "alpha and beta": ((4, 5), {"alpha": 0.3, "beta": -2.0}, (5,)),
    "scalar C": ((4, 5), {}, ()),
}


@pytest.mark.parametrize("case", GEMMS)
def test_gemm(case):
    size, attributes, c = GEMMS[case]
    initializers = {"w": weights(*size)} | ({} if c is None else {"c": weights(*c)})
    model = make_model([node("Gemm", "x w" if c is None else "x w c", "y", **attributes)], ["N", 4], initializers)
    assert len(layers(agrees(model, (3, 4)), Dense)) == 1


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 6), (2, 3, 5, 6), (2, 2, 3, 4, 6)])
def test_matmul_works_on_the_last_axis(shape):
    agrees(make_model([node("MatMul", "x w", "y")], ["N", *shape[1:]], {"w": weights(6, 4)}), shape)


@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 3, 5, 6)])
@pytest.mark.parametrize("size", [(4, 5), (1, 4, 5)])
def test_a_matrix_from_the_left_works_on_the_axis_before_the_last(shape, size):
    agrees(make_model([node("MatMul", "w x", "y")], ["N", *shape[1:]], {"w": weights(*size)}), shape)


EINSUMS = {
    "bchw,dc->bdhw": (7, 4),
    "dc,bchw->bdhw": (7, 4),
    "bchw,wv->bchv": (5, 6),
    "bchw,hwv->bvc": (3, 5, 2),
    "nchw,chwd->nd": (4, 3, 5, 6),
    "b c h w, d e c -> b h e w d": (2, 3, 4),
}


@pytest.mark.parametrize("equation", EINSUMS)
def test_einsum_of_a_matrix(equation):
    operands = "w x" if equation.startswith("dc") else "x w"
    nodes = [node("Einsum", operands, "y", equation=equation)]
    agrees(make_model(nodes, ["N", 4, 3, 5], {"w": weights(*EINSUMS[equation])}), (2, 4, 3, 5))


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div", "Add left", "Sub left", "Mul left"])
@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 1), (1, 3, 1, 1), (5,), (4, 1), (3, 4, 5)])
def test_arithmetic_with_constants(operator, shape):
    operator, _, side = operator.partition(" ")
    order = "c x" if side else "x c"
    agrees(make_model([node(operator, order, "y")], ["N", 3, 4, 5], {"c": positive(*shape)}), (2, 3, 4, 5))


@pytest.mark.parametrize("operator", ["Add", "Sub left", "Mul", "Div", "Div left"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 3, 4, 1), (4, 5), (2, 3, 1, 1)])
def test_a_constant_larger_than_what_it_meets_repeats_it(operator, shape):
    operator, _, side = operator.partition(" ")
    nodes = [node("ReduceMax", "x", "m", axes=[2, 3]), node("Exp", "m", "e"),
             node(operator, "c e" if side else "e c", "y")]  # fmt: skip
    model = make_model(nodes, ["N", 3, 4, 5], {"c": positive(*shape)})
    if len(shape) == 4 and shape[0] > 1:
        with pytest.raises(UnsupportedError, match="sample to sample"):
            load(model)
    else:
        agrees(model, (1, 3, 4, 5))


def test_batch_normalization_of_maps_and_vectors():
    statistics = {"s": weights(3), "b": weights(3), "m": weights(3), "v": positive(3)}
    for shape in ((2, 3, 4, 5), (2, 3)):
        nodes = [node("BatchNormalization", "x s b m v", "y", epsilon=1e-3)]
        agrees(make_model(nodes, ["N", *shape[1:]], statistics), shape)


def test_sums_of_branches_and_constants():
    nodes = [node("Relu", "x", "r"), node("Sum", "x r c x", "t"), node("Add", "t t", "y")]
    loaded = agrees(make_model(nodes, ["N", 3, 4], {"c": weights(3, 1)}), (2, 3, 4))
    assert [len(entry.inputs) for entry in loaded.graph.nodes if isinstance(entry.layer, Sum)] == [3, 2]


SHAPING = {
    "flatten": [node("Flatten", "x", "y")],
    "flatten at the last axis of a single channel": [node("Flatten", "x", "y", axis=-3)],
    "reshape with 0 and -1": [node("Reshape", "x t", "y")],
    "transpose": [node("Transpose", "x", "y", perm=[0, 3, 1, 2])],
    "unsqueeze and squeeze": [
        node("Unsqueeze", "x a", "u"), node("Neg", "u", "n"), node("Squeeze", "n a", "y"),
    ],
    "concat": [node("Relu", "x", "r"), node("Concat", "x r x", "y", axis=-2)],
    "cast, dropout, identity": [
        node("Cast", "x", "c", to=1), node("Dropout", "c", "d"), node("Identity", "d", "i"),
        node("Relu", "i", "y"),
    ],
    "pad": [node("Pad", "x p v", "y")],
    "crop": [node("Pad", "x cropped", "y")],
    "slice": [node("Slice", "x starts ends axes", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", SHAPING)
def test_shaping(case):
    constants = {
        "t": ints(0, -1, 4), "a": ints(2), "p": ints(0, 0, 1, 2, 0, 1, 0, 3), "v": np.float32(0.5),
        "cropped": ints(0, 0, -1, 2, 0, 0, -2, -1),
        "starts": ints(1, -3), "ends": ints(2**31, -1), "axes": ints(1, 3),
    }  # fmt: skip
    read_names = {name for entry in SHAPING[case] for name in entry.input}
    given = {name: array for name, array in constants.items() if name in read_names}
    agrees(make_model(SHAPING[case], ["N", 3, 5, 4], given), (2, 3, 5, 4))


def test_older_forms_with_attributes():
    nodes = [
        node("Pad", "x", "p", pads=[0, 0, 1, 0, 0, 0, 0, 2], value=0.25),
        node("Unsqueeze", "p", "u", axes=[1]),
        node("Relu", "u", "r"),
        node("Squeeze", "r", "s", axes=[1]),
        node("Slice", "s", "y", axes=[2], starts=[1], ends=[4]),
    ]
    agrees(make_model(nodes, ["N", 3, 5, 4], opset=9), (2, 3, 5, 4))


def test_a_computed_flatten_vanishes():
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch", axis=0),
        node("Unsqueeze", "batch axes", "first"),
        node("Cast", "first", "cast", to=TensorProto.INT32),
        node("Cast", "cast", "wide", to=TensorProto.INT64),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "wide rest", "target", axis=0),
        node("Reshape", "x target", "y"),
    ]
    model = make_model(nodes, ["N", 3, 5, 4], {"zero": np.int64(0), "axes": ints(0)})
    loaded = agrees(model, (2, 3, 5, 4))
    assert [entry.layer.shape for entry in loaded.graph.nodes] == [(60,)]


def test_a_shape_computed_from_a_map_of_free_size_is_followed():
    nodes = [
        node("Conv", "x w", "c"),
        node("Shape", "c", "shape"),
        node("Slice", "shape zero two", "front"),
        node("Gather", "shape two", "height"),
        node("Gather", "shape three", "width"),
        node("Mul", "height width", "area"),
        node("Concat", "front area", "target", axis=0),
        node("Reshape", "c target", "flat"),
        node("ReduceMean", "flat", "y", axes=[2], keepdims=0),
    ]
    constants = {"w": weights(4, 3, 2, 2), "zero": ints(0), "two": ints(2), "three": ints(3)}
    model = make_model(nodes, ["N", 3, "H", "W"], constants)
    agrees(model, (2, 3, 6, 5))
    agrees(model, (1, 3, 7, 9))


def test_weights_made_by_nodes_are_evaluated():
    nodes = [
        node("ConstantOfShape", "size", "w", value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.5])),
        node("Cast", "half", "b", to=TensorProto.FLOAT),
        node("Conv", "x w b", "y"),
    ]
    model = make_model(nodes, ["N", 3, 4, 4], {"size": ints(2, 3, 3, 3), "half": weights(2).astype(np.float16)})
    assert agrees(model, (1, 3, 4, 4)).graph.nodes[0].layer.weight.shape == (2, 3, 3, 3)


def test_initializers_may_be_listed_among_the_inputs_and_shared_by_nodes():
    nodes = [node("Gemm", "x w", "h"), node("Relu", "h", "r"), node("Gemm", "r w", "y")]
    assert agrees(make_model(nodes, ["N", 4], {"w": weights(4, 4)}, listed=True), (2, 4)).input_name == "x"


def test_a_one_dimensional_convolution_may_be_written_in_two_dimensions():
    nodes = [
        node("Unsqueeze", "x a", "u"),
        node("Conv", "u w", "c"),
        node("Squeeze", "c a", "s"),
        node("Conv", "s v", "y"),
    ]
    model = make_model(nodes, ["N", 3, 20], {"a": ints(2), "w": weights(4, 3, 1, 5), "v": weights(2, 4, 3)})
    agrees(model, (2, 3, 20))


@pytest.mark.parametrize(("dtype", "kept"), [(np.float64, np.float64), (np.float32, np.float32)])
def test_float_weights_keep_their_type(dtype, kept):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [node("Gemm", "x w b", "h"), node("Mul", "h c", "y")]
    constants = {
        "w": weights(4, 3).astype(dtype),
        "b": weights(3).astype(dtype),
        "c": positive(3).astype(dtype),
    }
    dense = layers(agrees(make_model(nodes, ["N", 4], constants, dtype=kind), (2, 4), dtype=dtype), Dense)[0]
    assert dense.weight.dtype == dense.bias.dtype == kept


def test_half_precision_weights_become_single_precision():
    constants = {"w": weights(4, 3).astype(np.float16)}
    model = make_model([node("Gemm", "x w", "y")], ["N", 4], constants, dtype=TensorProto.FLOAT16)
    assert layers(load(model), Dense)[0].weight.dtype == np.float32


def test_a_batch_size_fixed_in_the_file_is_no_bound():
    nodes = [node("Reshape", "x t", "f"), node("Gemm", "f w", "y")]
    model = make_model(nodes, [1, 3, 4], {"t": ints(1, 12), "w": weights(12, 2)})
    loaded = agrees(model, (1, 3, 4))
    assert forward(loaded.graph, np.zeros((5, 3, 4))).shape == (5, 2)


@pytest.mark.parametrize(
    "name", ["squeezenet", "shufflenet", "inception_v1", "inception_v2", "resnet50", "densenet121"]
)
def test_known_architectures_agree_with_onnxruntime(name):
    model = light_model(name)
    loaded = load(model)
    x = np.random.default_rng(1).normal(size=loaded.input_shape).astype(np.float32)
    expected = run(model, x, read(model).graph.output)
    assert relative_difference(forward(loaded.graph, x), expected) < 1e-5


def test_channel_shuffle_keeps_its_transposes():
    loaded = load(light_model("shufflenet"))
    assert len(layers(loaded, Transpose)) == 16


def test_the_readme_names_every_operator():
    readme = Path(__file__).parents[2] / "README.md"
    if not readme.is_file():
        pytest.skip("the README is not beside the tests")
    words = set(re.findall(r"\w+", readme.read_text(encoding="utf-8")))
    assert {name.rpartition(".")[2] for name in IMPORTERS} <= words
