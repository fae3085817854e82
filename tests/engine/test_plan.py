"""What the plan makes of a graph and a composite: places of layers, what the algebra leaves, what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.composites import Composite, EpsilonGammaBox, named
from lrpfast.engine.plan import PlannedGroup, layer_infos, make_plan, simplified
from lrpfast.engine.proofs import nonnegative_values
from lrpfast.errors import CompositeError
from lrpfast.model.graph import Graph
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Layer,
    MaxPool,
    Pad,
    Reshape,
    Sum,
)
from lrpfast.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    Norm,
    Pass,
    ReLUDeconvNet,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
)
from lrpfast.rules.terms import AS_IS, NEGATIVE, NOTHING, POSITIVE, Group, Part, Shifted, Term
from oracles.graphs import bias, chain, graph, node, small_cnn, weights, window

RNG = np.random.default_rng(0)


def dense(outputs: int = 3, inputs: int = 3, biased: bool = True) -> Dense:
    return Dense(weights(RNG, outputs, inputs), bias(RNG, outputs) if biased else None)


def planned(rule: Rule, layers: list[Layer], shape: tuple[int, ...] = (3,)) -> tuple[PlannedGroup, ...]:
    """What is left of the rule of the last layer of a chain."""
    composite = Composite("test", [(layers[-1].kind, rule), ("dense", Epsilon())])
    return make_plan(chain(layers, shape), composite).steps[-1].groups


RELU = Activation("relu")


@pytest.mark.parametrize(
    ("rule", "behind_relu", "otherwise"),
    [
        (Epsilon(), [Term(AS_IS, AS_IS)], [Term(AS_IS, AS_IS)]),
        (ZPlus(), [Term(POSITIVE, AS_IS)], [Term(POSITIVE, POSITIVE), Term(NEGATIVE, NEGATIVE)]),
        (AlphaBeta(1, 0), [Term(POSITIVE, AS_IS)], [Term(POSITIVE, POSITIVE), Term(NEGATIVE, NEGATIVE)]),
    ],
    ids=str,
)
def test_terms_of_negative_inputs_vanish_behind_relu(
    rule: Rule, behind_relu: list[Term], otherwise: list[Term]
) -> None:
    assert list(planned(rule, [RELU, dense()])[0].terms) == behind_relu
    assert list(planned(rule, [dense()])[0].terms) == otherwise


def test_both_parts_of_alpha_beta_keep_one_term_behind_relu() -> None:
    pro, contra = planned(AlphaBeta(3, 2), [RELU, dense()])
    assert (pro.terms, pro.bias, pro.share) == ((Term(POSITIVE, AS_IS),), POSITIVE, 3)
    assert (contra.terms, contra.bias, contra.share) == ((Term(NEGATIVE, AS_IS),), NEGATIVE, -2)


def test_gamma_keeps_one_term_a_sign_behind_relu() -> None:
    favoured, opposed = Part(1.5, 1), Part(1, 1.5)
    above, below = planned(Gamma(0.5), [RELU, dense()])
    assert (above.terms, above.bias, above.gate) == ((Term(favoured, AS_IS),), favoured, "z > 0")
    assert (below.terms, below.bias, below.gate) == ((Term(opposed, AS_IS),), opposed, "z < 0")


def test_terms_of_the_same_weights_merge() -> None:
    group = Group((Term(AS_IS, POSITIVE), Term(AS_IS, NEGATIVE)), NOTHING)
    planned_group = simplified(
        group, inputs_nonnegative=False, weights_nonnegative=False, weights_are_ones=False, has_bias=False
    )
    assert planned_group is not None
    assert planned_group.terms == (Term(AS_IS, AS_IS),)


def test_gamma_of_zero_is_epsilon_on_both_sides() -> None:
    for group in planned(Gamma(0), [dense()]):
        assert (group.terms, group.bias, group.denominator) == ((Term(AS_IS, AS_IS),), AS_IS, "forward")


def groups_before(activation: list[Layer], behind: list[Layer], rules: list[tuple[str, Rule]]) -> int:
    """How many groups of Gamma are left in the first layer of a chain."""
    composite = Composite("test", [(condition, rule) for condition, rule in rules])
    return len(make_plan(chain([Convolution(*CONV), *activation, *behind], (1, 4, 4)), composite).steps[0].groups)


CONV = (weights(RNG, 2, 1, 3, 3), bias(RNG, 2), window((3, 3), pads=1))
AGAIN = Convolution(weights(RNG, 2, 2, 3, 3), None, window((3, 3), pads=1))
GAMMA = ("conv", Gamma(0.25))
POOL = MaxPool(window((2, 2), (2, 2)))


@pytest.mark.parametrize(
    ("activation", "behind", "rules", "left"),
    [
        ([RELU], [AGAIN], [GAMMA], 1),
        ([RELU], [POOL, AGAIN], [GAMMA], 1),
        ([Activation("clip", low=0, high=6)], [Pad(((0, 0), (1, 1), (0, 0))), AGAIN], [GAMMA], 1),
        ([RELU], [], [GAMMA], 2),  # the seed may be anything
        ([RELU], [POOL], [GAMMA], 2),
        ([], [AGAIN], [GAMMA], 2),
        ([Activation("leaky_relu")], [AGAIN], [GAMMA], 2),
        ([Activation("clip", low=-1, high=6)], [AGAIN], [GAMMA], 2),
        ([Activation("sigmoid")], [AGAIN], [GAMMA], 2),
        ([RELU, Activation("sigmoid")], [AGAIN], [GAMMA], 2),  # zero becomes a half
        ([RELU], [AGAIN], [("activation", Gradient()), GAMMA], 2),
        ([RELU], [AGAIN], [("activation", ReLUDeconvNet()), GAMMA], 2),
        ([RELU], [Affine(np.ones(()), np.ones(())), AGAIN], [GAMMA], 2),
        ([RELU], [AveragePool(window((2, 2), (2, 2))), AGAIN], [GAMMA], 1),
        ([RELU], [AveragePool(window((2, 2), (2, 2))), AGAIN], [("average", Gradient()), GAMMA], 2),
    ],
)
def test_gamma_drops_negative_units_only_where_they_carry_no_relevance(
    activation: list[Layer], behind: list[Layer], rules: list[tuple[str, Rule]], left: int
) -> None:
    assert groups_before(activation, behind, rules) == left


def test_gamma_keeps_negative_units_ahead_of_a_rule_that_ignores_the_input() -> None:
    for rule, left in [(Flat(), 2), (WSquare(), 2), (ZBox(0, 1), 2), (Gradient(), 2), (ZPlus(), 1)]:
        layers: list[Layer] = [Convolution(*CONV), RELU, Reshape((32,)), Dense(weights(RNG, 2, 32), None)]
        composite = Composite("test", [GAMMA, ("dense", rule)])
        assert len(make_plan(chain(layers, (1, 4, 4)), composite).steps[0].groups) == left


def test_gamma_keeps_negative_units_that_a_second_reader_sees() -> None:
    nodes = [
        node("conv", Convolution(*CONV), "x", "a"),
        node("relu", RELU, "a", "b"),
        node("sum", Sum(), "a b", "c"),
        node("last", AGAIN, "c", "y"),
    ]
    assert len(make_plan(graph(nodes, (1, 4, 4)), Composite("test", [GAMMA])).steps[0].groups) == 2


@pytest.mark.parametrize("layer", [AveragePool(window((2,))), Sum()], ids=["average", "sum"])
def test_sums_and_averages_have_no_negative_weights(layer: Layer) -> None:
    nodes = [node("one", layer, "x x" if isinstance(layer, Sum) else "x", "y")]
    composite = Composite("test", [(layer.kind, AlphaBeta(2, 1))])
    pro, contra = make_plan(graph(nodes, (1, 4)), composite).steps[0].groups
    assert (pro.terms, pro.bias) == ((Term(AS_IS, POSITIVE),), NOTHING)
    assert (contra.terms, contra.bias) == ((Term(AS_IS, NEGATIVE),), NOTHING)


def test_nothing_speaks_against_an_average_of_positive_values() -> None:
    groups = planned(AlphaBeta(2, 1), [RELU, AveragePool(window((2,)))], (1, 4))
    assert [(group.terms, group.denominator) for group in groups] == [((Term(AS_IS, AS_IS),), "forward")]


@pytest.mark.parametrize(
    ("rule", "biased", "denominator"),
    [
        (Epsilon(), True, "forward"),
        (Epsilon(), False, "forward"),
        (Epsilon(zero_bias=True), True, "computed"),
        (Epsilon(zero_bias=True), False, "forward"),
        (ZPlus(), True, "computed"),
        (ZBox(0, 1), True, "computed"),
        (WSquare(), True, "constant"),
        (Flat(), True, "constant"),
    ],
    ids=str,
)
def test_where_denominators_come_from(rule: Rule, biased: bool, denominator: str) -> None:
    assert planned(rule, [dense(biased=biased)])[0].denominator == denominator


def test_norm_divides_by_the_forward_pass() -> None:
    assert planned(Norm(), [AveragePool(window((2,)))], (1, 4))[0].denominator == "forward"


def test_layers_without_bias_have_none_in_their_groups() -> None:
    for rule in (Epsilon(), ZPlus(), AlphaBeta(), Gamma(), WSquare()):
        assert [group.bias for group in planned(rule, [dense(biased=False)])].count(NOTHING) == len(rule.groups())


@pytest.mark.parametrize(
    ("layers", "known"),
    [
        ([RELU], True),
        ([Activation("sigmoid")], True),
        ([Activation("hard_sigmoid", alpha=0.2, beta=0.5)], True),
        ([Activation("clip", low=0, high=6)], True),
        ([Activation("clip", low=-1, high=6)], False),
        ([Activation("leaky_relu")], False),
        ([Activation("tanh")], False),
        ([RELU, Activation("tanh")], True),
        ([RELU, Activation("hard_swish")], True),
        ([RELU, Activation("clip", low=-2, high=-1)], False),
        ([RELU, MaxPool(window((2, 2)))], True),
        ([RELU, AveragePool(window((2, 2)))], True),
        ([RELU, Pad(((0, 0), (1, 1), (1, 1)))], True),
        ([RELU, Pad(((0, 0), (1, 1), (1, 1)), value=-1.0)], False),
        ([RELU, Affine(np.ones(()), np.zeros(()))], True),
        ([RELU, Affine(np.ones(()), -np.ones(()))], False),
        ([RELU, Affine(-np.ones(()), np.zeros(()))], False),
        ([RELU, Convolution(*CONV)], False),
    ],
)
def test_values_known_to_be_nonnegative(layers: list[Layer], known: bool) -> None:
    net = chain(layers, (1, 4, 4))
    assert (net.output in nonnegative_values(net)) == known


@pytest.mark.parametrize("layer", [Sum(), Concat(0)], ids=["sum", "concat"])
def test_branches_are_nonnegative_if_all_are(layer: Layer) -> None:
    nodes = [node("relu", RELU, "x", "a"), node("half", layer, "x a", "b"), node("whole", layer, "a a", "c")]
    assert nonnegative_values(graph(nodes, (3,))) == {"a", "c"}


def branched() -> Graph:
    """Two stems, one of them without weights before the join, and two heads of which one is the output."""
    nodes = [
        node("relu0", RELU, "x", "a"),
        node("left", dense(), "a", "b"),
        node("right", dense(), "x", "c"),
        node("right again", dense(), "c", "d"),
        node("sum", Sum(), "b d", "e"),
        node("relu1", RELU, "e", "f"),
        node("side", dense(), "f", "g"),
        node("head", dense(), "f", "h"),
        node("out", RELU, "h", "y"),
    ]
    return graph(nodes, (3,))


def test_places_of_layers_in_a_branched_graph() -> None:
    infos = {info.name: info for info in layer_infos(branched())}
    assert {name for name, info in infos.items() if info.first} == {"left", "right"}
    assert {name for name, info in infos.items() if info.last} == {"side", "head"}
    assert [info.depth for info in infos.values()] == [0, 0, 1, 2, 2, 2, 3, 4, 4]
    assert {info.depths for info in infos.values()} == {5}
    assert infos["relu1"].function == "relu"
    assert infos["head"].function == ""


def test_a_lone_layer_is_first_and_last() -> None:
    (info,) = layer_infos(chain([dense()], (3,)))
    assert (info.first, info.last, info.depth, info.depths) == (True, True, 0, 1)


def test_a_layer_is_not_last_if_one_reader_of_its_output_has_weights_behind() -> None:
    nodes = [
        node("stem", dense(), "x", "a"),
        node("skip", RELU, "a", "b"),
        node("deep", dense(), "a", "c"),
        node("sum", Sum(), "b c", "y"),
    ]
    assert [info.name for info in layer_infos(graph(nodes, (3,))) if info.last] == ["deep"]


def test_layers_without_weights_are_neither_first_nor_last() -> None:
    infos = layer_infos(chain([RELU, RELU], (3,)))
    assert [(info.first, info.last, info.depth, info.depths) for info in infos] == [(False, False, 0, 0)] * 2


def test_every_misfit_is_listed_at_once() -> None:
    composite = Composite("mine", [("conv", Norm()), ("activation", Epsilon())])
    with pytest.raises(CompositeError) as caught:
        make_plan(small_cnn(), composite)
    message = str(caught.value)
    assert message.startswith("Composite 'mine' does not fit the model: ")
    for name in ("n0", "n3"):
        misfit = "is of kind conv, but Norm() is for average, sum; choose another rule for it"
        assert f"node '{name}' (Convolution) {misfit}" in message
    for name in ("n1", "n4", "n8"):
        assert f"node '{name}' (Activation) is of kind activation, but Epsilon() is for" in message
    for name in ("n7", "n9"):
        assert f"node '{name}' (Dense) has no rule; add one, for example ('dense', Epsilon())" in message
    assert "n2" not in message


def test_rules_that_change_weights_do_not_fit_layers_without() -> None:
    net = graph([node("add", Sum(), "x x", "y")], (3,))
    with pytest.raises(
        CompositeError, match=r"Gamma\(\) changes weights, and node 'add' \(Sum\) has none; give it Nor"
    ):
        make_plan(net, Composite("mine", [("sum", Gamma())]))


def stem(before: list[Layer], shape: tuple[int | None, ...], permutation: tuple[int, ...] = ()) -> Graph:
    """A convolution of 3 channels behind other layers."""
    nodes = chain([*before, Convolution(weights(RNG, 2, 3, 3, 3), None, window((3, 3)))], (3, 4, 4)).nodes
    return graph(nodes, shape, permutation)


SHIFT = Affine(np.ones((3, 1, 1)), np.ones((3, 1, 1)))


@pytest.mark.parametrize("before", [[], [SHIFT], [Pad(((0, 0), (1, 1), (0, 0)))]], ids=["first", "scaled", "padded"])
@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 5, 4), (1, 3, 1, 1), (7,)], ids=str)
def test_bounds_must_broadcast_to_the_input(shape: tuple[int, ...], before: list[Layer]) -> None:
    with pytest.raises(CompositeError, match=r"bounds of shape .* do not broadcast to the input .* of node 'n"):
        make_plan(stem(before, (3, 4, 4)), EpsilonGammaBox(low=np.zeros(shape), high=1))


def test_bounds_must_broadcast_to_an_input_of_free_size() -> None:
    net = stem([], (3, None, None))
    make_plan(net, EpsilonGammaBox(low=np.zeros((3, 7, 7)), high=1))
    with pytest.raises(CompositeError, match=r"bounds of shape \(4, 1, 1\) do not .* input \(3, any, any\) of node"):
        make_plan(net, EpsilonGammaBox(low=np.zeros((4, 1, 1)), high=1))


@pytest.mark.parametrize("before", [[], [SHIFT]], ids=["first", "scaled"])
@pytest.mark.parametrize("shape", [(4, 4, 3), (None, None, 3)], ids=["fixed", "free"])
def test_bounds_are_turned_into_the_layout_of_the_layer(shape: tuple[int | None, ...], before: list[Layer]) -> None:
    low = -np.arange(1.0, 4.0)
    step = make_plan(stem(before, shape, (2, 0, 1)), EpsilonGammaBox(low=low, high=1)).steps[-1]
    (fixed,) = (
        term.input for term in step.groups[0].terms if term.weight == POSITIVE and isinstance(term.input, Shifted)
    )
    np.testing.assert_array_equal(fixed.value, low.reshape(3, 1, 1))


def test_a_plan_prints_a_table_of_its_rules() -> None:
    net = chain([Convolution(*CONV), RELU, POOL], (1, 4, 4))
    assert str(make_plan(net, named("epsilon_plus"))) == (
        "layer  operator     kind        rule\n"
        "-----  -----------  ----------  ----------------\n"
        "n0     Convolution  conv        ZPlus()\n"
        "n1     Activation   activation  Pass()\n"
        "n2     MaxPool      max         winner takes all"
    )


def test_the_defaults_of_layers_without_weights() -> None:
    nodes = [
        node("scale", Affine(np.ones(()), np.zeros(())), "x", "a"),
        node("relu", RELU, "a", "b"),
        node("add", Sum(), "a b", "c"),
        node("mean", AveragePool(window((0, 0))), "c", "d"),
    ]
    steps = make_plan(graph(nodes, (2, 4, 4)), Composite("none", [])).steps
    assert [step.rule for step in steps] == [Pass(), Pass(), Norm(), Norm()]
