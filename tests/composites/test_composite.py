"""Which rule a layer gets: conditions, their order, and tables."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from lrpfast.composites import (
    Composite,
    Depth,
    First,
    Last,
    LayerInfo,
    Match,
    Named,
    OfFunction,
    OfKind,
    Where,
)
from lrpfast.composites.composite import DEFAULTS
from lrpfast.errors import CompositeError
from lrpfast.model.layers import KINDS, Kind
from lrpfast.rules import Epsilon, Flat, Gamma, Gradient, Norm, Pass, ZPlus


def layer(name: str = "features.3", kind: Kind = "conv", depth: int = 1, depths: int = 4, **more: Any) -> LayerInfo:
    return LayerInfo(name, "Op", kind, depth == 0, depth == depths - 1, depth, depths, **more)


def is_deep(info: LayerInfo) -> bool:
    return info.depth > 1


@pytest.mark.parametrize(
    ("condition", "fits", "misses"),
    [
        (OfKind("conv"), layer(kind="conv"), layer(kind="dense")),
        (OfKind("conv", "dense"), layer(kind="dense"), layer(kind="sum")),
        (OfFunction("relu"), layer(kind="activation", function="relu"), layer(kind="activation", function="tanh")),
        (Named("features.*"), layer("features.3"), layer("classifier.3")),
        (Named("features.?"), layer("features.3"), layer("features.33")),
        (Named("Features.3"), layer("Features.3"), layer("features.3")),
        (First(), layer(depth=0), layer(depth=1)),
        (Last(), layer(depth=3), layer(depth=2)),
        (Depth(1, 3), layer(depth=2), layer(depth=3)),
        (Depth(2), layer(depth=3), layer(depth=1)),
        (Depth(stop=2), layer(depth=0), layer(depth=2)),
        (Depth(-1), layer(depth=3), layer(depth=2)),
        (Depth(0, -2), layer(depth=1), layer(depth=2)),
        (Where(is_deep), layer(depth=2), layer(depth=1)),
        (First() & OfKind("conv"), layer(depth=0), layer(kind="dense", depth=0)),
        (~First(), layer(depth=1), layer(depth=0)),
        (~(First() & OfKind("conv")), layer(kind="dense", depth=0), layer(depth=0)),
        (~First() & OfKind("conv"), layer(depth=1), layer(kind="dense", depth=1)),
    ],
    ids=str,
)
def test_conditions(condition: Match, fits: LayerInfo, misses: LayerInfo) -> None:
    assert condition(fits) is True
    assert condition(misses) is False


@pytest.mark.parametrize(
    ("condition", "shown"),
    [
        (OfKind("conv"), "conv"),
        (OfKind("conv", "dense"), "conv, dense"),
        (OfFunction("relu"), "relu"),
        (Named("features.*"), "named features.*"),
        (First(), "first layer"),
        (Last(), "last layer"),
        (Depth(), "depth 0:"),
        (Depth(-3, -1), "depth -3:-1"),
        (Where(is_deep), "where is_deep"),
        (First() & OfKind("conv"), "first layer and conv"),
        (OfKind(*KINDS), "any layer"),
        (~First(), "not first layer"),
        (~First() & OfKind("conv"), "not first layer and conv"),
        (~(First() & OfKind("conv")), "not (first layer and conv)"),
        (~~First(), "not not first layer"),
    ],
)
def test_conditions_as_text(condition: Match, shown: str) -> None:
    assert str(condition) == shown


def test_an_unknown_kind_is_refused_wherever_it_is_given() -> None:
    kinds = "conv, dense, affine, activation, sum, average, max, gate, routing"
    with pytest.raises(CompositeError, match=f"^'convolution' is no kind of layer; the kinds are {kinds}.$"):
        OfKind("conv", "convolution")  # type: ignore[arg-type]
    with pytest.raises(CompositeError, match=f"^Composite 'mine': .*'linear' is no kind of layer; .* {kinds}.$"):
        Composite("mine", [("linear", Epsilon())])


def test_the_first_condition_that_holds_decides() -> None:
    composite = Composite("mine", [(First(), Flat()), ("conv", Gamma()), ("conv", ZPlus()), ("dense", Epsilon())])
    assert composite.rule_for(layer(depth=0)) == Flat()
    assert composite.rule_for(layer(depth=1)) == Gamma()
    assert composite.rule_for(layer(kind="dense")) == Epsilon()


def test_weighted_layers_have_no_default() -> None:
    empty = Composite("empty", [])
    expected = {"affine": Pass(), "activation": Pass(), "sum": Norm(), "average": Norm(), "gate": Pass()}
    expected |= {"max": Gradient(), "routing": Gradient()}
    assert {kind: empty.rule_for(layer(kind=kind)) for kind in KINDS if kind in DEFAULTS} == expected
    assert [kind for kind in KINDS if empty.rule_for(layer(kind=kind)) is None] == ["conv", "dense"]


def test_entries_come_before_the_defaults() -> None:
    composite = Composite("mine", [("average", Epsilon()), ("activation", Gradient())])
    assert composite.rule_for(layer(kind="average")) == Epsilon()
    assert composite.rule_for(layer(kind="activation")) == Gradient()
    assert composite.rule_for(layer(kind="sum")) == Norm()


@pytest.mark.parametrize(
    "entry", ["conv", ("conv",), ("conv", ZPlus(), 1), ["conv", ZPlus()], ("conv", ZPlus), ("conv", None), (3, ZPlus())]
)
def test_an_entry_is_a_pair_of_condition_and_rule(entry: Any) -> None:
    with pytest.raises(CompositeError, match=r"^Composite 'mine': .* is no pair of a condition and a rule; write for "):
        Composite("mine", [entry])


def test_the_seed_is_one_of_two() -> None:
    with pytest.raises(CompositeError, match=r"^Composite 'mine': the seed is 'score' or 'one', not 'two'\.$"):
        Composite("mine", [], seed="two")  # type: ignore[arg-type]


def test_a_composite_prints_a_table() -> None:
    composite = Composite("mine", [(First(), Flat()), ("conv", Gamma(0.1)), (Named("head*"), Epsilon(zero_bias=True))])
    assert str(composite) == (
        "mine\n"
        "layers       rule                     relevance\n"
        "-----------  -----------------------  --------------------------------------------------------------\n"
        "first layer  Flat()                   1'(R / stab(1 1))\n"
        "conv         Gamma(gamma=0.1)         x+ . (P's + N't) + x- . (N's + P't),  P = W + gW+, N = W + gW-\n"
        "named head*  Epsilon(zero_bias=True)  x . W'(R / stab(Wx + b))"
    )


def test_composites_are_data() -> None:
    composite = Composite("mine", [(First() & ~OfKind("dense"), Flat()), ("conv", Gamma())])
    assert composite == Composite("mine", [(First() & ~OfKind("dense"), Flat()), (OfKind("conv"), Gamma())])
    assert composite != Composite("mine", [("conv", Gamma())])
    assert replace(composite, name="other").entries == composite.entries
    assert pickle.loads(pickle.dumps(composite)) == composite
