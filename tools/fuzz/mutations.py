"""Damage to models, in their structure and in their bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, defs, helper
from tools.fuzz.choice import pick

WHOLE = (
    0, -1, 1, 2, 3, 7, 64, 255, 1000, 65537, 10**7, 10**9, 2**31 - 1, 2**31, -(2**31), 10**12, 2**62, 2**63 - 1,
    -(2**63),
)  # fmt: skip
REAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 3e38, -3e38, 1e9, float("nan"), float("inf"), float("-inf"))
TEXTS = (b"", b"x", b"v0", b"SAME_UPPER", b"linear", b"cubic", b"DCR", b"../../etc/passwd", b"\xff\xfe", b"a" * 300)
OPERATORS = sorted({schema.name for schema in defs.get_all_schemas() if schema.domain == ""})

Mutation = Callable[[np.random.Generator, onnx.ModelProto], None]


def mutated(rng: np.random.Generator, model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with up to four things changed."""
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 4])):
        with suppress(DecodeError):  # nested deeper than protobuf can copy
            MUTATIONS[rng.integers(len(MUTATIONS))](rng, model)
    return model


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """The bytes with a few places changed, parts left out, said twice or moved, or the end cut off."""
    data = bytearray(content)
    for _ in range(rng.geometric(0.6)):
        if not data:
            break
        here, there = (int(place) for place in rng.integers(0, len(data), 2))
        length = int(min(rng.geometric(0.05), len(data)))
        match rng.integers(8):
            case 0 | 1:
                data[here] ^= 1 << int(rng.integers(8))
            case 2:
                data[here] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
            case 3:
                del data[here : here + length]
            case 4:
                data[here:here] = data[there : there + length]
            case 5:
                data[here : here + length] = data[there : there + length]
            case 6:
                data[here:here] = _varint(int(rng.choice(WHOLE)))
            case _:
                del data[len(data) - length :]
    return bytes(data)


def _varint(number: int) -> bytes:
    """As protobuf writes whole numbers."""
    number &= 2**64 - 1
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _some_graph(rng: np.random.Generator, model: onnx.ModelProto) -> onnx.GraphProto:
    found = list(_graphs(model.graph))
    return found[rng.integers(len(found))]


def _some_node(rng: np.random.Generator, model: onnx.ModelProto) -> onnx.NodeProto:
    nodes = _some_graph(rng, model).node or [onnx.NodeProto()]
    return nodes[rng.integers(len(nodes))]


def _attribute(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """A number or a text of an attribute, or how many there are."""
    node = _some_node(rng, model)
    if not node.attribute:
        return _new_attribute(rng, model)
    one = node.attribute[rng.integers(len(node.attribute))]
    match rng.integers(6):
        case 0:
            node.attribute.remove(one)
        case 1:
            one.type = int(rng.integers(0, 15))
        case 2 if one.ints:
            one.ints.append(int(pick(rng, WHOLE)))
        case 3 if one.ints:
            del one.ints[int(rng.integers(len(one.ints))) :]
        case _:
            _set(rng, one)
    return None


def _set(rng: np.random.Generator, one: AttributeProto) -> None:
    if one.ints:
        one.ints[int(rng.integers(len(one.ints)))] = int(pick(rng, WHOLE))
    elif one.type == AttributeProto.INT:
        one.i = int(pick(rng, WHOLE))
    elif one.type == AttributeProto.FLOAT:
        one.f = float(pick(rng, REAL))
    elif one.type == AttributeProto.STRING:
        one.s = pick(rng, TEXTS)
    elif one.type == AttributeProto.TENSOR:
        _damage_tensor(rng, one.t)


def _new_attribute(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """One that the operator knows, with any value."""
    node = _some_node(rng, model)
    try:
        known = sorted(defs.get_schema(node.op_type, 17, node.domain).attributes)
    except defs.SchemaError:
        return
    if known:
        values = (int(pick(rng, WHOLE)), float(pick(rng, REAL)), pick(rng, TEXTS), [int(pick(rng, WHOLE))] * 2)
        node.attribute.append(helper.make_attribute(str(pick(rng, known)), pick(rng, values)))


def _operator(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    node = _some_node(rng, model)
    node.op_type = str(pick(rng, OPERATORS))
    if rng.random() < 0.1:
        node.domain = str(pick(rng, ("ai.onnx", "ai.onnx.ml", "com.microsoft", "x")))


def _edge(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """What a node reads or makes: something else, nothing, or once more."""
    node, graph = _some_node(rng, model), model.graph
    names = [
        "",
        "x",
        *(name for one in graph.node for name in one.output),
        *(entry.name for entry in graph.initializer),
    ]
    side = node.input if rng.random() < 0.7 else node.output
    match rng.integers(4):
        case 0:
            side.append(str(pick(rng, names)))
        case 1 if side:
            del side[int(rng.integers(len(side)))]
        case _ if side:
            side[int(rng.integers(len(side)))] = str(pick(rng, names))


def _order(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Nodes in another order, one less, or one twice."""
    graph = _some_graph(rng, model)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    if not nodes:
        return
    match rng.integers(3):
        case 0:
            nodes = [nodes[place] for place in rng.permutation(len(nodes))]
        case 1:
            del nodes[int(rng.integers(len(nodes)))]
        case _:
            nodes.append(nodes[int(rng.integers(len(nodes)))])
    del graph.node[:]
    graph.node.extend(nodes)


def _weights(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    tensors = _some_graph(rng, model).initializer
    if tensors:
        _damage_tensor(rng, tensors[int(rng.integers(len(tensors)))])


def _damage_tensor(rng: np.random.Generator, tensor: TensorProto) -> None:
    """Another shape, type, place or name, fewer bytes, or other values."""
    match rng.integers(9):
        case 0 if tensor.dims:
            tensor.dims[int(rng.integers(len(tensor.dims)))] = int(pick(rng, WHOLE))
        case 1:
            tensor.dims.append(int(pick(rng, WHOLE)))
        case 2:
            tensor.data_type = int(rng.integers(-1, 30))
        case 3:
            tensor.raw_data = tensor.raw_data[: int(rng.integers(0, len(tensor.raw_data) + 1))]
        case 4:
            tensor.name = str(pick(rng, ("", "x", "v0", "w0_0")))
        case 5:
            tensor.data_location = TensorProto.EXTERNAL
            places = ("/etc/passwd", "../../etc/passwd", "", ".", "weights.bin", "/dev/zero", "a" * 5000)
            tensor.external_data.add(key="location", value=str(pick(rng, places)))
            tensor.external_data.add(key="length", value=str(pick(rng, (*WHOLE, "many"))))
        case 6 if tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) >= 4:
            values = np.frombuffer(tensor.raw_data[: len(tensor.raw_data) // 4 * 4], np.float32).copy()
            values[rng.integers(values.size)] = pick(rng, REAL)
            tensor.raw_data = values.tobytes()
        case 7 if tensor.data_type == TensorProto.INT64 and len(tensor.raw_data) >= 8:
            numbers = np.frombuffer(tensor.raw_data[: len(tensor.raw_data) // 8 * 8], np.int64).copy()
            numbers[rng.integers(numbers.size)] = pick(rng, WHOLE)
            tensor.raw_data = numbers.tobytes()
        case _:
            tensor.float_data.append(float(pick(rng, REAL)))


def _ends(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Shape, type and number of inputs and outputs."""
    side = model.graph.input if rng.random() < 0.7 else model.graph.output
    if not side:
        return
    value = side[int(rng.integers(len(side)))]
    tensor = value.type.tensor_type
    match rng.integers(6):
        case 0 | 1 if tensor.shape.dim:
            tensor.shape.dim[int(rng.integers(len(tensor.shape.dim)))].dim_value = int(pick(rng, WHOLE))
        case 2:
            tensor.elem_type = int(rng.integers(0, 25))
        case 3:
            tensor.shape.dim.add().dim_value = int(pick(rng, WHOLE))
        case 4:
            tensor.ClearField("shape") if rng.random() < 0.5 else value.ClearField("type")
        case _:
            side.add().CopyFrom(value) if rng.random() < 0.5 else side.remove(value)


def _versions(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    match rng.integers(4):
        case 0:
            del model.opset_import[:]
        case 1:
            model.ir_version = int(pick(rng, WHOLE))
        case 2:
            model.opset_import.add(
                domain=str(pick(rng, ("", "ai.onnx", "com.microsoft"))), version=int(pick(rng, WHOLE))
            )
        case _ if model.opset_import:
            model.opset_import[0].version = int(rng.integers(0, 30))


def _nested(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Nodes inside a branch, inside a branch, and so on."""
    graph = model.graph
    if not graph.node:
        return
    inner = onnx.GraphProto.FromString(graph.SerializeToString())
    for _ in range(int(pick(rng, (1, 2, 20)))):
        node = helper.make_node("If", ["x"], [inner.node[-1].output[0] if inner.node[-1].output else "y"])
        node.attribute.append(helper.make_attribute("then_branch", inner))
        node.attribute.append(helper.make_attribute("else_branch", onnx.GraphProto(name="other")))
        inner = onnx.GraphProto(name="outer", node=[node], output=graph.output)
    graph.node.add().CopyFrom(inner.node[0])


def _functions(rng: np.random.Generator, model: onnx.ModelProto) -> None:
    """Nodes that stand for others, which may stand for themselves again, or for more and more."""
    depth, calls = int(pick(rng, (1, 2, 30))), int(pick(rng, (1, 2, 4)))
    round_about = rng.random() < 0.3
    for level in range(depth):
        following = f"f{(level + 1) % depth}" if round_about or level + 1 < depth else "Relu"
        domain = "local" if following != "Relu" else ""
        names = ["a", *(f"n{number}" for number in range(calls - 1)), "b"]
        body = [helper.make_node(following, [one], [other], domain=domain) for one, other in pairwise(names)]
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        model.functions.append(helper.make_function("local", f"f{level}", ["a"], ["b"], body, versions))
    model.opset_import.add(domain="local", version=1)
    node = _some_node(rng, model)
    node.op_type, node.domain = "f0", "local"
    del node.attribute[:]


MUTATIONS: tuple[Mutation, ...] = (
    _attribute, _attribute, _attribute, _new_attribute, _operator, _edge, _edge, _order, _weights, _weights, _weights,
    _ends, _ends, _versions, _nested, _functions,
)  # fmt: skip
