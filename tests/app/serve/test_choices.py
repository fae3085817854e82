"""Presets and parameters, as the page offers them and as it asks for them."""

from __future__ import annotations

import json

import pytest

from lrpfast.app.serve.choices import COMPOSITES, Choice, described
from lrpfast.composites import PRESETS, EpsilonAlpha2Beta1
from lrpfast.errors import InputError


def test_all_presets_are_offered_in_json():
    offered = json.loads(json.dumps(described()))
    assert [preset["name"] for preset in offered] == [*PRESETS, "alpha_beta"]
    assert all(preset["about"].endswith(".") for preset in offered)


def test_parameters_come_with_their_defaults_and_a_range():
    gamma_box = next(preset for preset in described() if preset["name"] == "epsilon_gamma_box")
    assert [parameter["name"] for parameter in gamma_box["parameters"]] == ["epsilon", "gamma"]
    for preset in described():
        for parameter in preset["parameters"]:
            assert parameter["low"] <= parameter["default"] <= parameter["high"]


@pytest.mark.parametrize("name", COMPOSITES)
def test_every_preset_can_be_chosen_without_parameters(name):
    assert Choice.of(name, {}).composite(0.0, 1.0).name == name


def test_parameters_reach_the_rules():
    composite = Choice.of("epsilon_gamma_box", {"gamma": "0.5"}).composite(0.0, 1.0)
    assert "Gamma(gamma=0.5" in str(composite)


def test_the_same_choice_is_equal_however_it_is_made():
    assert Choice.of("epsilon", {}) == Choice.of("epsilon", {"epsilon": "1e-6"})


def test_alpha_two_is_the_preset_of_that_name():
    free = Choice.of("alpha_beta", {"alpha": "2"}).composite(0.0, 1.0)
    assert str(free).splitlines()[1:] == str(EpsilonAlpha2Beta1()).splitlines()[1:]


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("magic", {}, "There is no preset 'magic'"),
        ("zplus", {"epsilon": "1"}, "takes no 'epsilon'; it takes nothing"),
        ("epsilon", {"gamma": "1"}, "takes no 'gamma'; it takes epsilon"),
        ("epsilon", {"stabilizer": "1"}, "takes no 'stabilizer'"),
        ("epsilon", {"epsilon": "-1"}, "epsilon is a number from 1e-09 to 10"),
        ("epsilon", {"epsilon": "nan"}, "not 'nan'"),
        ("epsilon", {"epsilon": "inf"}, "not 'inf'"),
        ("epsilon", {"epsilon": "much"}, "not 'much'"),
    ],
)
def test_what_makes_no_sense_is_refused(name, given, reason):
    with pytest.raises(InputError, match=reason):
        Choice.of(name, given)
