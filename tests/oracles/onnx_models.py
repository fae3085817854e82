"""Small ONNX models made on the spot, and real structures with seeded random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def node(operator, inputs, outputs, name="", **attributes):
    """A node; `inputs` and `outputs` are names with blanks between them, a lone "-" for an input left out."""
    names = ["" if entry == "-" else entry for entry in inputs.split()]
    return helper.make_node(operator, names, outputs.split(), name=name, **attributes)


def make_model(nodes, input_shape, weights=None, *, outputs="y", opset=17, dtype=TensorProto.FLOAT, listed=False):
    """A model with the input "x", `weights` as initializers (also listed among the inputs if asked for)."""
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    inputs = [helper.make_tensor_value_info("x", dtype, input_shape)]
    if listed:
        inputs += [helper.make_tensor_value_info(entry.name, entry.data_type, entry.dims) for entry in initializers]
    graph = helper.make_graph(
        nodes,
        "net",
        inputs,
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs.split()],
        initializers,
    )
    versions = {"": opset} | {entry.domain: 1 for entry in nodes if entry.domain}
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*pair) for pair in versions.items()], ir_version=8
    )


def run(model, x, output=None):
    """What onnxruntime computes for a value of the model, its only output by default."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    name = output or copy.graph.output[0].name
    if name not in [entry.name for entry in copy.graph.output]:
        copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
    weights = {entry.name for entry in copy.graph.initializer}
    source = next(entry.name for entry in copy.graph.input if entry.name not in weights)
    return session.run([name], {source: x})[0]


def relative_difference(found, expected):
    """Largest difference as a share of the largest expected magnitude."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / (np.abs(expected).max() or 1.0))


def light_model(name, seed=0):
    """One of the structures that the onnx package ships, with weights that keep activations near one.

    The file makes its weights with ConstantOfShape; each becomes an initializer that suits the node that
    reads it.
    """
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    graph, rng = model.graph, np.random.default_rng(seed)
    shapes = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    sizes = {name: array.shape for name, array in shapes.items() if array.dtype == np.float32}
    made = [entry for entry in graph.node if entry.op_type == "ConstantOfShape"]
    sizes.update({entry.output[0]: tuple(shapes[entry.input[0]]) for entry in made})
    kept = [entry for entry in graph.node if entry.op_type != "ConstantOfShape"]
    roles = weight_roles(kept)
    integers = [entry for entry in graph.initializer if entry.name not in sizes]
    fresh = [numpy_helper.from_array(draw(rng, roles.get(name), size), name) for name, size in sizes.items()]
    inputs = [entry for entry in graph.input if entry.name not in shapes]
    rebuilt = helper.make_graph(kept, graph.name, inputs, graph.output, [*integers, *fresh])
    return helper.make_model(rebuilt, opset_imports=model.opset_import, ir_version=8)


def weight_roles(nodes):
    """For each name the operator that reads it and the number of the input, looking through Unsqueeze."""
    roles = {}
    for entry in reversed(nodes):
        for index, name in enumerate(entry.input):
            roles[name] = roles.get(entry.output[0]) if entry.op_type == "Unsqueeze" else (entry.op_type, index)
    return roles


def draw(rng, role, shape):
    """Random weights of the size that their role asks for."""
    if role in (("Conv", 1), ("Gemm", 1)):
        fan_in = np.prod(shape[1:])
        return (rng.standard_normal(shape, np.float32) * np.sqrt(2 / fan_in)).astype(np.float32)
    if role in (("BatchNormalization", 1), ("BatchNormalization", 4), ("Mul", 1)):
        return rng.uniform(0.5, 1.0, shape).astype(np.float32)
    return (rng.standard_normal(shape, np.float32) * 0.1).astype(np.float32)


def color_model(*, channels_last=False, size=(16, 12), head=None):
    """Three scores, twice the means of the input's channels: convolution, ReLU, global average pool."""
    sample = [*size, 3] if channels_last else [3, *size]
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2])] if channels_last else []
    nodes += [
        node("Conv", f"{'t' if channels_last else 'x'} w", "c"),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "g"),
        node("Flatten", "g", "f" if head else "y"),
    ]
    if head:
        nodes.append(node(head, "f", "y"))
    return make_model(nodes, ["N", *sample], {"w": 2 * np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)})
