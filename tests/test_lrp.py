"""What a user holds: every kind of target and input, what is refused, and what stays as it was."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import onnx
import pytest

import lrpfast
from lrpfast import LRP, CompositeError, InputError, InputTypeError, LRPError, Model
from lrpfast.composites import PRESETS, DeepTaylorBounded, EpsilonGammaBox
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Activation, Convolution, Dense, MaxPool, Transpose
from oracles.graphs import BACKENDS, FLOATS, chain, gated_net, model_of, small_cnn, window
from oracles.onnx_models import make_model, node

SHAPE = (3, 12, 12)
CLASSES = 5
EPSILON = lrpfast.Composite(
    "epsilon, no bias", [(kind, lrpfast.rules.Epsilon(0, zero_bias=True)) for kind in ("conv", "dense")]
)


def samples(count: int, dtype: Any = np.float32, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(dtype)


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(small_cnn())


@pytest.fixture(scope="module", params=BACKENDS)
def lrp(request: pytest.FixtureRequest, model: Model) -> LRP:
    return LRP(model, "epsilon_plus", request.param)


def assert_agree(found: Any, expected: Any, lrp: LRP) -> None:
    """The same bits from the native backend; NumPy's matrix products round by the size of the batch."""
    if lrp.backend == "native":
        assert (found == expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6 * float(np.abs(expected).max()))


def one_hot(classes: Any, values: Any) -> Any:
    """A seed: each value at its class, zero elsewhere."""
    seed = np.zeros((len(classes), CLASSES), np.asarray(values).dtype)
    seed[np.arange(len(classes)), classes] = values
    return seed


# Targets


def test_no_target_explains_the_highest_score_of_each_sample(lrp: LRP) -> None:
    x = samples(21)[14:]
    found = lrp.attribute(x)
    assert (found.target == found.output.argmax(axis=1)).all()
    assert len(set(found.target.tolist())) > 1, "the samples should differ in their highest score"
    assert (found.relevance == lrp.attribute(x, found.target).relevance).all()


def test_an_integer_explains_that_class_of_every_sample(lrp: LRP) -> None:
    x = samples(3)
    found, each = lrp.attribute(x, 2), lrp.attribute(x, [2, 2, 2])
    assert found.target.tolist() == [2, 2, 2]
    assert (found.relevance == each.relevance).all()
    assert not (found.relevance == lrp.attribute(x, 3).relevance).all()


def test_one_class_for_each_sample(lrp: LRP) -> None:
    x, classes = samples(3), [4, 0, 2]
    found = lrp.attribute(x, classes)
    assert found.target.tolist() == classes
    for index, wanted in enumerate(classes):
        alone = lrp.attribute(x[index : index + 1], wanted)
        assert_agree(found.relevance[index], alone.relevance[0], lrp)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_classes_may_be_integers_of_any_size(lrp: LRP, dtype: Any) -> None:
    x = samples(2)
    found = lrp.attribute(x, np.array([1, 4], dtype))
    assert (found.relevance == lrp.attribute(x, [1, 4]).relevance).all()


def test_several_classes_a_sample_give_what_single_calls_give(lrp: LRP) -> None:
    x, classes = samples(2), np.array([[4, 0, 2], [1, 1, 3]])
    found = lrp.attribute(x, classes)
    assert found.relevance.shape == (2, 3, *SHAPE)
    assert (found.target == classes).all()
    assert {layer.received.shape for layer in found.audit} == {(2, 3)}
    for index in range(3):
        single = lrp.attribute(x, classes[:, index])
        assert single.relevance.shape == x.shape
        assert_agree(found.relevance[:, index], single.relevance, lrp)
        for several, alone in zip(found.audit, single.audit, strict=True):
            for name in ("received", "handed_down", "bias", "stabilizer", "rule"):
                assert getattr(alone, name).shape == (2,)
                if lrp.backend == "native" or name in ("received", "handed_down"):
                    assert_agree(getattr(several, name)[:, index], getattr(alone, name), lrp)


def test_one_column_of_classes_keeps_the_axis_of_explanations(lrp: LRP) -> None:
    found = lrp.attribute(samples(2), [[1], [3]])
    assert found.relevance.shape == (2, 1, *SHAPE)
    assert found.audit["n0"].received.shape == (2, 1)


def test_floats_of_the_shape_of_the_output_are_the_seed_itself(lrp: LRP) -> None:
    x = samples(2)
    seed = np.random.default_rng(2).standard_normal((2, CLASSES)).astype(np.float32)
    found = lrp.attribute(x, seed)
    assert (found.target == seed).all()
    assert found.relevance.shape == x.shape
    np.testing.assert_allclose(found.audit["n9"].received, seed.sum(axis=1), rtol=1e-5)


def test_a_class_is_seeded_with_its_score(lrp: LRP) -> None:
    x, classes = samples(2), [1, 3]
    found = lrp.attribute(x, classes)
    seed = one_hot(classes, found.output[np.arange(2), classes])
    assert (found.relevance == lrp.attribute(x, seed).relevance).all()


def test_the_runner_up_is_taken_away(lrp: LRP) -> None:
    x = samples(3)
    scores = lrp.attribute(x).output
    order = scores.argsort(axis=1)[:, ::-1]
    rows = np.arange(3)
    seed = one_hot(order[:, 0], scores[rows, order[:, 0]]) - one_hot(order[:, 1], scores[rows, order[:, 1]])
    found = lrp.attribute(x, against="runner_up")
    assert (found.relevance == lrp.attribute(x, seed).relevance).all()
    assert found.target.tolist() == order[:, 0].tolist()


def test_the_runner_up_of_a_lower_class_is_the_highest(lrp: LRP) -> None:
    x = samples(2)
    scores = lrp.attribute(x).output
    best, worst = scores.argmax(axis=1), scores.argmin(axis=1)
    seed = one_hot(worst, scores.min(axis=1)) - one_hot(best, scores.max(axis=1))
    assert (lrp.attribute(x, worst, against="runner_up").relevance == lrp.attribute(x, seed).relevance).all()


def test_the_mean_of_all_others_is_taken_away(lrp: LRP) -> None:
    x, rows = samples(2), np.arange(2)
    scores = lrp.attribute(x).output
    seed = -scores / np.float32(CLASSES - 1)
    seed[rows, [1, 3]] = scores[rows, [1, 3]]
    found = lrp.attribute(x, [1, 3], against="others").relevance
    assert_agree(found, lrp.attribute(x, seed).relevance, lrp)


def test_another_class_is_taken_away_from_each_of_several(lrp: LRP) -> None:
    x = samples(2)
    found = lrp.attribute(x, [[0, 1], [2, 3]], against=4)
    assert found.relevance.shape == (2, 2, *SHAPE)
    for column in range(2):
        alone = lrp.attribute(x, [column, 2 + column], against=4)
        assert_agree(found.relevance[:, column], alone.relevance, lrp)


AGAINST = {
    "a word": (None, "all", "'runner_up', 'others' or a class from 0 to 4"),
    "out of range": (None, 5, "a class from 0 to 4"),
    "itself": ([1, 2, 3], 2, "cannot be told apart"),
    "a whole seed": (np.ones((3, CLASSES), np.float32), "others", "is the whole seed"),
}


@pytest.mark.parametrize("case", AGAINST)
def test_what_cannot_be_told_apart_is_refused(lrp: LRP, case: str) -> None:
    target, against, message = AGAINST[case]
    with pytest.raises(InputError, match=message):
        lrp.attribute(samples(3), target, against=against)  # type: ignore[arg-type]


def test_a_prediction_is_not_told_apart_from_itself(lrp: LRP) -> None:
    x = samples(3)
    predicted = int(lrp.attribute(x).target[1])
    with pytest.raises(InputError, match=f"Class {predicted}, which sample . is explained for, cannot be told apart"):
        lrp.attribute(x, against=predicted)


# Layers inside


@pytest.mark.parametrize("target", [None, [[0, 1], [2, 3], [4, 0]]], ids=["one", "several"])
def test_relevance_of_layers_inside(lrp: LRP, target: Any) -> None:
    x, names = samples(3), ["n9", "n6", "n4", "n3", "n1", "n0"]
    found, alone = lrp.attribute(x, target, layers=names), lrp.attribute(x, target)
    assert_agree(found.relevance, alone.relevance, lrp)
    leading = alone.relevance.shape[: alone.relevance.ndim - 3]
    shapes = {"n9": (5,), "n6": (180,), "n4": (20, 6, 6), "n3": (20, 6, 6), "n1": (8, 12, 12), "n0": (8, 12, 12)}
    assert {name: array.shape for name, array in found.layers.items()} == {n: (*leading, *shapes[n]) for n in names}
    for name in names:
        total = found.layers[name].reshape(*leading, -1).sum(axis=-1)
        np.testing.assert_allclose(total, found.audit[name].received, rtol=1e-4, atol=1e-6)


def test_a_layer_may_be_called_by_the_name_of_its_output(lrp: LRP) -> None:
    found = lrp.attribute(samples(2), layers=["n4", "v4"], masks={"v1": np.ones(8)})
    assert (found.layers["n4"] == found.layers["v4"]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_that_only_make_gates_have_no_relevance(backend: str) -> None:
    found = LRP(model_of(gated_net()), "epsilon_plus", backend).attribute(samples(2), layers=["sigmoid", "conv0"])
    np.testing.assert_array_equal(found.layers["sigmoid"], np.zeros((2, 8, 1, 1)))
    assert found.layers["conv0"].any()


def test_both_backends_agree_on_layers_inside(model: Model) -> None:
    x, names = samples(2), ["n8", "n4", "n2", "n0"]
    native, reference = (
        LRP(model, "epsilon_plus_flat", name).attribute(x, layers=names) for name in ("native", "reference")
    )
    for name in names:
        scale = np.abs(reference.layers[name]).max()
        np.testing.assert_allclose(native.layers[name], reference.layers[name], atol=5e-6 * scale)


def test_masks_of_all_channels_add_up_to_the_whole(lrp: LRP) -> None:
    x = samples(2)
    whole = lrp.attribute(x)
    parts = lrp.attribute(x, masks={"n4": np.eye(20)})
    assert parts.relevance.shape == (2, 20, *SHAPE)
    scale = np.abs(whole.relevance).max()
    np.testing.assert_allclose(parts.relevance.sum(axis=1), whole.relevance, atol=2e-6 * scale)


def test_a_mask_keeps_what_goes_through_its_channels(lrp: LRP) -> None:
    x, mask = samples(2), np.arange(20) % 3 == 0
    found = lrp.attribute(x, layers=["n4"], masks={"n4": mask})
    assert found.relevance.shape == x.shape
    assert not found.layers["n4"][:, ~mask].any()
    whole = lrp.attribute(x, layers=["n4"]).layers["n4"]
    assert_agree(found.layers["n4"][:, mask], whole[:, mask], lrp)
    zero = lrp.attribute(x, masks={"n4": np.zeros(20)})
    assert not zero.relevance.any()


def test_masks_of_several_layers_hold_together(lrp: LRP) -> None:
    x, first, second = samples(2), np.arange(8) < 4, np.arange(20) < 10
    both = lrp.attribute(x, masks={"n1": first, "n4": second}, layers=["n1"])
    assert not both.layers["n1"][:, 4:].any()
    rest = [lrp.attribute(x, masks={"n1": a, "n4": b}).relevance for a in (first, ~first) for b in (second, ~second)]
    whole = lrp.attribute(x).relevance
    np.testing.assert_allclose(sum(rest), whole, atol=4e-6 * float(np.abs(whole).max()))


def test_classes_and_masks_come_in_pairs(lrp: LRP) -> None:
    x, masks = samples(2), np.eye(20)[:2]
    found = lrp.attribute(x, [[0, 1], [2, 3]], masks={"n4": masks})
    for column in range(2):
        alone = lrp.attribute(x, [column, 2 + column], masks={"n4": masks[column]})
        assert_agree(found.relevance[:, column], alone.relevance, lrp)


def test_channels_are_summed_over_their_map(lrp: LRP) -> None:
    found = lrp.attribute(samples(2), layers=["n4", "n8"])
    np.testing.assert_allclose(found.channels("n4"), found.layers["n4"].sum(axis=(2, 3)), rtol=1e-6)
    assert found.channels("n8").shape == (2, 17)
    with pytest.raises(InputError, match="'n3' was not asked for"):
        found.channels("n3")
    several = lrp.attribute(samples(2), [[0, 1], [1, 2]], layers=["n4"])
    assert several.channels("n4").shape == (2, 2, 20)


INSIDE = {
    "no such layer": ({"layers": ["n44"]}, "no layer 'n44'. Did you mean n4"),
    "no such mask": ({"masks": {"x": [1]}}, "no layer 'x'"),
    "channels": ({"masks": {"n4": np.ones(19)}}, r"\(19,\); give one factor for each of the 20 channels"),
    "a whole map": ({"masks": {"n4": np.ones((20, 6, 6))}}, r"\(20, 6, 6\); give"),
    "words": ({"masks": {"n4": ["a"] * 20}}, "must hold numbers"),
    "not finite": ({"masks": {"n4": np.full(20, np.nan)}}, "NaN"),
    "unequal numbers": ({"masks": {"n4": np.ones((2, 20)), "n1": np.ones((3, 8))}}, r"\[2, 3\] explanations"),
    "as many as classes": ({"target": [[0, 1, 2]] * 2, "masks": {"n4": np.ones((2, 20))}}, "the target for 3"),
}


@pytest.mark.parametrize("case", INSIDE)
def test_what_is_not_inside_the_model_is_refused(lrp: LRP, case: str) -> None:
    given, message = INSIDE[case]
    with pytest.raises((InputError, InputTypeError), match=message):
        lrp.attribute(samples(2), **given)


@pytest.mark.parametrize("backend", BACKENDS)
def test_relevance_sums_to_the_explained_score(model: Model, backend: str) -> None:
    found = LRP(model, EPSILON, backend).attribute(samples(3, FLOATS[backend]), [0, 1, 2])
    scores = found.output[np.arange(3), [0, 1, 2]]
    tolerance = {"reference": 1e-9, "native": 1e-4}[backend]
    unbiased = model_of(small_cnn(biased=False))
    exact = LRP(unbiased, EPSILON, backend).attribute(samples(3, FLOATS[backend]), [0, 1, 2])
    np.testing.assert_allclose(found.relevance.sum(axis=(1, 2, 3)), scores, rtol=tolerance)
    np.testing.assert_allclose(
        exact.relevance.sum(axis=(1, 2, 3)), exact.output[np.arange(3), [0, 1, 2]], rtol=tolerance
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_gradients_are_seeded_with_one_and_the_rest_with_the_score(model: Model, preset: str, backend: str) -> None:
    bounded = {"epsilon_gamma_box": EpsilonGammaBox, "deep_taylor_bounded": DeepTaylorBounded}
    composite = bounded[preset](-4, 4) if preset in bounded else preset
    x, classes = samples(2), [1, 3]
    lrp = LRP(model, composite, backend)
    found = lrp.attribute(x, classes)
    gradients = ("gradient", "gradient_x_input", "deconvnet", "guided_backprop", "beta_smooth")
    values = np.ones(2, np.float32) if preset in gradients else found.output[np.arange(2), classes]
    assert (found.relevance == lrp.attribute(x, one_hot(classes, values)).relevance).all()
    np.testing.assert_allclose(found.audit["n9"].received, values, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_x_input_multiplies_by_the_input(model: Model, backend: str) -> None:
    x = samples(2, FLOATS[backend])
    gradient = LRP(model, "gradient", backend).attribute(x, [[0, 1], [2, 3]])
    product = LRP(model, "gradient_x_input", backend).attribute(x, [[0, 1], [2, 3]])
    assert (product.relevance == gradient.relevance * x[:, np.newaxis]).all()


# Scores


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_are_the_output_of_an_explanation(model: Model, backend: str) -> None:
    x = samples(7, FLOATS[backend])
    lrp = LRP(model, "epsilon_plus", backend)
    found = lrp.scores(x)
    assert (found == lrp.attribute(x).output).all()
    assert found.dtype == FLOATS[backend]
    assert_agree(LRP(channels_last(model), "epsilon", backend).scores(x.transpose(0, 2, 3, 1)), found, lrp)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_attribution_says_where_it_comes_from(model: Model, backend: str) -> None:
    made = {name: LRP(model, name, backend).attribute(samples(1)).origin for name in ("epsilon", "gradient")}
    for name, origin in made.items():
        assert origin is not None
        assert (origin.model, origin.method, origin.conserves) == (model.name, name, name == "epsilon")
        assert origin.backend.startswith(backend)


# Inputs


@pytest.mark.parametrize("backend", BACKENDS)
def test_relevance_of_a_channels_last_model_is_in_its_own_layout(model: Model, backend: str) -> None:
    last = LRP(channels_last(model), "epsilon_plus_flat", backend)
    first = LRP(model, "epsilon_plus_flat", backend)
    x = samples(2, FLOATS[backend])
    for target in (None, [[0, 1, 2], [2, 3, 4]]):
        expected, found = first.attribute(x, target), last.attribute(x.transpose(0, 2, 3, 1), target)
        assert found.relevance.shape == (*expected.relevance.shape[:-3], 12, 12, 3)
        assert (found.relevance == np.moveaxis(expected.relevance, -3, -1)).all()
        assert (found.output == expected.output).all()
    assert (found.channel_axis, expected.channel_axis) == (2, 0)
    assert found.relevance.flags.c_contiguous


def channels_last(model: Model) -> Model:
    """The same network for inputs (H, W, C)."""
    net = model.graph
    return model_of(Graph("x", (12, 12, 3), net.nodes, net.output, input_permutation=(2, 0, 1)))


def test_floats_are_float64_in_the_reference_backend_alone(model: Model) -> None:
    wide, narrow = samples(1, np.float64), samples(1)
    for backend, x, expected in (
        ("reference", wide, np.float64),
        ("reference", narrow, np.float32),
        ("native", wide, np.float32),
        ("native", narrow, np.float32),
    ):
        found = LRP(model, "epsilon_plus", backend).attribute(x)
        assert (found.relevance.dtype, found.output.dtype) == (expected, expected), (backend, x.dtype)


def test_integers_count_as_their_float_value(lrp: LRP) -> None:
    x = np.random.default_rng(3).integers(0, 256, (2, *SHAPE))
    for dtype in (np.uint8, np.int64):
        found = lrp.attribute(x.astype(dtype))
        assert found.relevance.dtype == np.float32
        assert (found.relevance == lrp.attribute(x.astype(np.float32)).relevance).all()


def test_nested_lists_are_taken_as_arrays(lrp: LRP) -> None:
    x = samples(1).astype(np.float64)
    assert (lrp.attribute(x.tolist()).relevance == lrp.attribute(x).relevance).all()


def test_inputs_may_lie_in_memory_in_any_way(lrp: LRP) -> None:
    x = samples(2)
    expected = lrp.attribute(x).relevance
    steps = np.repeat(x, 2, axis=-1)[..., ::2]
    for strange in (np.asfortranarray(x), steps, x[::-1].copy()[::-1], x.astype(">f4")):
        assert (lrp.attribute(strange).relevance == expected).all()


def test_neither_input_nor_target_are_modified(lrp: LRP) -> None:
    x, classes, seed = samples(2), np.array([[1, 2], [3, 4]]), np.ones((2, CLASSES), np.float32)
    for target in (classes, seed):
        before = (x.copy(), target.copy())
        x.flags.writeable = target.flags.writeable = False
        lrp.attribute(x, target)
        x.flags.writeable = True
        assert (x == before[0]).all() and (target == before[1]).all()


def test_a_call_leaves_nothing_behind(lrp: LRP) -> None:
    x = samples(3)
    before = lrp.attribute(x, 1)
    kept = before.relevance.copy()
    lrp.attribute(x[:1] * 100, 2)
    assert (before.relevance == kept).all()
    assert (lrp.attribute(x, 1).relevance == kept).all()


def test_a_sample_gets_the_same_in_any_company(lrp: LRP) -> None:
    x = samples(5)
    together = lrp.attribute(x, 1).relevance
    for index in range(5):
        assert_agree(together[index], lrp.attribute(x[index : index + 1], 1).relevance[0], lrp)


@pytest.mark.parametrize("composite", ["epsilon_plus_flat", EPSILON])
def test_pickling_gives_the_same_bits(model: Model, composite: Any) -> None:
    x = samples(2)
    for backend in BACKENDS:
        lrp = LRP(model, composite, backend, threads=2)
        copy = pickle.loads(pickle.dumps(lrp))
        assert (copy.backend, copy.threads, str(copy)) == (backend, 2, str(lrp))
        assert (copy.attribute(x).relevance == lrp.attribute(x).relevance).all()


# Models


def onnx_model() -> onnx.ModelProto:
    weights = {"w": np.array([[1.0, -2.0], [3.0, 4.0]], np.float32), "b": np.array([0.5, 0.25], np.float32)}
    return make_model([node("Gemm", "x w b", "y", transB=1)], ["N", 2], weights)


@pytest.mark.parametrize("form", ["proto", "bytes", "path", "text"])
def test_a_model_may_be_given_in_any_form_that_load_takes(form: str, tmp_path: Any) -> None:
    proto, path = onnx_model(), tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    source = {"proto": proto, "bytes": proto.SerializeToString(), "path": path, "text": str(path)}[form]
    found = LRP(source, "epsilon", "reference").attribute(np.array([[1.0, 2.0]]))
    assert found.output.tolist() == [[-2.5, 11.25]]
    np.testing.assert_allclose(found.relevance, [[3.0, 8.0]], rtol=1e-6)


def test_an_lrp_printed_is_a_table_of_its_layers() -> None:
    pool = MaxPool(window((2, 2), (2, 2)))
    weight = np.ones((2, 1, 3, 3), np.float32)
    layers = [
        Convolution(weight, None, window((3, 3))),
        Activation("relu"),
        pool,
        Transpose((2, 1, 0)),
    ]
    lrp = LRP(model_of(chain(layers, (1, 6, 6)), "tiny"), "epsilon_plus", "reference", threads=3)
    assert str(lrp) == (
        "LRP of 'tiny', composite epsilon_plus, backend reference, threads 3\n"
        "layer  operator     kind        rule\n"
        "-----  -----------  ----------  ----------------\n"
        "n0     Convolution  conv        ZPlus()\n"
        "n1     Activation   activation  Pass()\n"
        "n2     MaxPool      max         winner takes all\n"
        "n3     Transpose    routing     moved"
    )
    assert str(LRP(lrp.model)).startswith("LRP of 'tiny', composite epsilon_plus_flat, backend native, threads all\n")


# What is refused

NAN = samples(1)
NAN[0, 0, 0, :2] = np.nan, np.inf

BAD_INPUTS = {
    "no batch axis": (np.zeros(SHAPE), ValueError, r"not \(3, 12, 12\); .* A batch axis is missing: pass x\[None\]\.$"),
    "channels last": (
        np.zeros((1, 12, 12, 3)),
        ValueError,
        r"not \(1, 12, 12, 3\); .* This one has its channels last: pass x\.transpose\(0, 3, 1, 2\)\.$",
    ),
    "another size": (np.zeros((1, 3, 12, 13)), ValueError, r"of shape \(N, 3, 12, 12\), not \(1, 3, 12, 13\)"),
    "another rank": (np.zeros((1, 432)), ValueError, r"not \(1, 432\); give a batch of such samples, .* layout\.$"),
    "a number": (1.0, ValueError, r"takes an input of shape \(N, 3, 12, 12\), not \(\); give a batch"),
    "empty": (np.zeros((0, *SHAPE)), ValueError, r"input is empty: shape \(0, 3, 12, 12\)"),
    "not finite": (NAN, ValueError, "The input holds 2 values that are NaN, infinite or too large for float32"),
    "ragged": ([[1.0], [1.0, 2.0]], ValueError, "^The input is no array: "),
    "text": (np.full((1, *SHAPE), "1"), TypeError, "must hold real numbers, not <U1"),
    "complex": (np.zeros((1, *SHAPE), complex), TypeError, "must hold real numbers, not complex128"),
    "nothing": (None, TypeError, "must hold real numbers, not object"),
}


class Tensor:
    """What another library hands over by DLPack alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: object) -> object:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


class Elsewhere(Tensor):
    def __dlpack__(self, **options: object) -> object:
        raise BufferError("the tensor is on the device cuda:0")


def test_tensors_of_other_libraries_are_taken_by_dlpack(lrp: LRP) -> None:
    x = samples(2).astype(np.float32)
    assert (lrp.attribute(Tensor(x)).relevance == lrp.attribute(x).relevance).all()
    with pytest.raises(InputTypeError, match=r"input is a Elsewhere .*cuda:0\. Pass an array, or a tensor on the CPU"):
        lrp.attribute(Elsewhere(x))


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_refused_with_the_reason(lrp: LRP, case: str) -> None:
    x, builtin, message = BAD_INPUTS[case]
    for ask in (lrp.attribute, lrp.scores):
        with pytest.raises(LRPError, match=message) as caught:
            ask(x)
        assert isinstance(caught.value, builtin)


def test_values_whose_sum_is_too_large_are_taken() -> None:
    dense = Dense(np.eye(4, dtype=np.float32), None)
    lrp = LRP(model_of(chain([dense], (4,))), "gradient_x_input")
    x = np.array([[3e38, 3e38, 1, 0]], np.float32)
    np.testing.assert_array_equal(lrp.attribute(x, 0).relevance, x * [1, 0, 0, 0])


def test_an_input_that_float32_cannot_hold_is_refused_and_nothing_else_said(model: Model) -> None:
    with pytest.raises(InputError, match=r"^The input holds 432 values that are .* too large for float32"):
        LRP(model).attribute(np.full((1, *SHAPE), 1e300))


BAD_TARGETS = {
    "too high": (5, ValueError, "target 5 is out of range: the model has 5 outputs, numbered 0 to 4"),
    "one too high": ([0, 7], ValueError, "target 7 is out of range"),
    "negative": ([-1, 0], ValueError, "target -1 is out of range"),
    "too many": ([0, 1, 2], ValueError, r"target has shape \(3,\); give one class, 2 classes, or \(2, T\) classes"),
    "none at all": (np.zeros((2, 0), int), ValueError, r"target has shape \(2, 0\)"),
    "too deep": (np.zeros((2, 1, 1), int), ValueError, r"target has shape \(2, 1, 1\)"),
    "a seed of another shape": (np.zeros((2, 4)), ValueError, r"shape \(2, 5\), but it has shape \(2, 4\)"),
    "a seed for another batch": (np.zeros((1, 5)), ValueError, r"shape \(2, 5\), but it has shape \(1, 5\)"),
    "a float as class": (1.0, ValueError, "For class indices pass integers"),
    "not finite": (np.full((2, 5), np.nan), ValueError, "The target holds 10 values that are NaN, infinite or too"),
    "beyond float32": (np.full((2, 5), 1e300), ValueError, "The target holds 10 values that are .* large for float32"),
    "ragged": ([[1, 2], [3]], ValueError, "^The target is no array: "),
    "text": ("cat", TypeError, "class indices .int., or a seed .float., not <U3"),
    "truth": (True, TypeError, "not bool"),
    "truths": ([True, False], TypeError, "not bool"),
    "complex": (1j, TypeError, "not complex128"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_a_bad_target_is_refused_with_the_reason(lrp: LRP, case: str) -> None:
    target, builtin, message = BAD_TARGETS[case]
    with pytest.raises(LRPError, match=message) as caught:
        lrp.attribute(samples(2), target)
    assert isinstance(caught.value, builtin)


BAD_OPTIONS = {
    "backend": ({"backend": "cuda"}, InputError, "no backend 'cuda'; the backends are native, reference"),
    "composite": ({"composite": "epsilon_pluss"}, CompositeError, "no preset 'epsilon_pluss'. Did you mean epsilon_p"),
    "composite's type": ({"composite": 3}, InputTypeError, "a preset's name or a Composite, not int"),
    "no threads": ({"threads": 0}, InputError, "threads is the number of threads, 1 to 1024, .*; not 0"),
    "fewer threads": ({"threads": -2}, InputError, "not -2"),
    "half a thread": ({"threads": 1.5}, InputError, "not 1.5"),
    "threads in words": ({"threads": "two"}, InputError, "not 'two'"),
    "no memory": ({"max_memory": 0}, InputError, "max_memory is a number of bytes, 1 or more, .*; not 0"),
    "model's type": ({"model": 3}, InputTypeError, "int"),
    "no such file": ({"model": "missing.onnx"}, LRPError, "missing.onnx"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_is_refused_with_the_reason(model: Model, case: str) -> None:
    options, error, message = BAD_OPTIONS[case]
    with pytest.raises(error, match=message) as caught:
        LRP(**{"model": model, **options})
    assert isinstance(caught.value, TypeError if error is InputTypeError else ValueError)


def test_an_input_too_small_for_a_model_of_free_size_is_refused(model: Model) -> None:
    layers = [Convolution(np.ones((2, 1, 3, 3), np.float32), None, window((3, 3)))]
    free = model_of(Graph("x", (1, None, None), chain(layers, (1, 6, 6)).nodes, "v0"))
    for backend in BACKENDS:
        lrp = LRP(free, "epsilon", backend)
        assert lrp.attribute(np.ones((1, 1, 3, 4)), 1).output.shape == (1, 2, 1, 2)
        for ask in (lrp.attribute, lrp.scores):
            with pytest.raises(InputError, match=r"node 'n0' .* too small"):
                ask(np.ones((1, 1, 2, 4)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_targets_of_a_model_of_free_size_are_checked_by_the_size_at_hand(backend: str) -> None:
    layers = [Convolution(np.ones((2, 1, 3, 3), np.float32), None, window((3, 3)))]
    lrp = LRP(model_of(Graph("x", (1, None, None), chain(layers, (1, 6, 6)).nodes, "v0")), "epsilon", backend)
    x = np.ones((1, 1, 3, 4))
    for wrong in (-1, 4):
        with pytest.raises(InputError, match=f"target {wrong} is out of range: the model has 4 outputs, numbered 0 t"):
            lrp.attribute(x, wrong)
    with pytest.raises(InputError, match=r"shape \(1, 2, 1, 2\), but it has shape \(1, 2, 1, 3\)"):
        lrp.attribute(x, np.ones((1, 2, 1, 3)))
    assert lrp.attribute(x, 3).relevance.sum() == pytest.approx(9, rel=1e-5)
