"""Every operator means the same in every operator set that has it, however it takes its options there."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lrpfast import load
from lrpfast.model.onnx_import.registry import IMPORTERS
from oracles.forward import forward
from oracles.onnx_models import make_model, node, relative_difference, run

OLDEST = 7
NEWEST = min(onnx.defs.onnx_opset_version(), 24)  # what the oldest onnxruntime that is tested here runs

RNG = np.random.default_rng(11)
SHAPE = (2, 4, 6, 5)


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


#: attributes that an operator needs
ATTRIBUTES = {
    "AveragePool": {"kernel_shape": [2, 2]}, "Concat": {"axis": 1}, "DepthToSpace": {"blocksize": 2},
    "Einsum": {"equation": "bchw,wv->bchv"}, "Gather": {"axis": 3}, "LRN": {"size": 3},
    "LayerNormalization": {"axis": -1}, "LpPool": {"kernel_shape": [2, 2]}, "MaxPool": {"kernel_shape": [2, 2]},
    "SpaceToDepth": {"blocksize": 1}, "Split": {"axis": 3}, "Transpose": {"perm": [0, 2, 1, 3]},
    "GroupNormalization": {"num_groups": 2},
}  # fmt: skip

#: further inputs, all of them constants
CONSTANTS = {
    "Add": [weights(4, 1, 1)], "And": [np.array([True] * 3 + [False] * 2)],
    "BatchNormalization": [weights(4), weights(4), weights(4), np.abs(weights(4)) + 0.5],
    "Conv": [weights(3, 4, 3, 2), weights(3)], "ConvTranspose": [weights(4, 3, 2, 2)], "Div": [np.float32(2)],
    "Einsum": [weights(5, 3)], "Equal": [np.float32(0)], "Expand": [ints(1, 4, 6, 5)], "Gather": [ints(4, 0, 2)],
    "Gemm": [weights(120, 3), weights(3)], "Greater": [np.float32(0.1)], "GreaterOrEqual": [np.float32(0.1)],
    "GroupNormalization": [weights(4), weights(4)], "InstanceNormalization": [weights(4), weights(4)],
    "LayerNormalization": [weights(5), weights(5)], "Less": [np.float32(0.1)], "LessOrEqual": [np.float32(0.1)],
    "MatMul": [weights(5, 3)], "Max": [np.float32(0.2)], "Min": [np.float32(0.2)], "Mul": [weights(4, 1, 1)],
    "Or": [np.array([True] * 3 + [False] * 2)], "PRelu": [weights(4, 1, 1)], "Pow": [np.float32(2)],
    "Reshape": [ints(0, -1, 5)], "Sub": [weights(4, 1, 1)], "Tile": [ints(1, 1, 2, 1)],
    "Xor": [np.array([True] * 3 + [False] * 2)],
}  # fmt: skip

#: options: the operator set from which on they are inputs, and for each its name and its value, None to leave it out
OPTIONS = {
    "Clip": (11, [("min", np.float32(-0.5)), ("max", np.float32(0.7))]),
    "Dropout": (12, [("ratio", np.float32(0.3))]),
    "Pad": (11, [("pads", ints(0, 0, 1, 0, 0, 0, 2, 1)), ("value", np.float32(0.3))]),
    "ReduceSum": (13, [("axes", ints(2, 3))]),
    "Slice": (10, [("starts", ints(1, 0)), ("ends", ints(5, 4)), ("axes", ints(2, 3))]),
    "Split": (13, [("split", ints(3, 2))]),
    "Squeeze": (13, [("axes", ints(2))]),
    "Unsqueeze": (13, [("axes", ints(1))]),
    "Upsample": (9, [("scales", np.array([1, 1, 2, 3], np.float32))]),
} | {
    f"Reduce{name}": (18, [("axes", ints(2, 3))])
    for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "SumSquare")
}  # fmt: skip

#: operators that take outcomes of a comparison, that join the input with itself, that take numbers above zero only
LOGICAL = {"And", "Not", "Or", "Xor"}
REPEATED = {"Concat", "Mean", "Sum"}
POSITIVE = {"Log", "Sqrt", "Reciprocal", "ReduceLogSum"}

#: tested by hand, in pairs or with weights of whole numbers
ELSEWHERE = {
    "Cast", "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv",
    "QLinearMatMul", "QuantizeLinear", "Resize", "Where",
}  # fmt: skip

OPERATORS = sorted(name for name in IMPORTERS if "." not in name and name not in ELSEWHERE)


#: before these operator sets they take whole numbers, or operands of equal shapes, only
FIRST = {"Equal": 11, "Max": 8, "Min": 8}


def versions(operator):
    """The operator sets that changed an operator, the oldest that is read, and the newest."""
    schemas = [
        entry for entry in onnx.defs.get_all_schemas_with_history() if (entry.domain, entry.name) == ("", operator)
    ]
    since = {schema.since_version: schema.deprecated for schema in schemas}
    last = max(since) - 1 if since[max(since)] else NEWEST
    oldest = FIRST.get(operator, OLDEST)
    return sorted({max(version, oldest) for version in since if version <= last and not since[version]} | {last})


def model_of(operator, opset):
    """A model of the one operator, with its options where this operator set has them, and a layer behind it."""
    given, before, inputs = {}, [], ["x"]
    if operator == "Gemm":
        before, inputs = [node("Flatten", "x", "flat")], ["flat"]
    elif operator == "Squeeze":
        before, inputs = [node("MaxPool", "x", "thin", kernel_shape=[6, 1])], ["thin"]
    elif operator in LOGICAL:
        before, inputs, given = [node("Greater", "x zero", "outcome")], ["outcome"], {"zero": np.float32(0)}
    elif operator in POSITIVE:
        before, inputs = [node("Exp", "x", "above")], ["above"]
    elif operator in REPEATED:
        inputs = ["x", "x"]
    attributes = dict(ATTRIBUTES.get(operator, {}))
    since, options = OPTIONS.get(operator, (0, []))
    options = [(f"c{number}", array) for number, array in enumerate(CONSTANTS.get(operator, []))] + options
    for name, array in options:
        if opset >= since:
            inputs.append(name)
            given[name] = array
        else:
            attributes[name] = array.tolist()
    made = node(operator, " ".join(inputs), "made rest" if operator == "Split" else "made", **attributes)
    behind = [node("Cast", "made", "number", to=onnx.TensorProto.FLOAT), node("Neg", "number", "y")]
    return make_model([*before, made, *behind], ["N", *SHAPE[1:]], given, opset=opset)


#: what onnxruntime says of operators that it does not have in an operator set
NOT_THERE = ("NOT_IMPLEMENTED", "not a registered function", "is till opset")

CASES = [(operator, opset) for operator in OPERATORS for opset in versions(operator)]


@pytest.mark.parametrize(("operator", "opset"), CASES, ids=lambda part: str(part))
def test_an_operator_in_an_operator_set(operator, opset):
    model, x = model_of(operator, opset), np.random.default_rng(5).normal(size=SHAPE).astype(np.float32)
    try:
        expected = run(model, x)
    except Exception as error:
        if not any(phrase in str(error) for phrase in NOT_THERE):
            raise
        pytest.skip("onnxruntime does not have the operator in this operator set")
    assert relative_difference(forward(load(model).graph, x), expected) < 1e-5
