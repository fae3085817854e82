"""`lrpfast.check`: a verdict on every layer, and where relevance goes, measured."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import lrpfast
from lrpfast import Composite, CompositeError, InputError, ModelError, check
from lrpfast.app.demo import scaled, shipped
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    MaxPool,
    Reshape,
    Sum,
)
from lrpfast.rules import Epsilon, Flat, ZPlus
from oracles.graphs import bias, chain, gated_net, graph, model_of, node, small_cnn, weights, window, without_biases
from oracles.onnx_models import make_model
from oracles.onnx_models import node as onnx_node

INPUTS = np.random.default_rng(3).standard_normal((4, 3, 12, 12)).astype(np.float32)
SMALL = model_of(small_cnn(), "small")
UNSUPPORTED = make_model(
    [onnx_node("Hardmax", "x", "a", "norm"), onnx_node("Relu", "a", "b"), onnx_node("Sin", "b", "y", "sin")],
    ["N", 3, 4, 4],
)


def dense(rows, bias=None):
    return Dense(np.array(rows, np.float32), None if bias is None else np.array(bias, np.float32))


def chained(*layers, shape=(2,)):
    """A model of layers one after the other."""
    return model_of(chain(layers, shape))


RNG = np.random.default_rng(0)
STRIDED = chain(
    [
        Convolution(weights(RNG, 8, 3, 3, 3), bias(RNG, 8), window((3, 3), (2, 2), pads=1)),
        Activation("relu"),
        Convolution(weights(RNG, 8, 8, 3, 3), bias(RNG, 8), window((3, 3), (2, 2), pads=1)),
        Activation("relu"),
        Reshape((72,)),
        Dense(weights(RNG, 5, 72), bias(RNG, 5)),
    ],
    (3, 12, 12),
)
DIGITS, PICTURES = shipped()
CASES = {
    "synthetic": (SMALL.graph, INPUTS),
    "strided": (STRIDED, INPUTS),
    "digits": (DIGITS.graph, scaled(PICTURES)),
}


def verdicts(report):
    return {layer.name: layer.verdict for layer in report.layers}


# ReLU and max pooling


@pytest.mark.parametrize("case", ["synthetic", "strided", "digits"])
def test_a_net_of_relu_and_max_pooling_without_biases_hands_down_the_whole_score(case):
    """In single precision as in double."""
    net, x = CASES[case]
    report = check(model_of(without_biases(net)), x, "epsilon")
    assert report.proof.arrived == pytest.approx(1, abs=1e-10)
    assert report.proof.biases == report.proof.unclaimed == 0
    assert report.account.handed_down == pytest.approx(1, abs=1e-4)
    assert report.account.bias == 0


@pytest.mark.parametrize("case", ["synthetic", "strided", "digits"])
def test_with_biases_these_take_what_they_contributed_and_nothing_is_missing(case):
    net, x = CASES[case]
    report = check(model_of(net), x, "epsilon")
    assert report.proof.biases != 0
    assert report.proof.arrived + report.proof.biases == pytest.approx(1, abs=1e-10)
    assert report.account.handed_down == pytest.approx(report.proof.arrived, abs=1e-4)
    assert report.account.bias == pytest.approx(report.proof.biases, abs=1e-4)


def test_rules_that_leave_biases_out_give_their_part_to_the_inputs():
    rule = Epsilon(zero_bias=True)
    account = check(SMALL, INPUTS, Composite("free", [("conv", rule), ("dense", rule)])).account
    assert account.handed_down == pytest.approx(1, abs=1e-4)
    assert account.bias == 0


def test_they_cannot_where_a_unit_is_on_by_its_bias_alone():
    model = chained(dense([[1, 0], [0, 1]], [1, 1]), Activation("relu"), dense([[1, 3]]))
    x = [[1.0, 0.0]]  # units 2 and 1, of which the second sees no input: score 2 + 3
    account = check(model, x, Composite("free", [("dense", Epsilon(zero_bias=True))])).account
    assert account.handed_down == pytest.approx(0.4, rel=1e-5)
    assert account.stabilizer == pytest.approx(0.6, rel=1e-5)
    proof = check(model, x).proof
    assert (proof.arrived, proof.biases) == pytest.approx((0.2, 0.8))


def test_units_that_relu_set_to_zero_carry_nothing():
    proof = check(SMALL, INPUTS).proof
    assert proof.units == 4 * (8 * 12 * 12 + 20 * 6 * 6 + 17)
    assert 0 < proof.dead < proof.units
    assert proof.dead_relevance == 0


def test_max_pools_hand_down_all_that_they_receive():
    proof = check(SMALL, INPUTS).proof
    assert proof.pools == 2
    assert proof.pool_loss < 1e-12


def test_the_answer_has_the_figures():
    report = check(SMALL, INPUTS)
    dead, units = report.proof.dead, report.proof.units
    assert report.applicable
    assert report.verdict.startswith("LRP is applicable: every layer")
    assert f"The {dead:,} of {units:,} units that ReLU set to zero get nothing." in report.verdict
    assert "The 2 max pools hand down all that arrives there" in report.verdict
    assert f"biases {100 * report.proof.biases:.2f} %: together all of it" in report.verdict


def test_an_answer_speaks_only_of_what_the_model_has():
    verdict = check(chained(dense([[1, 1]], [1])), [[1.0, 2.0]]).verdict
    assert "ReLU" not in verdict and "pool" not in verdict
    assert "max pool" not in check(model_of(STRIDED), INPUTS).verdict


# Verdicts


@pytest.mark.parametrize(
    ("layer", "verdict"),
    [
        (Activation("relu"), "exact"),
        (Activation("leaky_relu", slope=np.float32(0.1)), "exact"),
        (Activation("clip", low=0, high=6), "exact"),
        (Activation("clip", low=0.1, high=6), "heuristic"),
        (Activation("sigmoid"), "heuristic"),
        (Activation("tanh"), "heuristic"),
        (Activation("elu", alpha=1.0), "heuristic"),
        (Activation("hard_sigmoid", alpha=0.2, beta=0.5), "heuristic"),
        (Activation("hard_swish"), "heuristic"),
        (Affine(np.array([2.0, 3.0]), np.array([1.0, 0.0])), "heuristic"),
        (Affine(np.array([2.0, 3.0]), np.zeros(2)), "exact"),
        (Activation("abs"), "exact"),
        (Activation("reciprocal"), "heuristic"),
        (Activation("gelu"), "heuristic"),
        (dense([[1, 2], [3, 4]], [1, 1]), "exact"),
        (Reshape((2,)), "exact"),
    ],
    ids=lambda case: getattr(case, "function", None) or str(case).split("(")[0],
)
def test_verdict_on_a_layer(layer, verdict):
    report = check(chained(dense([[1, -1], [1, 1]]), layer, dense([[1, 1]])), [[1.0, 2.0]])
    assert verdicts(report) == {"n2": "exact", "n1": verdict, "n0": "exact"}
    assert bool(report.layers[1].reason) == (verdict == "heuristic")
    assert report.applicable


def test_pools_sums_and_concatenations_are_exact():
    pool = window((2, 2), (2, 2))
    net = graph(
        [
            node("max", MaxPool(pool), "x", "a"),
            node("average", AveragePool(pool), "x", "b"),
            node("sum", Sum(), "a b", "c"),
            node("join", Concat(0), "c a", "d"),
            node("flat", Reshape((216,)), "d", "e"),
            node("dense", Dense(weights(np.random.default_rng(0), 3, 216), None), "e", "f"),
        ],
        (3, 12, 12),
    )
    report = check(model_of(net), np.abs(INPUTS))
    assert set(verdicts(report).values()) == {"exact"}
    assert report.proof.deviation < 1e-10


def test_a_model_with_conventions_names_them():
    sigmoid = Activation("sigmoid")
    report = check(chained(dense([[1, 2], [2, 1]]), sigmoid, dense([[1, 2], [2, 1]]), sigmoid, dense([[1, 1]])))
    assert report.verdict.startswith("LRP is applicable with conventions, in 2 of 5 layers; every other one ")
    assert report.notes[0].startswith("Heuristic in n3, n1: sigmoid is not piecewise linear")


def test_gates_are_conventions_and_what_makes_them_gets_nothing():
    inputs = np.random.default_rng(0).standard_normal((2, 3, 12, 12)).astype(np.float32)
    report = check(model_of(gated_net()), inputs)
    found = verdicts(report)
    assert [name for name, verdict in found.items() if verdict == "heuristic"] == ["gate1", "gate0"]
    assert report.notes[0].startswith("Heuristic in gate1, gate0: one activation scales or shifts another")
    unreached = [layer for layer in report.layers if layer.rule == "gets nothing"]
    assert [layer.name for layer in unreached] == ["across", "down", "sigmoid", "excite", "squeeze"]
    assert all(layer.account is None for layer in unreached)
    assert report.proof.deviation < 1e-10
    assert abs(report.account.rounding) < 1e-4


def test_a_quotient_of_two_activations_is_a_gate():
    nodes = [
        onnx_node("MatMul", "x w", "a"),
        onnx_node("Exp", "a", "b"),
        onnx_node("Div", "x b", "c", "ratio"),
        onnx_node("MatMul", "c w", "y"),
    ]
    report = check(make_model(nodes, ["N", 3], {"w": np.ones((3, 3), np.float32)}))
    assert [name for name, verdict in verdicts(report).items() if verdict == "heuristic"] == ["ratio"]
    assert abs(report.account.rounding) < 1e-4


def test_normalisation_by_the_sample_is_made_of_gates():
    parameters = {"scale": np.ones(3, np.float32), "shift": np.zeros(3, np.float32)}
    nodes = [onnx_node("InstanceNormalization", "x scale shift", "a", "norm"), onnx_node("Relu", "a", "y")]
    report = check(make_model(nodes, ["N", 3, 4, 4], parameters))
    heuristic = {layer.kind for layer in report.layers if layer.verdict == "heuristic"}
    assert heuristic == {"gate"}
    assert report.proof.deviation < 1e-10


def test_the_larger_of_two_branches_takes_all_which_is_exact():
    nodes = [onnx_node("MatMul", "x w", "a"), onnx_node("Max", "a x", "b"), onnx_node("MatMul", "b w", "y")]
    model = make_model(nodes, ["N", 3], {"w": np.eye(3, dtype=np.float32)}).SerializeToString()
    assert set(verdicts(check(model)).values()) == {"exact"}


def test_a_unit_at_zero_gets_something_only_by_a_convention():
    """A sigmoid makes one half of zero, and relevance passes it unchanged."""
    layers = [Activation("relu"), Activation("sigmoid"), dense([[0, 1]])]
    proof = check(chained(dense([[1, 0], [0, -1]]), *layers), [[1.0, 1.0]]).proof
    assert proof.dead_relevance == 1
    assert (proof.arrived, proof.unclaimed) == (1, 0)  # what inhibited the unit gets it
    report = check(chained(dense([[1, 0], [1, -1]]), *layers), [[1.0, 1.0]])
    assert (report.proof.arrived, report.proof.unclaimed, report.proof.deviation) == (0, 1, 0)
    assert "get up to 1e+00 of the score each" in report.verdict
    assert "units at zero 100.00 %: together all of it, exactly" in report.verdict


def test_gradients_are_no_relevance():
    report = check(SMALL, INPUTS, "gradient")
    assert report.applicable
    assert verdicts(report)["n0"] == "heuristic"
    assert "a gradient, whose sum is not kept" in report.notes[0]
    assert report.account is None
    assert report.proof == check(SMALL, INPUTS).proof


# Models that cannot be explained


def test_all_nodes_that_cannot_be_explained_are_listed():
    report = check(UNSUPPORTED)
    assert not report.applicable
    assert [(layer.name, layer.operator) for layer in report.layers] == [("norm", "Hardmax"), ("sin", "Sin")]
    assert set(verdicts(report).values()) == {"unsupported"}
    assert all(layer.reason for layer in report.layers)
    assert report.verdict == "LRP is not applicable (yet): 2 nodes cannot be explained."
    assert [note.split(":")[0] for note in report.notes] == ["norm (Hardmax)", "sin (Sin)"]
    assert str(report).startswith("model\n\nnorm (Hardmax): ")
    assert str(report).endswith(report.verdict)
    assert report.account is report.proof is None


def test_a_model_that_the_native_backend_cannot_hold_is_refused_too():
    report = check(chained(Reshape((1, 1, 1, 1, 2)), shape=(2,)))
    assert not report.applicable
    assert [layer.name for layer in report.layers] == ["n0"]
    assert "up to three more" in report.layers[0].reason


def test_what_is_no_model_is_an_error():
    with pytest.raises(ModelError):
        check(b"no model")


def test_wrong_composites_and_inputs_are_errors():
    with pytest.raises(CompositeError, match="no preset"):
        check(SMALL, composite="epsilon_plusflat")
    with pytest.raises(InputError, match="takes an input of shape"):
        check(SMALL, INPUTS[:, :2])


# Accounts


def test_each_layer_has_its_account_in_shares_of_the_score():
    report = check(SMALL, INPUTS[:1], "epsilon_plus")
    attribution = lrpfast.LRP(SMALL, "epsilon_plus").attribute(INPUTS[:1])
    score = attribution.output.max()
    assert [layer.name for layer in report.layers] == [layer.name for layer in attribution.audit]
    for layer, found in zip(report.layers, attribution.audit, strict=True):
        assert layer.account.received == pytest.approx(found.received.item() / score)
        assert layer.account.bias == pytest.approx(found.bias.item() / score)
    assert report.account.handed_down == pytest.approx(attribution.relevance.sum() / score, rel=1e-4)


@pytest.mark.parametrize("composite", ["epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1"])
def test_the_parts_add_up(composite):
    report = check(SMALL, INPUTS, composite)
    for account in (report.account, *(layer.account for layer in report.layers)):
        assert abs(account.rounding) < 1e-4


def test_of_several_samples_large_scores_count_more():
    model = chained(dense([[1, 1]], [1]))  # scores 2 and 4, of which the bias is 1
    account = check(model, [[1.0, 0.0], [1.0, 2.0]], "epsilon").account
    assert account.bias == pytest.approx(2 / 6, rel=1e-5)
    assert check(model, [[1.0, 0.0], [1.0, 2.0]]).samples == 2


@pytest.mark.parametrize("x", [[[0.0, 0.0]], [[-1.0, 1.0]]], ids=["zero", "not a number"])
@pytest.mark.parametrize("composite", ["epsilon", "gradient"])
def test_scores_that_are_zero_or_no_numbers_leave_nothing_to_measure(x, composite):
    report = check(chained(dense([[1, 0], [0, 1]]), Activation("sqrt"), dense([[1, 1]])), x, composite)
    assert report.applicable
    assert report.account is report.proof is None
    assert "Nothing was measured" in report.verdict
    assert list(verdicts(report)) == ["n2", "n1", "n0"]


BIASED = chained(dense([[1, 1]], [18]))  # 90 % of the score 20 is the bias


def test_biases_that_absorb_most_of_the_score_are_a_warning():
    report = check(BIASED, [[1.0, 1.0]], "epsilon")
    assert report.account.bias == pytest.approx(0.9)
    assert report.without_biases == pytest.approx(1)
    assert "biases absorb most of the score" in report.notes[-1]
    assert "100.00 % of the score arrives" in report.notes[-1]


@pytest.mark.parametrize(
    ("model", "x", "composite"),
    [
        (SMALL, INPUTS, "epsilon_plus"),
        (BIASED, [[20.0, 20.0]], "epsilon"),
        (BIASED, [[1.0, 1.0]], Composite("free", [("dense", ZPlus(zero_bias=True))])),
        (BIASED, [[1.0, 1.0]], Composite("flat", [("dense", Flat())])),
    ],
    ids=["small biases", "large inputs", "zero_bias", "flat"],
)
def test_other_models_get_no_such_warning(model, x, composite):
    report = check(model, x, composite)
    assert report.without_biases is None
    assert len(report.notes) == 1 and "Warning" not in str(report)


# Inputs


def test_without_inputs_random_numbers_take_their_place():
    report = check(SMALL)
    assert (report.inputs, report.samples) == ("random numbers", 1)
    assert "1 sample (random numbers)" in str(report)
    assert check(SMALL, INPUTS).inputs == "given inputs"


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_model_of_free_size_gets_a_picture_of_224_pixels(layout):
    turn = [] if layout == "NCHW" else [onnx_node("Transpose", "x", "t", perm=[0, 3, 1, 2])]
    nodes = [
        *turn,
        onnx_node("Conv", f"{'x' if layout == 'NCHW' else 't'} w", "c"),
        onnx_node("Relu", "c", "r"),
        onnx_node("GlobalAveragePool", "r", "g"),
        onnx_node("Flatten", "g", "y"),
    ]
    shape = ["N", 3, "H", "W"] if layout == "NCHW" else ["N", "H", "W", 3]
    report = check(make_model(nodes, shape, {"w": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)}))
    assert report.proof.units == 3 * 224 * 224
    assert report.proof.deviation < 1e-10


def test_the_same_again_is_the_same_report():
    assert check(SMALL) == check(SMALL)
    assert str(check(SMALL, INPUTS)) == str(check(SMALL, INPUTS))


# The report


def test_json_is_the_report():
    report = check(SMALL, INPUTS)
    found = json.loads(report.to_json())
    assert found == report.to_dict()
    assert (found["applicable"], found["verdict"], found["samples"]) == (True, report.verdict, 4)
    assert found["layers"][0]["account"]["received"] == pytest.approx(1)
    assert found["proof"]["dead"] == report.proof.dead


def test_printed_it_is_a_table_with_the_answer_last():
    report = check(chained(dense([[1, 1]], [1]), Activation("tanh")), [[1.0, 2.0]], "epsilon")
    lines = str(report).splitlines()
    assert lines[0] == "net, epsilon, 1 sample (given inputs); relevance in % of the score"
    assert lines[2].split() == ["layer", "operator", "kind", "rule", "verdict", "received", "absorbed"]
    assert lines[4].split() == ["n1", "Activation", "activation", "Pass()", "heuristic", "100.00"]
    assert lines[5].split() == ["n0", "Dense", "dense", "Epsilon()", "exact", "100.00", "25.00", "bias"]
    assert "Most is absorbed by n0 (25.00 %)" in report.notes[1]
    assert " ".join(str(report).split()).endswith(report.verdict)
    assert max(map(len, lines)) <= 100


def test_several_causes_of_absorption_are_named():
    model = chained(dense([[1, 1]], [1]))
    (_, row) = check(model, [[1.0, 2.0]], Composite("large", [("dense", Epsilon(1))])).cells()
    assert row[-1] == " 20.00 bias   20.00 stabilizer"


def test_shares_that_round_to_zero_have_no_sign():
    report = check(SMALL, INPUTS)
    account = replace(report.account, bias=-1e-9)
    assert "Biases absorb 0.00 %" in replace(report, account=account).notes[0]


def test_a_report_does_not_change():
    with pytest.raises(FrozenInstanceError):
        check(SMALL).composite = "other"
