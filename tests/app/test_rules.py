"""`lrpfast rules`: everything that the rules say of themselves."""

from __future__ import annotations

import json

import pytest

from lrpfast import rules
from lrpfast.app.rules import RULES, summary


def test_every_public_rule_is_listed():
    assert set(RULES) == set(rules.__all__) - {"Rule", "LinearRule"}


@pytest.mark.parametrize("name", sorted(rules.__all__))
def test_table_shows_every_rule_with_its_formula(lrpfast, name):
    output = " ".join(lrpfast("rules").output.split())
    if name in RULES:
        assert f"{name} " in output
        assert " ".join(RULES[name].formula.split(",")[0].split()) in output


def test_one_rule_can_be_asked_for_in_any_case(lrpfast):
    output = lrpfast("rules", "gamma").output
    assert output.startswith("Gamma")
    for words in ("gamma=0.25", "zero_bias=False", "for conv, dense, affine, sum, average", "Montavon et al."):
        assert words in output
    assert "AlphaBeta" not in output


def test_json_has_what_the_rules_say(lrpfast):
    found = {rule["name"]: rule for rule in json.loads(lrpfast("rules", "--json").output)}
    assert set(found) == set(RULES)
    box = found["ZBox"]
    assert box["parameters"] == {"low": None, "high": None, "stabilizer": 1e-6}
    assert box["layers"] == ["conv", "dense"]
    assert box["reference"] == rules.ZBox.reference
    assert found["Pass"]["reference"] is None


def test_unknown_rule_is_refused_with_close_ones(lrpfast):
    result = lrpfast("rules", "gama")
    assert result.exit_code == 1
    assert "Did you mean Gamma?" in result.output


def test_summary_is_the_first_paragraph_in_plain_words():
    def documented():
        """Clip the *signal* of `x`: ``R = max(R', 0)``.

        More.
        """

    assert summary(documented) == "Clip the signal of x."
