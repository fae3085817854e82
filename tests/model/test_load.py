"""Loading: what it takes, what the model then knows of itself, and how it refuses what it cannot take."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lrpfast.errors import InputError, InputTypeError, ModelError, UnsupportedError
from lrpfast.model import load
from oracles.forward import forward
from oracles.onnx_models import make_model, node, run


def small_net(**options):
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        "v": rng.normal(size=(64, 5)).astype(np.float32),
        "b": rng.normal(size=5).astype(np.float32),
    }
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("Gemm", "f v b", "logits", "dense"),
        node("Softmax", "logits", "y", axis=-1),
    ]
    return make_model(nodes, ["N", 1, 6, 6], weights, **options)


def refusal(nodes, shape=("N", 3, 4, 4), weights=None, **options):
    """Text of the error that loading these nodes gives."""
    with pytest.raises(UnsupportedError) as caught:
        load(make_model(nodes, list(shape), weights, **options))
    return str(caught.value)


def inconsistency(nodes, shape=("N", 3, 4, 4), weights=None, **options):
    with pytest.raises(ModelError) as caught:
        load(make_model(nodes, list(shape), weights, **options))
    assert not isinstance(caught.value, UnsupportedError)
    return str(caught.value)


def test_a_path_bytes_and_a_proto_give_the_same_model(tmp_path):
    proto, x = small_net(), np.ones((1, 1, 6, 6), np.float32)
    path = tmp_path / "small.onnx"
    onnx.save(proto, path)
    sources = [path, str(path), path.read_bytes(), proto]
    models = [load(source) for source in sources]
    outputs = [forward(model.graph, x) for model in models]
    assert all((output == outputs[0]).all() for output in outputs)
    assert [model.name for model in models] == ["small", "small", "net", "net"]


def test_loading_leaves_the_proto_as_it_was():
    proto = small_net()
    before = proto.SerializeToString(deterministic=True)
    load(proto)
    assert proto.SerializeToString(deterministic=True) == before


def test_weights_in_a_file_of_their_own_are_found_beside_the_model(tmp_path):
    path = tmp_path / "split.onnx"
    onnx.save(small_net(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert len(load(path).graph.nodes) == 4
    with pytest.raises(ModelError, match="by the path"):
        load(path.read_bytes())
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match="beside it"):
        load(path)


def test_the_model_knows_its_ends_in_the_layout_of_the_file():
    model = load(small_net())
    assert (model.input_name, model.input_shape) == ("x", (None, 1, 6, 6))
    assert (model.output_name, model.output_shape) == ("y", (None, 5))
    assert model.sample_shape == (1, 6, 6)


@pytest.mark.parametrize("head", ["Softmax", "LogSoftmax", "Sigmoid"])
@pytest.mark.parametrize("behind", ["", "Identity", "Flatten", "Cast"])
def test_a_final_head_is_left_out_and_named(head, behind):
    nodes = [node("Gemm", "x w", "scores"), node(head, "scores", "p" if behind else "y")]
    if behind:
        nodes.append(node(behind, "p", "y", **({"to": TensorProto.FLOAT} if behind == "Cast" else {})))
    proto = make_model(nodes, ["N", 4], {"w": np.eye(4, 3, dtype=np.float32)})
    model, x = load(proto), np.arange(8, dtype=np.float32).reshape(2, 4)
    assert model.dropped_head == head
    np.testing.assert_array_equal(forward(model.graph, x), run(proto, x, "scores"))


def test_attention_is_refused_by_name():
    nodes = [
        node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", "x t", "products"),
        node("Softmax", "products", "weights", axis=-1), node("MatMul", "weights x", "y"),
    ]  # fmt: skip
    text = refusal(nodes)
    assert "2 nodes" in text
    assert text.count("attention") == 2


def test_one_of_several_outputs_is_chosen_by_name():
    nodes = [node("Relu", "x", "first"), node("Neg", "first", "second"), node("LRN", "x", "third", size=1)]
    proto = make_model(nodes, ["N", 3, 4, 4], outputs="first second third")
    assert len(load(proto, output="first").graph.nodes) == 1
    assert len(load(proto, output="second").graph.nodes) == 2
    with pytest.raises(ModelError, match="'first', 'second', 'third'"):
        load(proto)
    with pytest.raises(ModelError, match="no output 'fourth'"):
        load(proto, output="fourth")


def test_nodes_that_do_not_lead_to_the_output_are_ignored():
    nodes = [node("Relu", "x", "y"), node("LRN", "x", "unused", size=1)]
    assert len(load(make_model(nodes, ["N", 3, 4, 4])).graph.nodes) == 1


def test_a_model_pickles():
    model, x = load(small_net()), np.ones((1, 1, 6, 6), np.float32)
    twin = pickle.loads(pickle.dumps(model))
    assert str(twin) == str(model)
    np.testing.assert_array_equal(forward(twin.graph, x), forward(model.graph, x))


def test_a_model_prints_as_a_table():
    assert str(load(small_net())) == "\n".join(
        [
            "Model 'net': x (?, 1, 6, 6) -> y (?, 5), Softmax left out",
            "layer  operator  kind          output     parameters",
            "conv   Conv      conv 3x3/1x1  (4, 4, 4)  36",
            "r      Relu      activation    (4, 4, 4)",
            "f      Flatten   routing       (64)",
            "dense  Gemm      dense         (5)        325",
            "4 layers, 361 parameters",
        ]
    )


def test_a_batch_is_accepted_by_the_shape_of_its_samples():
    model = load(small_net())
    assert model.accept((7, 1, 6, 6)) == (1, 6, 6)
    for shape in [(1, 6, 6), (7, 1, 6, 5), (7, 6, 6, 1), ()]:
        with pytest.raises(InputError, match=r"\(N, 1, 6, 6\)"):
            model.accept(shape)


def test_names_of_nodes_are_unique():
    nodes = [node("Relu", "x", "a", "same"), node("Neg", "a", "b", "same"), node("Relu", "b", "y", "same")]
    names = [entry.name for entry in load(make_model(nodes, ["N", 3])).graph.nodes]
    assert names == ["same", "same_2", "same_3"]


BROKEN = {
    "empty": (b"", "is empty"),
    "text": (b"this is not a network", "no ONNX model"),
    "a zip archive": (b"PK\x03\x04rest", "a ZIP archive, such as a checkpoint of PyTorch.*from_torch"),
    "a picture": (b"\x89PNG\r\n\x1a\nrest", r"a picture; give the model.s \.onnx file"),
    "HDF5": (b"\x89HDF\r\n", r"an HDF5 file, such as a Keras model; lrpfast\.from_keras\(keras"),
    "a pickle": (pickle.dumps({"weights": 1}), r"a Python pickle.*from_torch.*from_sklearn"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3rest", "a TensorFlow Lite model; convert it: python -m tf2onnx"),
    "safetensors": (b"\2\0\0\0\0\0\0\0{}", r"weights alone \(safetensors\); build its module"),
    "truncated": (small_net().SerializeToString()[:-700], "truncated"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_and_explained(case, tmp_path):
    content, message = BROKEN[case]
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert "broken.onnx" in str(caught.value)
    with pytest.raises(ModelError, match=message):
        load(content)


def test_names_that_are_no_text_are_damage():
    content = make_model([node("Relu", "x", "y", "rectifier")], ["N", 3]).SerializeToString()
    with pytest.raises(ModelError, match=r"damaged|no ONNX model"):
        load(content.replace(b"rectifier", b"rect\xc9fier"))


@pytest.mark.parametrize(
    ("member", "what"),
    [
        ("net/data.pkl", "a checkpoint of PyTorch; build its module"),
        ("net/constants.pkl", r"a TorchScript module; lrpfast\.from_torch"),
        ("config.json", r"a Keras model; lrpfast\.from_keras"),
    ],
)
def test_members_tell_what_an_archive_is(member, what):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(member, "")
    with pytest.raises(ModelError, match=f"The given bytes is not an ONNX file but {what}"):
        load(content.getvalue())


def test_a_path_that_leads_to_no_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no file .*missing\.onnx"):
        load(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="not an ONNX file but a folder; give the path"):
        load(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="but a TensorFlow SavedModel; convert it: python -m tf2onnx"):
        load(tmp_path)


def test_other_types_are_refused():
    with pytest.raises(InputTypeError, match="not from int"):
        load(3)


def test_a_file_against_the_standard_is_refused():
    proto = small_net()
    del proto.graph.node[1]
    with pytest.raises(ModelError, match="not a valid ONNX model"):
        load(proto)


def test_an_old_operator_set_is_refused():
    with pytest.raises(ModelError, match="operator set 6"):
        load(make_model([node("Relu", "x", "y")], ["N", 3], opset=6))


def test_several_inputs_are_named():
    proto = make_model([node("Add", "x z", "y")], ["N", 3])
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 3]))
    with pytest.raises(ModelError, match=r"'x', 'z'.*fixed={'z': array}"):
        load(proto)


def test_other_inputs_may_be_held_fixed():
    proto = make_model([node("Mul", "x z", "y")], ["N", 3])
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 3]))
    x, z = np.array([[1, 2, 3], [4, 5, 6]]), np.array([[2, 0, -1]])
    loaded = load(proto, fixed={"z": z})
    assert (loaded.input_name, loaded.input_shape) == ("x", (None, 3))
    np.testing.assert_array_equal(forward(loaded.graph, x), x * z)
    assert load(proto, fixed={"x": z}).input_name == "z"


@pytest.mark.parametrize(("fixed", "message"), [({"w": [[1.0]]}, "no input 'w'"), ({"z": [1, 2, 3]}, "batch axis")])
def test_inputs_that_cannot_be_held_are_named(fixed, message):
    proto = make_model([node("Mul", "x z", "y")], ["N", 3])
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 3]))
    with pytest.raises(ModelError, match=message):
        load(proto, fixed=fixed)


def test_an_output_of_class_names_is_no_choice():
    proto = make_model([node("Relu", "x", "y"), node("ArgMax", "x", "k", axis=1)], ["N", 3], outputs="y")
    proto.graph.output.append(helper.make_tensor_value_info("k", TensorProto.INT64, None))
    assert load(proto).output_name == "y"


@pytest.mark.parametrize("rank", [node("ArgMax", "p", "y", axis=1), node("TopK", "p two", "y places", axis=1)])
def test_what_chooses_among_scores_is_left_out(rank):
    nodes = [node("Gemm", "x w", "s"), node("Softmax", "s", "p", axis=1), rank]
    proto = make_model(nodes, ["N", 4], {"w": ONES["w"], "two": np.array([2])})
    loaded = load(proto)
    assert loaded.dropped_head == "Softmax"
    assert loaded.output_shape == (None, 4)
    assert [entry.operator for entry in loaded.graph.nodes] == ["Gemm"]


def test_what_is_made_of_a_choice_goes_with_it():
    nodes = [node("Gemm", "x w", "s"), node("ArgMax", "s", "k", axis=1), node("Squeeze", "k axes", "q"),
             node("Cast", "q", "y", to=TensorProto.INT32)]  # fmt: skip
    proto = make_model(nodes, ["N", 4], {"w": ONES["w"], "axes": np.array([1])}, dtype=TensorProto.INT32)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    assert [entry.operator for entry in load(proto).graph.nodes] == ["Gemm"]


FREE = {
    "a gate over a map": [node("GlobalAveragePool", "x", "m"), node("Sigmoid", "m", "g"), node("Mul", "x g", "y")],
    "a map as large as another": [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Shape", "x", "s"),
        node("Slice", "s two four", "spatial"), node("Shape", "p", "t"), node("Slice", "t zero two", "front"),
        node("Concat", "front spatial", "sizes", axis=0), node("Resize", "p - - sizes", "r", mode="linear"),
        node("Add", "x r", "y"),
    ],
    "twice the size, computed": [
        node("Shape", "x", "s"), node("Slice", "s two four", "spatial"), node("Mul", "spatial two", "double"),
        node("Slice", "s zero two", "front"), node("Concat", "front double", "sizes", axis=0),
        node("Resize", "x - - sizes", "y"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", FREE)
def test_sizes_that_layers_have_to_know_may_be_given(case):
    places = {"zero": np.array([0]), "two": np.array([2]), "four": np.array([4])}
    used = {name for entry in FREE[case] for name in entry.input}
    given = {name: array for name, array in places.items() if name in used}
    proto = make_model(FREE[case], ["N", 3, "H", "W"], given)
    with pytest.raises(UnsupportedError, match=r"load\(..., shape=...\)"):
        load(proto)
    loaded, x = load(proto, shape=(None, 3, 6, 8)), np.random.default_rng(2).normal(size=(2, 3, 6, 8)).astype("f4")
    assert loaded.input_shape == (None, 3, 6, 8)
    np.testing.assert_allclose(forward(loaded.graph, x), run(proto, x), rtol=1e-5, atol=1e-6)


def test_a_shape_may_be_given_to_an_input_without_one():
    proto = make_model([node("Relu", "x", "y")], None)
    with pytest.raises(ModelError, match="shape="):
        load(proto)
    assert load(proto, shape=(None, 3)).input_shape == (None, 3)


@pytest.mark.parametrize("shape", [(None, 4, 6), (None, 3), (), (1, 3, 6, 6)])
def test_a_shape_against_the_file_is_refused(shape):
    with pytest.raises(ModelError, match="the file says"):
        load(make_model([node("Relu", "x", "y")], ["N", 3, "L"]), shape=shape)


def test_an_output_that_depends_on_no_input_is_refused():
    proto = make_model([node("Relu", "c", "y")], ["N", 3], {"c": np.ones(3, np.float32)})
    with pytest.raises(ModelError, match="depends on no input"):
        load(proto)


def test_all_unsupported_nodes_are_listed_at_once():
    text = refusal(
        [
            node("Hardmax", "x", "a", "norm"),
            node("Relu", "a", "b"),
            node("MatMul", "b x", "c", "product"),
            node("Det", "c", "y"),
        ]
    )
    assert "3 nodes" in text
    assert "node 'norm' (Hardmax) with inputs (1, 3, 4, 4)" in text
    assert "node 'product' (MatMul) with inputs (1, 3, 4, 4), (1, 3, 4, 4): it multiplies two activations" in text
    assert "node 'y' (Det)" in text


def test_what_does_not_fit_behind_an_unsupported_node_is_none_of_the_reasons():
    """Queries and keys side by side, which exporters move ahead of the batch."""
    nodes = [
        node("Reshape", "x parted", "pair"), node("Transpose", "pair", "both", "moved", perm=[1, 0, 2, 3]),
        node("Reshape", "both joined", "rows"), node("Hardmax", "rows", "y", "last"),
    ]  # fmt: skip
    shapes = {"parted": np.array([-1, 2, 4, 6]), "joined": np.array([12, 4])}
    with pytest.raises(UnsupportedError) as caught:
        load(make_model(nodes, ["N", 3, 4, 4], shapes))
    assert [refusal.name for refusal in caught.value.refusals] == ["moved", "last"]


def test_the_error_has_the_unsupported_nodes_as_data():
    nodes = [node("Hardmax", "x", "a", "norm"), node("Det", "a", "y")]
    with pytest.raises(UnsupportedError) as caught:
        load(make_model(nodes, ["N", 3, 4, 4]))
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert [(refusal.name, refusal.operator) for refusal in error.refusals] == [("norm", "Hardmax"), ("y", "Det")]
        assert all(str(refusal) in str(error) and refusal.reason in str(refusal) for refusal in error.refusals)


def test_an_operator_of_another_domain_is_refused_by_name():
    proto = make_model([helper.make_node("FusedConv", ["x"], ["y"], domain="com.vendor")], ["N", 3])
    proto.opset_import.append(helper.make_opsetid("com.vendor", 1))
    with pytest.raises(UnsupportedError, match="FusedConv"):
        load(proto)


def test_control_flow_is_refused_by_name():
    branch = helper.make_graph(
        [node("Neg", "x", "b")], "branch", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    nodes = [node("Cast", "x", "c", to=TensorProto.BOOL), node("If", "c", "i", then_branch=branch, else_branch=branch),
             node("Add", "x i", "y")]  # fmt: skip
    assert "(If)" in refusal(nodes)


@pytest.mark.parametrize("size", [1, 3])
def test_a_question_about_a_known_size_is_answered(size):
    """As exporters write a squeeze: the axis goes if it is of size 1."""

    def branch(nodes):
        return helper.make_graph(nodes, "branch", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)])

    nodes = [
        node("Relu", "x", "r"), node("Shape", "r", "s"), node("Gather", "s place", "size"),
        node("Equal", "size one", "c"),
        node("If", "c", "i", then_branch=branch([node("Squeeze", "r axes", "b")]),
             else_branch=branch([node("Neg", "r", "b")])),
        node("Mul", "i half", "y"),
    ]  # fmt: skip
    given = {"place": np.array(1), "one": np.array(1), "axes": np.array([1]), "half": np.float32(0.5)}
    proto, x = make_model(nodes, ["N", "C", 4], given), np.random.default_rng(2).normal(size=(2, size, 4)).astype("f4")
    np.testing.assert_allclose(forward(load(proto, shape=(None, size, 4)).graph, x), run(proto, x), rtol=1e-6)


ONES = {"w": np.ones((4, 4), np.float32), "k": np.ones((3, 1, 1), np.float32)}
REFUSED = {
    "sum of rows without a batch axis": ([node("Reshape", "x t", "r"), node("ReduceMax", "r", "y", axes=[1])],
                                         {"t": np.array([-1, 4])}, "without a batch axis"),
    "rows beside samples": ([node("Reshape", "x t", "r"), node("ReduceMax", "x", "m", axes=[1, 2], keepdims=0),
                             node("Add", "r m", "y")], {"t": np.array([-1, 4])}, "without a batch axis"),
    "flatten across the batch": ([node("Flatten", "x", "y", axis=0)], {}, "batch"),
    "transpose of the batch": ([node("Transpose", "x", "y", perm=[1, 0, 2, 3])], {}, "moves the batch"),
    "concat of the batch": ([node("Concat", "x x", "y", axis=0)], {}, "along the batch"),
    "mean over the batch": ([node("ReduceMean", "x", "y")], {}, "over the batch"),
    "one number without an axis": ([node("ReduceMax", "x", "y", axes=[1, 2, 3], keepdims=0)], {}, "keepdims=1"),
    "padded batch": ([node("Pad", "x p", "y")], {"p": np.array([1, 0, 0, 0, 0, 0, 0, 0])}, "pads the batch"),
    "squeeze without axes": ([node("Squeeze", "x", "y")], {}, "name the other axes"),
    "unsqueeze before the batch": ([node("Unsqueeze", "x a", "y")], {"a": np.array([0])}, "in front"),
    "constant on the left": ([node("GlobalMaxPool", "x", "m"), node("Flatten", "m", "f"), node("MatMul", "k3 f", "y")],
                             {"k3": np.ones((1, 1), np.float32)}, "left operand"),
    "product of activations": ([node("MatMul", "x x", "y")], {}, "two activations"),
    "constant for several samples": ([node("Mul", "x c", "y")], {"c": np.ones((2, 3, 4, 4), np.float32)},
                                     "from sample to sample"),
    "branches of other ranks": ([node("ReduceMean", "x", "m", axes=[1, 2], keepdims=0), node("Add", "m x", "y")], {},
                                "the same number of axes"),
    "lookup by the input": ([node("Cast", "x", "c", to=TensorProto.INT64), node("Gather", "w c", "y")],
                            {"w": ONES["w"]}, "takes ids (N, L)"),
    "two lookups": ([node("Cast", "x", "c", to=TensorProto.INT64), node("Gather", "w c", "a"),
                     node("Gather", "w c", "b"), node("Add", "a b", "y")], {"w": ONES["w"]}, "rounds"),
    "split of the batch": ([node("Split", "x", "y", axis=0)], {}, "splits the batch"),
    "power of another": ([node("Pow", "x x", "y")], {}, "exponent a constant"),
    "root of less than zero": ([node("Pow", "k x", "y")], {"k": np.float32(-2)}, "above 0"),
    "resized channels": ([node("Resize", "x - s", "y", mode="linear")], {"s": np.array([1, 2, 2, 2], "f4")},
                         "between channels"),
    "resized batch": ([node("Resize", "x - s", "y")], {"s": np.array([2, 1, 1, 1], "f4")}, "the batch axis"),
    "product of sums": ([node("Einsum", "x w", "y", equation="bchw,hw->bchw")], {"w": ONES["w"]}, "no matrix product"),
    "product over the batch": ([node("Einsum", "x w", "y", equation="bchw,bv->vchw")], {"w": np.ones((1, 2), "f4")},
                               "no matrix product"),
    "axes without names": ([node("Einsum", "x w", "y", equation="...w,wv->...v")], {"w": ONES["w"]}, "name all axes"),
    "sum of cubes": ([node("LpPool", "x", "y", kernel_shape=[2, 2], p=3)], {}, "powers of 3"),
    "one bound for each channel": ([node("Max", "x k", "y")], {"k": np.arange(3, dtype=np.float32).reshape(3, 1, 1)},
                                   "element to element"),
    "computed weights": ([node("Conv", "x x", "y")], {}, "a constant is needed"),
    "random numbers": ([node("RandomNormal", "", "r", shape=[4]), node("Add", "x r", "y")], {}, "beforehand"),
    "cast to integers": ([node("Cast", "x", "c", to=TensorProto.INT32), node("Relu", "c", "y")], {}, "rounds"),
    "four spatial axes": ([node("Unsqueeze", "x a", "u"), node("Conv", "u k", "y")],
                          {"a": np.array([2, 3]), "k": np.ones((1, 3, 1, 1, 1, 1), np.float32)}, "1, 2 or 3"),
    "second output": ([node("MaxPool", "x", "p i", kernel_shape=[2, 2]), node("Cast", "i", "f", to=1),
                       node("Add", "p f", "y")], {}, "additional output"),
    "absurd constant": ([node("Expand", "c s", "e"), node("Add", "x e", "y")],
                        {"c": np.float32(1), "s": np.array([10**6, 10**6])}, "GiB"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_layer_expresses_is_refused_with_the_reason(case):
    nodes, weights, reason = REFUSED[case]
    assert reason in refusal(nodes, weights=weights)


def test_a_reshape_across_several_samples_is_refused():
    nodes = [node("Reshape", "x t", "y")]
    assert "a batch of 1" in refusal(nodes, (2, 3, 4, 4), {"t": np.array([-1, 4])})


def test_a_resize_that_smooths_is_refused():
    nodes = [node("Resize", "x - s", "y", mode="linear", antialias=1)]
    assert "antialias=0" in refusal(nodes, weights={"s": np.array([1, 1, 0.5, 0.5], np.float32)}, opset=18)


INCONSISTENT = {
    "channels": ([node("Conv", "x w", "y", "c")], np.ones((2, 4, 1, 1), np.float32), "3 input channels"),
    "groups": ([node("Conv", "x w", "y", "c", group=3)], np.ones((2, 1, 1, 1), np.float32), "3 group"),
    "stride": ([node("Conv", "x w", "y", "c", strides=[0, 1])], np.ones((2, 3, 1, 1), np.float32), "strides"),
    "pads": ([node("Conv", "x w", "y", "c", pads=[0, -1, 0, 0])], np.ones((2, 3, 1, 1), np.float32), "negative"),
    "NaN": ([node("Mul", "x w", "y", "c")], np.float32("nan"), "'w' hold NaN"),
    "zero divisor": ([node("Div", "x w", "y", "c")], np.zeros(4, np.float32), "zeros"),
    "elements": ([node("Reshape", "x w", "y", "c")], np.array([1, 7]), "does not fit"),
    "matrix": ([node("MatMul", "x w", "y", "c")], np.ones((5, 2), np.float32), "does not fit"),
}  # fmt: skip


@pytest.mark.parametrize("case", INCONSISTENT)
def test_what_makes_no_sense_is_refused_with_node_and_shapes(case):
    nodes, weight, reason = INCONSISTENT[case]
    text = inconsistency(nodes, weights={"w": weight})
    assert reason in text
    assert "node 'c'" in text
    assert "(1, 3, 4, 4)" in text


def test_paths_in_messages_are_those_given(tmp_path):
    with pytest.raises(ModelError, match=r"'nowhere/model\.onnx'"):
        load(Path("nowhere/model.onnx"))


def test_a_damaged_file_raises_nothing_but_model_errors():
    content = small_net().SerializeToString()
    for place in range(0, len(content), 7):
        damaged = content[:place] + bytes([content[place] ^ 0xA5]) + content[place + 1 :]
        with contextlib.suppress(ModelError):
            load(damaged)


def net_for(*sample):
    """A model for samples of that shape."""
    return load(make_model([node("Relu", "x", "y")], ["N", *sample]))


@pytest.mark.parametrize(
    ("sample", "given", "remedy"),
    [
        ((3, 8, 6), (3, 8, 6), r"A batch axis is missing: pass x\[None\]\."),
        ((3, 8, 6), (2, 8, 6, 3), r"This one has its channels last: pass x\.transpose\(0, 3, 1, 2\)\."),
        ((3, 8, 6), (8, 6, 3), r"This one has its channels last: pass x\[None\]\.transpose\(0, 3, 1, 2\)\."),
        ((8, 6, 3), (2, 3, 8, 6), r"This one has its channels first: pass x\.transpose\(0, 2, 3, 1\)\."),
        ((3, None, None), (2, 8, 6, 3), r"pass x\.transpose\(0, 3, 1, 2\)\."),
        ((2, 50), (4, 50, 2), r"This one has its channels last: pass x\.transpose\(0, 2, 1\)\."),
        ((1, 8, 6), (4, 8, 6), r"An axis for the channel is missing: pass x\[:, None\]\."),
        ((8, 6, 1), (4, 8, 6), r"An axis for the channel is missing: pass x\[\.\.\., None\]\."),
        ((1, 8, 6), (8, 6), r"channel is missing, and one for the batch: pass x\[None, None\]\."),
        ((3, 8, 6), (2, 3, 30, 40), r"layout\. Resize pictures to 8 x 6 pixels first\."),
        ((3, 8, 6), (30, 40, 3), r"pass x\[None\]\.transpose\(0, 3, 1, 2\)\. Resize pictures to 8 x 6 pixels first\."),
        ((5,), (2, 3), r"layout\.$"),
    ],
)  # fmt: skip
def test_a_batch_of_another_shape_is_shown_the_way(sample, given, remedy):
    with pytest.raises(InputError, match=remedy):
        net_for(*sample).accept(given)
