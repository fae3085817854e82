"""Files made to do harm, and broken ones: each is refused in words, and none takes memory that it does not pay for."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from lrpfast import LRP
from lrpfast.errors import InputError, LRPError, ModelError
from lrpfast.model import load
from lrpfast.model.onnx_import.evaluation import ALLOWED
from oracles.onnx_models import make_model, node

HUGE = 2**40


def external(location, **numbers):
    """A model with weights of 3 floats in another file."""
    model = make_model([node("Mul", "x w", "y")], ["N", 3], {"w": np.ones(3, np.float32)})
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **numbers}.items():
        weights.external_data.add(key=key, value=str(value))
    return model


@pytest.fixture
def folder(tmp_path):
    """A folder with weights in it, beside others that are not for it."""
    inner = tmp_path / "inner"
    inner.mkdir()
    for place in (inner / "weights.bin", tmp_path / "secret.bin"):
        place.write_bytes(np.arange(6, dtype=np.float32).tobytes())
    return inner


def loaded_beside(folder, model):
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return load(path)


def test_weights_beside_the_model_are_read_from_their_place(folder):
    model = loaded_beside(folder, external("weights.bin", offset=8, length=12))
    np.testing.assert_array_equal(model.graph.nodes[0].layer.scale, [2, 3, 4])


@pytest.mark.parametrize(
    "location", ["../secret.bin", "sub/../../secret.bin", "/etc/passwd", "C:\\secret.bin", "..\\secret.bin", "", "a\0b"]
)
def test_weights_outside_the_folder_are_not_read(folder, location):
    with pytest.raises(ModelError, match="no file in its own folder"):
        loaded_beside(folder, external(location, length=12))


@pytest.mark.parametrize("what", ["a file", "a folder"])
def test_links_that_lead_out_of_the_folder_are_not_followed(folder, what):
    link, goal = (
        (folder / "link", folder.parent) if what == "a folder" else (folder / "link", folder.parent / "secret.bin")
    )
    link.symlink_to(goal)
    with pytest.raises(ModelError, match="leads out of its folder"):
        loaded_beside(folder, external("link/secret.bin" if what == "a folder" else "link", length=12))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_and_devices_are_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModelError, match="no plain file"):
        loaded_beside(folder, external("pipe", length=12))
    for path in (folder / "pipe", "/dev/zero"):
        with pytest.raises(ModelError, match="no plain file"):
            load(path)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"length": HUGE}, "bytes 0 to 1,099,511,627,776 of 'weights.bin', which has 24"),
        ({"offset": 20, "length": 12}, "bytes 20 to 32"),
        ({"offset": -4, "length": 12}, "where a number of bytes is needed"),
        ({"length": "many"}, "where a number of bytes is needed"),
        ({"length": "9" * 5000}, "where a number of bytes is needed"),
        ({"length": 8}, "'w' are damaged"),
    ],
)
def test_places_that_a_file_does_not_have_are_refused(folder, numbers, message):
    with pytest.raises(ModelError, match=message):
        loaded_beside(folder, external("weights.bin", **numbers))


def test_tensors_may_share_bytes_but_not_make_much_of_few(folder):
    model = external("weights.bin", length=12)
    for number in range(20):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"w{number}"
    with pytest.raises(ModelError, match="ask for 108 bytes of files that hold 24"):
        loaded_beside(folder, model)


@pytest.mark.parametrize("place", ["an initializer", "an attribute"])
def test_without_a_path_no_other_file_is_read(folder, place, monkeypatch):
    monkeypatch.chdir(folder)
    model = external("weights.bin", length=12)
    if place == "an attribute":
        model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=model.graph.initializer[0]))
        del model.graph.initializer[:]
    with pytest.raises(ModelError, match="load it by the path"):
        load(model)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "\udcff"])
def test_paths_that_cannot_be_are_refused(path):
    with pytest.raises(ModelError):
        load(path)


def int64(*numbers):
    return np.array(numbers)


#: nodes that turn an input (N, 4) and few weights into "c", which would take terabytes
GREEDY = {
    "ConstantOfShape": ([node("ConstantOfShape", "s", "c")], {"s": int64(HUGE, 4)}),
    "Expand": ([node("Expand", "w s", "c")], {"w": np.ones((1, 1), np.float32), "s": int64(HUGE, 4)}),
    "Tile": ([node("Tile", "w s", "c")], {"w": np.ones((1, 4), np.float32), "s": int64(HUGE, 1)}),
    "Range": ([node("Range", "zero end one", "c")],
              {"zero": np.float32(0), "end": np.float32(1e12), "one": np.float32(1)}),
    "Pad": ([node("Pad", "w s", "c")], {"w": np.ones((1, 4), np.float32), "s": int64(0, 0, HUGE, 0)}),
    "OneHot": ([node("OneHot", "i d v", "c")], {"i": int64(1), "d": int64(HUGE), "v": np.float32([0, 1])}),
    "EyeLike": ([node("ConstantOfShape", "s", "z"), node("EyeLike", "z", "c")], {"s": int64(2**20, 2**20)}),
    "Gather": ([node("Gather", "w i", "c")],
               {"w": np.ones((1, 2**15), np.float32), "i": np.zeros((2**15,), np.int64)}),
    "a product": ([node("MatMul", "w v", "c")],
                  {"w": np.ones((2**17, 1), np.float32), "v": np.ones((1, 2**17), np.float32)}),
    "a sum": ([node("Add", "w v", "c")],
              {"w": np.ones((2**17, 1), np.float32), "v": np.ones((1, 2**17), np.float32)}),
    "Conv": ([node("Conv", "w k", "c", dilations=[2**30])],
             {"w": np.ones((1, 1, 4), np.float32), "k": np.ones((1, 1, 2), np.float32)}),
    "Resize": ([node("Resize", "w - - s", "c")], {"w": np.ones((1, 4), np.float32), "s": int64(HUGE, 4)}),
    "many of them": ([*(node("ConstantOfShape", "s", f"c{i}") for i in range(40)),
                      node("Concat", " ".join(f"c{i}" for i in range(40)), "c", axis=0)], {"s": int64(2**22)}),
    "an empty one": ([node("Reshape", "w s", "c", allowzero=1)], {"w": np.ones(0, np.float32), "s": int64(0, HUGE)}),
}  # fmt: skip


@pytest.mark.parametrize("case", GREEDY)
def test_constants_are_not_computed_beyond_what_a_file_may_ask_for(case):
    nodes, weights = GREEDY[case]
    content = make_model([*nodes, node("Add", "x c", "y")], ["N", 4], weights).SerializeToString()
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            load(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * ALLOWED


#: layers that would name terabytes of places, or make them
WIDE = {
    "Expand": ([node("Expand", "x s", "y")], {"s": int64(1, HUGE)}, ["N", 1]),
    "Tile": ([node("Tile", "x s", "y")], {"s": int64(1, HUGE)}, ["N", 4]),
    "Pad": ([node("Pad", "x s", "y")], {"s": int64(0, 0, 0, HUGE)}, ["N", 4]),
    "a border": ([node("Pad", "x s", "y", mode="edge")], {"s": int64(0, 0, 0, HUGE)}, ["N", 4]),
    "Resize": ([node("Resize", "x - s", "y")], {"s": np.float32([1, 1, 1e12])}, ["N", 1, 4]),
    "interpolation": ([node("Resize", "x - s", "y", mode="linear")], {"s": np.float32([1, 1, 1e6])}, ["N", 1, 400]),
    "no scale": ([node("Resize", "x - s", "y")], {"s": np.float32([1, 1, np.nan])}, ["N", 1, 4]),
    "strides": ([node("Conv", "x w", "y", strides=[2**62])], {"w": np.ones((1, 1, 1), np.float32)}, ["N", 1, 4]),
    "pads": ([node("Conv", "x w", "y", pads=[2**62, 0])], {"w": np.ones((1, 1, 1), np.float32)}, ["N", 1, 4]),
    "dilations": ([node("Conv", "x w", "y", dilations=[2**62], pads=[2**62, 0])],
                  {"w": np.ones((1, 1, 2), np.float32)}, ["N", 1, 4]),
    "no strides": ([node("Conv", "x w", "y", strides=[0])], {"w": np.ones((1, 1, 1), np.float32)}, ["N", 1, 4]),
    "negative pads": ([node("MaxPool", "x", "y", kernel_shape=[2], pads=[-1, -1])], {}, ["N", 1, 4]),
    "an input": ([node("Slice", "x a b c d", "s"), node("ReduceMax", "s", "y", axes=[1])],
                 {"a": int64(0), "b": int64(HUGE), "c": int64(1), "d": int64(2)}, ["N", HUGE]),
    "a moved scale": ([node("Mul", "x w", "s"), node("Reshape", "s t", "y")],
                      {"w": np.float32([[[2]], [[3]]]), "t": int64(0, -1)}, ["N", 2, 2**20, 2**20]),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDE)
def test_layers_do_not_reach_beyond_any_memory(case):
    nodes, weights, shape = WIDE[case]
    content = make_model(nodes, shape, weights).SerializeToString()
    tracemalloc.start()
    try:
        with pytest.raises(LRPError):
            LRP(load(content)).attribute(np.zeros((1, *(size if size < 1000 else 1 for size in shape[1:])), np.float32))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * ALLOWED


def with_functions(calls, named=("f0", "f1", "f2", "f3")):
    """A model with functions, each of nodes that call others; the last ones are Relu."""
    model = make_model([helper.make_node(named[0], ["x"], ["y"], domain="local")], ["N", 3])
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    for name, called in calls.items():
        values = ["a", *(f"v{number}" for number in range(len(called) - 1)), "b"]
        body = [
            helper.make_node(other, [values[i]], [values[i + 1]], domain="local" if other in calls else "")
            for i, other in enumerate(called)
        ]
        model.functions.append(helper.make_function("local", name, ["a"], ["b"], body, versions))
    return model


def test_functions_are_written_out():
    model = load(with_functions({"f0": ["f1", "f1"], "f1": ["Relu", "Neg"]}))
    assert [entry.operator for entry in model.graph.nodes] == ["Relu", "Neg", "Relu", "Neg"]


def test_functions_that_call_one_another_in_a_circle_are_refused():
    with pytest.raises(ModelError, match="local function"):
        load(with_functions({"f0": ["f1"], "f1": ["f0"]}))


def test_functions_that_stand_for_far_more_than_the_file_holds_are_refused():
    calls = {f"f{level}": [f"f{level + 1}"] * 2 for level in range(60)} | {"f60": ["Relu"]}
    with pytest.raises(ModelError, match="bytes of nodes"):
        load(with_functions(calls))


def nested(depth):
    """A question within a question, and so on."""
    inner = [node("Relu", "x", "b0")]
    for level in range(depth):
        ends = [helper.make_tensor_value_info(f"b{level}", TensorProto.FLOAT, None)]
        sides = (helper.make_graph(nodes, "side", [], ends) for nodes in (inner, [node("Exp", "x", f"b{level}")]))
        inner = [node("If", "c", f"b{level + 1}", then_branch=next(sides), else_branch=next(sides))]
    return make_model([*inner, node("Add", f"b{depth} x", "y")], ["N", 3], {"c": np.array(True)})


def test_questions_within_questions_are_answered_as_deep_as_files_go():
    assert [entry.operator for entry in load(nested(5)).graph.nodes] == ["Relu", "Add"]


def test_questions_deeper_than_files_go_are_refused():
    with pytest.raises((ModelError, DecodeError)):
        load(nested(60))


def damaged(change, nodes=None, weights=None):
    """A small valid model, changed."""
    model = make_model(
        nodes or [node("Gemm", "x w", "h", "dense"), node("Relu", "h", "y")],
        ["N", 4],
        weights or {"w": np.eye(4, 3, dtype=np.float32)},
    )
    change(model)
    return model


def test_an_empty_constant_is_not_sliced_backwards():
    """ONNX's shape inference would end the process."""
    nodes = [node("Slice", "w a b c d", "e"), node("Concat", "x e", "y", axis=1)]
    given = {"w": np.ones((1, 0), np.float32), "a": int64(-1), "b": int64(-9), "c": int64(1), "d": int64(-1)}
    with pytest.raises(ModelError):
        load(make_model(nodes, ["N", 4], given))


def test_a_value_that_is_cropped_to_less_than_nothing_is_refused():
    nodes = [node("Pad", "x p", "v"), node("Slice", "v a b c d", "y")]
    given = {"p": int64(0, -3, 0, -3), "a": int64(-1), "b": int64(-9), "c": int64(1), "d": int64(-1)}
    with pytest.raises(ModelError):
        load(make_model(nodes, ["N", 4], given))


DAMAGE = {
    "truncated weights": lambda m: setattr(m.graph.initializer[0], "raw_data", b"1234"),
    "long weights": lambda m: setattr(m.graph.initializer[0], "raw_data", m.graph.initializer[0].raw_data * 3),
    "another type": lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING),
    "no type": lambda m: setattr(m.graph.initializer[0], "data_type", 99),
    "a huge weight": lambda m: m.graph.initializer[0].dims.__setitem__(0, HUGE),
    "a negative weight": lambda m: m.graph.initializer[0].dims.__setitem__(0, -1),
    "no elements": lambda m: m.graph.initializer[0].CopyFrom(TensorProto(name="w", data_type=1, dims=[0, HUGE])),
    "NaN": lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 3), np.nan, "f4"), "w")),
    "infinity": lambda m: m.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((4, 3), np.inf, "f4"), "w")),
    "a circle": lambda m: m.graph.node[0].input.__setitem__(0, "y"),
    "the same output twice": lambda m: m.graph.node[1].output.__setitem__(0, "h"),
    "unsorted": lambda m: m.graph.node.insert(0, m.graph.node.pop()),
    "no inputs": lambda m: m.graph.node[1].ClearField("input"),
    "no operator": lambda m: setattr(m.graph.node[1], "op_type", ""),
    "no operator set": lambda m: m.ClearField("opset_import"),
    "no input shape": lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"),
    "no outputs": lambda m: m.graph.ClearField("output"),
    "no graph": lambda m: m.ClearField("graph"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused(case):
    with pytest.raises(ModelError):
        load(damaged(DAMAGE[case]).SerializeToString())


def test_a_weight_named_twice_is_one():
    model = damaged(lambda m: m.graph.initializer.append(m.graph.initializer[0]))
    assert len(load(model).graph.nodes) == 2


def test_every_beginning_of_a_file_is_refused_or_loads():
    content = damaged(lambda m: None).SerializeToString()
    for length in range(len(content)):
        with pytest.raises(ModelError):
            load(content[:length])


@pytest.mark.parametrize("operator", ["MaxPool", "Relu", "Neg", "Transpose"])
def test_many_layers_behind_one_another_are_read(operator):
    """More than Python's recursion goes deep."""
    settings = {"MaxPool": {"kernel_shape": [1]}, "Transpose": {"perm": [0, 2, 1]}}.get(operator, {})
    names = ["s", *(f"v{number}" for number in range(600)), "y"]
    chain = [node(operator, names[i], names[i + 1], **settings) for i in range(len(names) - 1)]
    model = load(make_model([node("Mul", "x k", "s"), *chain], ["N", 2, 3], {"k": np.float32([[2], [3]])}))
    assert LRP(model, "gradient").attribute(np.ones((1, 2, 3))).relevance.shape == (1, 2, 3)


def test_graphs_without_an_end_are_refused():
    chain = [node("Relu", f"v{number}" if number else "x", f"v{number + 1}") for number in range(6000)]
    with pytest.raises(ModelError, match="first 5,000 layers"):
        load(make_model(chain, ["N", 3], outputs="v6000"))


def test_branches_that_meet_again_and_again_are_prepared_once():
    """There are 2**60 ways through them."""
    chain = [node("Conv", "x w", "v0")]
    for level in range(60):
        sides = [node("Relu", f"v{level}", f"{side}{level}") for side in "ab"]
        chain += [*sides, node("Concat", f"a{level} b{level}", f"c{level}", axis=1)]
        chain.append(node("Slice", f"c{level} zero one axis", f"v{level + 1}"))
    given = {"zero": int64(0), "one": int64(1), "axis": int64(1), "w": np.ones((1, 1, 1), np.float32)}
    model = load(make_model(chain, ["N", 1, 3], given, outputs="v60"))
    assert LRP(model).attribute(np.ones((1, 1, 3))).relevance.shape == (1, 1, 3)


def test_a_layer_that_does_not_fit_a_free_size_is_refused_with_the_input():
    nodes = [node("Conv", "x w", "c"), node("Concat", "x c", "y", axis=1)]
    model = load(make_model(nodes, ["N", 1, "L"], {"w": np.ones((1, 1, 3), np.float32)}))
    with pytest.raises(InputError, match=r"does not fit samples of shape \(1, 9\) and \(1, 7\)"):
        LRP(model).attribute(np.ones((1, 1, 9)))


def test_more_threads_than_any_system_gives_are_refused():
    model = load(damaged(lambda m: None))
    with pytest.raises(InputError, match="1 to 1024"):
        LRP(model, threads=10**6)


def test_an_input_in_records_is_read():
    x = np.rec.fromarrays([np.ones((1, 4), np.float32), np.ones((1, 4), np.uint8)])["f0"]
    assert LRP(load(damaged(lambda m: None))).attribute(x).relevance.shape == (1, 4)


def test_external_weights_are_read_by_lrpfast_as_by_onnx(tmp_path):
    model = damaged(lambda m: None)
    theirs = load(model)
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="all.bin", size_threshold=0)
    ours = load(tmp_path / "net.onnx")
    np.testing.assert_array_equal(ours.graph.nodes[0].layer.weight, theirs.graph.nodes[0].layer.weight)
