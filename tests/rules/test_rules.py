"""Rules as data: what they print, what they refuse, which layers they fit."""

from __future__ import annotations

import dataclasses
import pickle
import re

import numpy as np
import pytest

from lrpfast import CompositeError, rules
from lrpfast.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    LinearRule,
    Magnitude,
    Norm,
    Pass,
    Proportional,
    ReLUBetaSmooth,
    ReLUDeconvNet,
    ReLUGuidedBackprop,
    Rule,
    Ties,
    WSquare,
    ZBox,
    ZPlus,
)
from lrpfast.rules.terms import AS_IS, NEGATIVE, NOTHING, POSITIVE, Fixed, Group, Part, Shifted, Term

ALL: list[Rule] = [
    AlphaBeta(),
    Epsilon(),
    Flat(),
    Gamma(),
    Gradient(),
    Magnitude(),
    Norm(),
    Pass(),
    Proportional(),
    ReLUBetaSmooth(),
    ReLUDeconvNet(),
    ReLUGuidedBackprop(),
    Ties(),
    WSquare(),
    ZBox(-1, 1),
    ZPlus(),
]


def test_every_public_rule_is_tested_here() -> None:
    public = {getattr(rules, name) for name in rules.__all__} - {Rule, LinearRule}
    assert {type(rule) for rule in ALL} == public


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (Epsilon(), "Epsilon()"),
        (Epsilon(0.25), "Epsilon(epsilon=0.25)"),
        (Epsilon(1e-6, zero_bias=True), "Epsilon(zero_bias=True)"),
        (ZPlus(1e-9), "ZPlus(stabilizer=1e-09)"),
        (AlphaBeta(1, 0), "AlphaBeta(alpha=1, beta=0)"),
        (Gamma(0.1), "Gamma(gamma=0.1)"),
        (ZBox(-2.1, 2.6), "ZBox(low=-2.1, high=2.6)"),
        (ZBox([0.5], 1), "ZBox(low=0.5, high=1)"),
        (
            ZBox(np.zeros((3, 1, 1)), np.ones((3, 1, 1)) / 3),
            "ZBox(low=<3x1x1 in 0..0>, high=<3x1x1 in 0.3333..0.3333>)",
        ),
        (ReLUBetaSmooth(5), "ReLUBetaSmooth(beta=5)"),
        (Pass(), "Pass()"),
        (Gradient(), "Gradient()"),
        (Flat(), "Flat()"),
    ],
    ids=str,
)
def test_rules_print_what_differs_from_the_defaults(rule: Rule, shown: str) -> None:
    assert str(rule) == shown


@pytest.mark.parametrize("kind", [Epsilon, ZPlus, AlphaBeta, Gamma, WSquare, Flat, Norm])
@pytest.mark.parametrize("value", [-1e-9, float("nan"), float("inf")])
def test_stabilizers_are_finite_and_not_negative(kind: type[Rule], value: float) -> None:
    name = "epsilon" if kind is Epsilon else "stabilizer"
    with pytest.raises(CompositeError, match=rf"^{kind.__name__}\(.*\): the stabilizer must be finite and >= 0\.$"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("alpha", "beta", "message"),
    [
        (1, 1, "alpha - beta must be 1, or relevance is not conserved"),
        (2, 0.5, "alpha - beta must be 1, or relevance is not conserved"),
        (0.5, -0.5, "alpha and beta must be >= 0"),
        (-1, -2, "alpha and beta must be >= 0"),
        (float("nan"), 0, "alpha and beta must be >= 0"),
        (float("inf"), 0, "alpha - beta must be 1"),
        (float("inf"), float("inf"), "alpha - beta must be 1"),
    ],
)
def test_alpha_and_beta_keep_relevance_whole(alpha: float, beta: float, message: str) -> None:
    with pytest.raises(CompositeError, match=rf"^AlphaBeta\(.*\): {message}"):
        AlphaBeta(alpha, beta)


def test_alpha_and_beta_may_be_off_by_rounding() -> None:
    assert AlphaBeta(1.1, 0.1).groups()[1].share == -0.1


@pytest.mark.parametrize("gamma", [-0.1, float("inf"), float("nan")])
def test_gamma_is_finite_and_not_negative(gamma: float) -> None:
    with pytest.raises(CompositeError, match=r"^Gamma\(gamma=.*\): gamma must be finite and >= 0\.$"):
        Gamma(gamma)


@pytest.mark.parametrize("beta", [0, -1, float("inf"), float("nan")])
def test_sharpness_of_softplus_is_positive(beta: float) -> None:
    with pytest.raises(CompositeError, match=r"^ReLUBetaSmooth\(beta=.*\): beta must be finite and > 0\.$"):
        ReLUBetaSmooth(beta)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (1, 0, "must broadcast against each other, with low <= high"),
        ([0, 0, 0], [1, -1, 1], "must broadcast against each other, with low <= high"),
        ([0, 0, 0], [1, 1], "must broadcast against each other, with low <= high"),
        (float("nan"), 1, "low and high must be finite"),
        (0, float("inf"), "low and high must be finite"),
    ],
)
def test_bounds_of_zbox_are_finite_and_in_order(low: object, high: object, message: str) -> None:
    with pytest.raises(CompositeError, match=message):
        ZBox(low, high)  # type: ignore[arg-type]


def test_bounds_of_zbox_may_touch() -> None:
    ZBox(1, [1, 2])


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        (Epsilon(), "conv dense affine sum average"),
        (ZPlus(), "conv dense affine sum average"),
        (AlphaBeta(), "conv dense affine sum average"),
        (Gamma(), "conv dense affine sum average"),
        (ZBox(0, 1), "conv dense"),
        (WSquare(), "conv dense"),
        (Flat(), "conv dense sum"),
        (Magnitude(), "sum average"),
        (Ties(), "max"),
        (Proportional(), "max"),
        (Norm(), "sum average"),
        (Pass(), "activation affine gate"),
        (ReLUDeconvNet(), "activation"),
        (ReLUGuidedBackprop(), "activation"),
        (ReLUBetaSmooth(), "activation"),
        (Gradient(), "conv dense affine activation sum average max gate routing"),
    ],
    ids=str,
)
def test_layers_that_a_rule_fits(rule: Rule, kinds: str) -> None:
    assert rule.kinds == set(kinds.split())


@pytest.mark.parametrize("rule", ALL, ids=str)
def test_rules_are_immutable_data(rule: Rule) -> None:
    assert str(pickle.loads(pickle.dumps(rule))) == str(rule)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.stabilizer = 1.0  # type: ignore[attr-defined]


def test_rules_with_the_same_parameters_are_equal() -> None:
    assert Gamma(0.25) == Gamma()
    assert Gamma(0.25) != Gamma(0.5)
    assert len({Epsilon(), Epsilon(1e-6), ZPlus()}) == 2


def test_stabilizer_of_epsilon_is_its_epsilon() -> None:
    assert Epsilon(0.5).stabilizer == 0.5


PRO = (Term(POSITIVE, POSITIVE), Term(NEGATIVE, NEGATIVE))
CONTRA = (Term(NEGATIVE, POSITIVE), Term(POSITIVE, NEGATIVE))
FAVOURED, OPPOSED = Part(1.5, 1), Part(1, 1.5)


@pytest.mark.parametrize(
    ("rule", "groups"),
    [
        (Epsilon(), [Group((Term(AS_IS, AS_IS),), AS_IS)]),
        (Norm(), [Group((Term(AS_IS, AS_IS),), NOTHING)]),
        (ZPlus(), [Group(PRO, POSITIVE)]),
        (AlphaBeta(3, 2), [Group(PRO, POSITIVE, share=3), Group(CONTRA, NEGATIVE, share=-2)]),
        (AlphaBeta(1, 0), [Group(PRO, POSITIVE, share=1)]),
        (
            Gamma(0.5),
            [
                Group((Term(FAVOURED, POSITIVE), Term(OPPOSED, NEGATIVE)), FAVOURED, "z > 0"),
                Group((Term(OPPOSED, POSITIVE), Term(FAVOURED, NEGATIVE)), OPPOSED, "z < 0"),
            ],
        ),
    ],
    ids=str,
)
def test_rules_in_terms_of_the_algebra(rule: LinearRule, groups: list[Group]) -> None:
    assert list(rule.groups()) == groups


@pytest.mark.parametrize(
    "rule",
    [
        Epsilon(zero_bias=True),
        ZPlus(zero_bias=True),
        AlphaBeta(zero_bias=True),
        Gamma(zero_bias=True),
        WSquare(1, True),
    ],
    ids=str,
)
def test_zero_bias_leaves_the_bias_out_of_every_group(rule: LinearRule) -> None:
    assert {group.bias for group in rule.groups()} == {NOTHING}


def test_fixed_inputs_of_the_first_layer_rules() -> None:
    low, high = ZBox(-1, 2).groups()[0].terms
    for term, weight, bound in ((low, POSITIVE, -1), (high, NEGATIVE, 2)):
        assert isinstance(term.input, Shifted)
        assert (term.weight, float(np.asarray(term.input.value))) == (weight, bound)
    for rule, weights, bias in ((WSquare(), "squared", "squared"), (Flat(), "ones", NOTHING)):
        (group,) = rule.groups()
        (only,) = group.terms
        assert isinstance(only.input, Fixed)
        assert (only.weight, group.bias, only.input.value) == (weights, bias, 1.0)


@pytest.mark.parametrize(
    ("part", "shown"),
    [(AS_IS, ""), (POSITIVE, "+"), (NEGATIVE, "-"), (NOTHING, "0"), (Part(1.25, 1), "(1.25+, 1-)")],
)
def test_parts_print_their_sign(part: Part, shown: str) -> None:
    assert str(part) == shown


def test_parts_of_nonnegative_values() -> None:
    assert POSITIVE.of_nonnegative() == AS_IS
    assert NEGATIVE.of_nonnegative().vanishes
    assert not POSITIVE.vanishes
    assert Part(1.5, 1).of_nonnegative() == Part(1.5, 1.5)


@pytest.mark.parametrize("rule", ALL, ids=str)
def test_every_rule_has_a_formula_for_tables(rule: Rule) -> None:
    assert rule.formula and len(rule.formula) < 70


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: type(rule).__name__)
def test_a_rule_names_its_paper_where_its_docstring_does(rule: Rule) -> None:
    _, cited, references = (type(rule).__doc__ or "").partition("References")
    assert bool(rule.reference) == bool(cited)
    assert rule.reference.split(" ")[0] in references
    assert set(re.findall(r"\b20\d\d\b", rule.reference)) == set(re.findall(r"\b20\d\d\b", references))
