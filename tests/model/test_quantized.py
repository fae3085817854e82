"""Quantised operators: close to what onnxruntime computes, whose values are rounded as well."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxruntime.quantization import quantize_dynamic

from lrpfast import LRP
from lrpfast.errors import UnsupportedError
from lrpfast.model import load
from lrpfast.model.layers import Convolution, Dense
from oracles.books import balanced
from oracles.forward import forward
from oracles.onnx_models import make_model, node, relative_difference, run

RNG = np.random.default_rng(6)
STEP = np.float32(0.02)
SHAPE = (2, 4, 6, 5)


def constants():
    rng = np.random.default_rng(5)
    return {
        "s": STEP, "z": np.uint8(128), "z8": np.int8(0), "zero": np.uint8(0), "ws": np.float32(0.003),
        "w": rng.integers(-100, 100, (3, 4, 3, 3), np.int8), "wsc": rng.uniform(0.001, 0.005, 3).astype(np.float32),
        "wzc": np.zeros(3, np.int8), "b": rng.integers(-500, 500, 3, np.int32), "bs": STEP * np.float32(0.003),
        "m": rng.integers(-100, 100, (4, 7), np.int8), "ms": rng.uniform(0.01, 0.04, 7).astype(np.float32),
        "mz": np.zeros(7, np.int8),
    }  # fmt: skip


def microsoft(operator, inputs, output, **attributes):
    return helper.make_node(operator, ["" if name == "-" else name for name in inputs.split()], [output],
                            domain="com.microsoft", **attributes)  # fmt: skip


QUANTIZE, END = node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "r s z", "y")
CASES = {
    "pairs": [
        QUANTIZE, node("DequantizeLinear", "q s z", "d"), node("DequantizeLinear", "w ws z8", "k"),
        node("DequantizeLinear", "b bs", "o"), node("Conv", "d k o", "c"), node("QuantizeLinear", "c s zero", "p"),
        node("MaxPool", "p", "n", kernel_shape=[2, 2]), node("DequantizeLinear", "n s zero", "y"),
    ],
    "a scale for each channel": [
        QUANTIZE, node("DequantizeLinear", "q s z", "d"), node("DequantizeLinear", "w wsc wzc", "k", axis=0),
        node("Conv", "d k", "y"),
    ],
    "convolution": [QUANTIZE, node("QLinearConv", "q s z w ws z8 s z b", "r", pads=[1, 1, 1, 1]), END],
    "convolution, a scale for each channel": [QUANTIZE, node("QLinearConv", "q s z w wsc wzc s zero", "r"),
                                              node("DequantizeLinear", "r s zero", "y")],
    "matrix": [
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("QuantizeLinear", "t s z", "q"),
        node("QLinearMatMul", "q s z m ws z8 s z", "r"), END,
    ],
    "sum": [QUANTIZE, microsoft("QLinearAdd", "q s z q s z s z", "r"), END],
    "global average": [QUANTIZE, microsoft("QLinearGlobalAveragePool", "q s z s z", "r", channels_last=0), END],
    "concatenation": [QUANTIZE, microsoft("QLinearConcat", "s z q s z q s z", "r", axis=1), END],
    "dense": [
        node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f"), node("QuantizeLinear", "f s z", "q"),
        microsoft("QGemm", "q s z m ws z8 - s z", "r"), END,
    ],
}  # fmt: skip


def quantized(nodes):
    used = {name for entry in nodes for name in entry.input}
    given = {name: array for name, array in constants().items() if name in used}
    model = make_model(nodes, ["N", *SHAPE[1:]], given)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


@pytest.mark.parametrize("case", CASES)
def test_values_differ_by_the_rounding_of_the_steps(case):
    model, x = quantized(CASES[case]), np.random.default_rng(3).normal(0.5, 1, SHAPE).astype(np.float32)
    found, expected = forward(load(model).graph, x), run(model, x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 2.5 * STEP
    assert np.abs(expected).max() > 10 * STEP


def test_a_floor_at_the_zero_of_the_type_is_that_of_a_relu():
    graph = load(quantized(CASES["pairs"])).graph
    clips = [entry.layer for entry in graph.nodes if entry.layer.kind == "activation"]
    assert clips[-1].low == 0


def test_weights_are_the_dequantised_ones():
    graph = load(quantized(CASES["convolution, a scale for each channel"])).graph
    (conv,) = [entry.layer for entry in graph.nodes if isinstance(entry.layer, (Convolution, Dense))]
    given = constants()
    assert conv.weight.dtype == np.float32
    assert conv.weight.shape == given["w"].shape


def test_activations_with_a_scale_for_each_channel_are_refused():
    with pytest.raises(UnsupportedError, match="each channel by a scale of its own"):
        load(make_model([node("QuantizeLinear", "x s", "q", axis=1), node("DequantizeLinear", "q s", "y", axis=1)],
                        ["N", 3, 4], {"s": np.ones(3, np.float32)}))  # fmt: skip


def trained():
    """A small classifier, in float32."""
    rng = np.random.default_rng(7)
    given = {
        "w": rng.normal(0, 0.2, (8, 3, 3, 3)), "b": rng.normal(0, 0.2, 8), "w2": rng.normal(0, 0.2, (8, 8, 3, 3)),
        "v": rng.normal(0, 0.5, (6, 8)), "u": rng.normal(0, 0.5, 6), "m": rng.normal(0, 0.5, (6, 4)),
    }  # fmt: skip
    nodes = [
        node("Conv", "x w b", "c", "conv", pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Conv", "p w2", "d", "conv2"),
        node("Relu", "d", "e"), node("GlobalAveragePool", "e", "g"), node("Flatten", "g", "f"),
        node("Gemm", "f v u", "h", "gemm", transB=1), node("Relu", "h", "i"), node("MatMul", "i m", "y", "matmul"),
    ]  # fmt: skip
    return make_model(nodes, ["N", 3, 8, 8], {name: array.astype(np.float32) for name, array in given.items()})


@pytest.fixture(params=[False, True], ids=["a scale for all", "a scale for each channel"])
def dynamic(request, tmp_path):
    """What onnxruntime's tool writes that leaves the range of activations to be measured."""
    onnx.save(trained(), tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "quantized.onnx", per_channel=request.param)
    return tmp_path / "quantized.onnx"


@pytest.fixture
def executable(dynamic):
    """Such a model, if onnxruntime can execute what its tool writes: older ones multiply no signed bytes."""
    try:
        onnxruntime.InferenceSession(dynamic, providers=["CPUExecutionProvider"])
    except Exception as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
        pytest.skip("onnxruntime does not have ConvInteger of signed bytes")
    return dynamic


def test_dynamically_quantised_models_differ_by_the_rounding_of_activations(executable):
    model, loaded, x = onnx.load(executable), load(executable), batch()
    assert relative_difference(forward(loaded.graph, x), run(model, x)) < 1e-2  # activations have 8 bits
    kinds = [entry.layer.kind for entry in loaded.graph.nodes if entry.layer.kind != "routing"]
    assert kinds == ["conv", "activation", "max", "conv", "activation", "average", "dense", "activation", "dense"]
    balanced(loaded, x)


def test_dynamic_quantisation_explains_what_rounded_weights_say(dynamic):
    found, plain = LRP(load(dynamic)), LRP(load(trained()))
    x = batch()
    assert relative_difference(found.attribute(x, 0).relevance, plain.attribute(x, 0).relevance) < 0.05


def test_a_dynamically_quantised_model_that_a_runtime_optimised_is_the_same(executable, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    onnxruntime.InferenceSession(executable, options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    assert "DynamicQuantizeMatMul" in {entry.op_type for entry in optimised.graph.node}
    x = batch()
    assert relative_difference(forward(load(optimised).graph, x), forward(load(executable).graph, x)) < 1e-6


def test_a_product_of_whole_numbers_may_carry_its_scales():
    given = {"a": np.float32(1.5), "q": RNG.integers(0, 255, (4, 7), np.uint8), "qs": np.full(7, 0.02, np.float32),
             "qz": np.full(7, 120, np.uint8), "o": RNG.normal(size=7).astype(np.float32)}  # fmt: skip
    nodes = [
        node("DynamicQuantizeLinear", "x", "i s z"),
        microsoft("MatMulIntegerToFloat", "i q s qs z qz o", "y"),
    ]
    model = make_model(nodes, ["N", 4], {name: given[name] for name in ("q", "qs", "qz", "o")})
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    assert relative_difference(forward(load(model).graph, x), run(model, x)) < 2e-2


def batch():
    return np.random.default_rng(4).normal(size=(2, 3, 8, 8)).astype(np.float32)
