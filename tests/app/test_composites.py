"""`lrpfast composites`: every preset, with the rule of each kind of layer."""

from __future__ import annotations

import json

import pytest

from lrpfast.app.composites import DEFAULT
from lrpfast.composites import PRESETS, Composite
from lrpfast.lrp import LRP
from lrpfast.rules import Flat


def words(result):
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_every_preset_is_listed_with_its_rules(lrpfast):
    output = words(lrpfast("composites"))
    for name in PRESETS:
        assert f"{name} " in output
    assert "first layer and conv: ZBox(low=0, high=1)" in output


def test_preset_of_ones_own_is_listed_by_itself(lrpfast, monkeypatch):
    def mine(wide: bool = True) -> Composite:
        """Flat for all."""
        return Composite("mine", [("conv", Flat()), ("dense", Flat())])

    monkeypatch.setitem(PRESETS, "mine", mine)
    output = words(lrpfast("composites"))
    assert "mine Flat for all." in output
    assert "wide=True" in output


@pytest.mark.parametrize("name", PRESETS)
def test_one_preset_is_shown_with_formulas(lrpfast, name):
    output = words(lrpfast("composites", name))
    assert output.startswith(f"{name}: ")
    assert "layers rule relevance" in output


def test_layers_that_no_entry_speaks_of_are_shown_too(lrpfast):
    assert "average Norm() x . A'(R / stab(Ax))" in words(lrpfast("composites", "epsilon_plus"))
    assert "Norm()" not in words(lrpfast("composites", "gradient"))


def test_json_has_all_of_it(lrpfast):
    found = {preset["name"]: preset for preset in json.loads(lrpfast("composites", "--json").output)}
    assert list(found) == list(PRESETS)
    assert [name for name, preset in found.items() if preset["default"]] == [DEFAULT]
    box = found["epsilon_gamma_box"]
    assert (box["parameters"]["low"], box["parameters"]["gamma"]) == (None, 0.25)
    assert [entry["layers"] for entry in box["entries"]] == ["first layer and conv", "conv", "dense"]
    assert found["gradient_x_input"]["times_input"]


def test_default_is_that_of_the_library():
    assert LRP.__init__.__defaults__[0] == DEFAULT


def test_unknown_preset_is_refused(lrpfast):
    result = lrpfast("composites", "epsilon_pluss")
    assert result.exit_code == 1
    assert "Did you mean epsilon_plus" in result.output
