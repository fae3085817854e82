"""Models that look up vectors of ids: relevance belongs to the ids, whose vectors get it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from onnx import TensorProto

from lrpfast import LRP, InputError, check, load
from lrpfast.app.samples import composite_with, noise
from lrpfast.model.onnx_import import read
from oracles.books import balanced
from oracles.forward import forward
from oracles.graphs import BACKENDS
from oracles.onnx_models import make_model, node, relative_difference, run

RNG = np.random.default_rng(2)
TABLE = RNG.normal(size=(11, 4)).astype(np.float32)
IDS = np.array([[3, 0, 10, 3, 7, 1], [5, 5, 2, 9, 0, 10]])
WEIGHTS = {
    "w": RNG.normal(size=(5, 4, 3)).astype(np.float32),
    "b": RNG.normal(size=5).astype(np.float32),
    "v": RNG.normal(size=(5, 3)).astype(np.float32),
}

#: a convolution over tokens, its best place, and a dense layer
BEHIND = [
    node("Transpose", "e", "t", perm=[0, 2, 1]),
    node("Conv", "t w b", "c", pads=[1, 1]),
    node("Relu", "c", "r"),
    node("ReduceMax", "r", "p", axes=[2], keepdims=0),
    node("MatMul", "p v", "y"),
]

LOOKUPS = {
    "whole numbers": ([node("Gather", "table x", "e")], TensorProto.INT64),
    "floats that are cast": (
        [node("Cast", "x", "i", to=TensorProto.INT32), node("Identity", "i", "k"), node("Gather", "table k", "e")],
        TensorProto.FLOAT,
    ),
}  # fmt: skip


def text_model(case="whole numbers", length="L"):
    nodes, dtype = LOOKUPS[case]
    model = make_model([*nodes, *BEHIND], ["N", length], WEIGHTS | {"table": TABLE})
    model.graph.input[0].type.tensor_type.elem_type = dtype
    return model


@pytest.mark.parametrize("length", [6, "L"])
@pytest.mark.parametrize("case", LOOKUPS)
def test_ids_are_looked_up_ahead_of_the_graph(case, length):
    model = text_model(case, length)
    loaded, expected = load(model), run(model, IDS.astype(np.float32 if "floats" in case else np.int64))
    for graph in (read(model).graph, loaded.graph):
        assert relative_difference(forward(graph, IDS), expected) < 1e-6
    assert loaded.input_shape == (None, 6 if length == 6 else None)
    assert f"x (?, {'?' if length == 'L' else 6}) of 11 ids" in str(loaded)


@pytest.mark.parametrize("target", [None, [[0, 2], [1, 1]]])
@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus_flat", "gradient_x_input"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_id_gets_what_its_vector_gets(backend, composite, target):
    vectors = load(make_model([node("Transpose", "x", "t", perm=[0, 2, 1]), *BEHIND[1:]], ["N", 6, 4], WEIGHTS))
    expected = LRP(vectors, composite, backend).attribute(TABLE[IDS], target)
    found = LRP(load(text_model()), composite, backend).attribute(IDS, target)
    np.testing.assert_allclose(found.relevance, expected.relevance.sum(axis=-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.output, expected.output, rtol=1e-6)


def test_the_relevance_of_a_text_is_shown_as_a_strip(tmp_path):
    attribution = LRP(load(text_model())).attribute(IDS)
    assert attribution.relevance.shape == IDS.shape
    assert attribution.channel_axis is None
    assert attribution.heatmap().shape[1:] == (6, 3)
    assert attribution.save(tmp_path / "strip.png").exists()


def test_relevance_is_the_same_for_integers_and_for_floats_that_are_whole():
    lrp = LRP(load(text_model()))
    np.testing.assert_array_equal(lrp.attribute(IDS).relevance, lrp.attribute(IDS.astype(np.float64)).relevance)


@pytest.mark.parametrize("wrong", [-1, 11, 2.5])
def test_what_is_no_id_is_refused(wrong):
    with pytest.raises(InputError, match=rf"holds {wrong}, .* from 0 to 10"):
        LRP(load(text_model())).attribute([[0, wrong, 1]])


def test_a_model_of_text_pickles():
    lrp = LRP(load(text_model()))
    twin = pickle.loads(pickle.dumps(lrp))
    np.testing.assert_array_equal(twin.attribute(IDS).relevance, lrp.attribute(IDS).relevance)


def test_check_draws_ids():
    report = check(load(text_model()))
    assert report.applicable
    assert report.account is not None


def test_bounds_of_the_input_are_those_of_the_vectors():
    model = load(text_model())
    sample, low, high = noise(model, 6)
    assert (low, high) == (TABLE.min(), TABLE.max())
    assert set(sample) <= set(range(11))
    found = LRP(model, composite_with("epsilon_gamma_box", low, high)).attribute(sample[np.newaxis])
    assert found.relevance.shape == (1, 6)


def test_bounds_for_each_component_of_a_vector_are_taken():
    model = load(text_model())
    found = LRP(model, composite_with("epsilon_gamma_box", TABLE.min(0), TABLE.max(0))).attribute(IDS)
    assert np.isfinite(found.relevance).all()


def test_an_embedding_ahead_of_a_dense_layer():
    nodes = [node("Gather", "table x", "e"), node("Flatten", "e", "f"), node("Gemm", "f m", "y")]
    model = make_model(nodes, ["N", 6], {"table": TABLE, "m": RNG.normal(size=(24, 3)).astype(np.float32)})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    loaded = load(model)
    assert relative_difference(forward(loaded.graph, IDS), run(model, IDS)) < 1e-6
    found = LRP(loaded, "epsilon").attribute(IDS)
    np.testing.assert_allclose(found.relevance.sum(axis=1), found.output.max(axis=1), rtol=1e-5)


def test_the_shape_of_ids_may_be_asked_for():
    nodes = [
        node("Gather", "table x", "e"), node("Shape", "x", "s"), node("Gather", "s first", "n"),
        node("Concat", "n rest", "target", axis=0), node("Reshape", "e target", "y"),
    ]  # fmt: skip
    constants = {"table": TABLE, "first": np.array([0]), "rest": np.array([-1])}
    model = make_model(nodes, ["N", 6], constants)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    np.testing.assert_array_equal(forward(load(model).graph, IDS), run(model, IDS))


OF_EACH_ID = {
    "two tables": [node("Gather", "table x", "a"), node("Gather", "other x", "b"), node("Concat", "a b", "e", axis=2)],
    "two tables, added": [node("Gather", "table x", "a"), node("Gather", "wide x", "b"), node("Add", "a b", "e")],
    "a table of remainders": [
        node("Gather", "table x", "a"), node("Mod", "x five", "r"), node("Gather", "wide r", "b"),
        node("Add", "a b", "e"),
    ],
    "a mask": [
        node("Gather", "table x", "a"), node("Equal", "x zero", "z"), node("Not", "z", "n"),
        node("Cast", "n", "c", to=TensorProto.FLOAT), node("Unsqueeze", "c last", "m"), node("Mul", "a m", "e"),
    ],
    "positions": [node("Gather", "table x", "a"), node("Add", "a positions", "e")],
    "whole numbers as vectors": [node("Gather", "rounded x", "q"), node("DequantizeLinear", "q step", "e")],
}  # fmt: skip

#: read in two places each
TWICE = {
    "two tables, apart": [
        node("Gather", "table x", "a"), node("Gather", "other x", "b"), node("Relu", "b", "r"),
        node("Concat", "a r", "e", axis=2),
    ],
    "one place beside all": [
        node("Gather", "table x", "a"), node("Gather", "a five", "one", axis=1), node("Unsqueeze", "one first", "o"),
        node("Relu", "a", "r"), node("Add", "r o", "e"),
    ],
    "a mean without padding": [
        node("Gather", "table x", "a"), node("Equal", "x zero", "z"), node("Not", "z", "n"),
        node("Cast", "n", "c", to=TensorProto.FLOAT), node("ReduceSum", "c first", "count"), node("Relu", "a", "r"),
        node("Unsqueeze", "c last", "m"), node("Mul", "r m", "k"), node("Unsqueeze", "count last", "d"),
        node("Div", "k d", "e"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", [*OF_EACH_ID, *TWICE])
def test_what_is_made_of_each_id_is_a_table(case):
    nodes = [
        *(OF_EACH_ID | TWICE)[case],
        node("ReduceMean", "e", "p", axes=[1], keepdims=0),
        node("MatMul", "p v", "y"),
    ]
    width = 7 if case.startswith("two tables") and "added" not in case else 4
    constants = {
        "table": TABLE, "other": RNG.normal(size=(13, 3)).astype(np.float32), "zero": np.int64(0),
        "last": np.array([2]),
        "wide": RNG.normal(size=(12, 4)).astype(np.float32), "five": np.int64(5), "first": np.array([1]),
        "positions": RNG.normal(size=(6, 4)).astype(np.float32), "step": np.float32(0.1),
        "rounded": RNG.integers(-90, 90, (11, 4), np.int8), "v": RNG.normal(size=(width, 3)).astype(np.float32),
    }  # fmt: skip
    used = {name for entry in nodes for name in entry.input}
    given = {name: array for name, array in constants.items() if name in used}
    model = make_model(nodes, ["N", 6], given)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    loaded, expected = load(model), run(model, IDS)
    for graph in (read(model).graph, loaded.graph):
        assert relative_difference(forward(graph, IDS), expected) < 1e-6
    assert "of 11 ids" in str(loaded)
    balanced(loaded, IDS)


def test_relevance_of_an_id_is_that_of_all_that_is_made_of_it():
    """The same as in a model of both vectors side by side."""
    behind = [node("Flatten", "e", "f"), node("MatMul", "f v", "y")]
    other, weight = RNG.normal(size=(11, 3)).astype(np.float32), RNG.normal(size=(42, 3)).astype(np.float32)
    both = [node("Gather", "t x", "a"), node("Gather", "o x", "b"), node("Concat", "a b", "e", axis=2), *behind]
    model = make_model(both, ["N", 6], {"t": TABLE, "o": other, "v": weight})
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    vectors = load(make_model([node("Identity", "x", "e"), *behind], ["N", 6, 7], {"v": weight}))
    expected = LRP(vectors, "epsilon").attribute(np.concatenate([TABLE[IDS], other[IDS]], axis=2))
    found = LRP(load(model), "epsilon").attribute(IDS)
    np.testing.assert_allclose(found.relevance, expected.relevance.sum(axis=-1), rtol=1e-5, atol=1e-6)
