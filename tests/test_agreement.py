"""The figures of docs/agreement.md, measured on the network that comes with the package, with stand-ins for peers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

#: who answers in the place of peers, so that no library is needed
STAND_INS = {"zennit": "reference", "zennit64": "reference64"}


@pytest.fixture
def tool(harness):
    """The module that measures."""
    return harness("agreement")


@pytest.fixture
def relevance():
    """Relevance of two pictures, no value twice."""
    return np.random.default_rng(0).standard_normal((2, 3, 20, 20))


def test_the_same_relevance_agrees_in_everything(tool, relevance):
    found = tool.Agreement.between(relevance, relevance)
    assert found.same
    assert (found.rank, found.top, found.largest, found.most) == (pytest.approx(1), 1, 0, 0)


def test_relevance_that_is_zero_everywhere_agrees_with_itself(tool, relevance):
    assert tool.Agreement.between(0 * relevance, 0 * relevance).same


def test_the_worst_sample_decides(tool, relevance):
    other = relevance.copy()
    other[1] *= -1
    found = tool.Agreement.between(other, relevance)
    assert found.rank == pytest.approx(-1)
    assert found.top == 0
    assert found.largest == 2


def test_one_value_out_of_a_thousand_is_an_outlier(tool, relevance):
    other = relevance.copy()
    other[0, 0, 0, 0] += 1
    found = tool.Agreement.between(other, relevance)
    assert found.largest == pytest.approx(1 / np.abs(relevance[0]).max())
    assert found.most == 0


def test_other_pixels_on_top_are_not_the_same(tool, relevance):
    first = relevance.sum(axis=1)[0].argmax()
    other = relevance.copy()
    other.reshape(2, 3, -1)[0, :, first] *= -1
    found = tool.Agreement.between(other, relevance)
    assert found.top == 0.75
    assert not found.same


def test_equal_values_share_their_ranks(tool):
    np.testing.assert_array_equal(tool.ranks(np.array([3.0, 1, 3, 0])), [3.5, 2, 3.5, 1])


def test_of_a_correlation_near_one_what_is_missing_is_written(tool):
    assert str(tool.Agreement(1 - 3e-9, 0.998, 1.5e-3, 2e-7)) == "3e-09, 99.8 %, 2e-03, 2e-07"
    assert str(tool.Agreement(1 + 1e-16, 1.0, 0.0, 0.0)) == "0e+00, 100 %, 0e+00, 0e+00"


@pytest.mark.parametrize(
    ("ours", "measure", "words"),
    [
        (1.0, 1.0, "the same"),
        (0.9, 1.0, "not the same"),
        (0.9, 0.9, "not the same, nor is Zennit's float32"),
    ],
)
def test_where_rounding_decides_zennit_is_the_measure(tool, ours, measure, words):
    found = dict.fromkeys(tool.OURS, tool.Agreement(ours, 1.0, 3e-5, 0.0))
    found[tool.MEASURE] = tool.Agreement(measure, 1.0, 2e-7, 0.0)
    assert tool.verdict(found) == f"{words}, 3e-05 / 2e-07"


def test_a_model_is_explained_by_all_and_written_as_tables(tool, monkeypatch):
    class StandIn(tool.Worker):
        def __init__(self, python, library, *rest):
            super().__init__(python, STAND_INS.get(library, library), *rest)

    monkeypatch.setattr(tool, "Worker", StandIn)
    monkeypatch.setattr(tool, "PRESETS", ("epsilon_alpha2_beta1", "epsilon_minus"))
    (digits,) = tool.subjects([], ["digits"])
    found = tool.compared(digits, None, tool.Interpreters(sys.executable), threads=1, samples=2)
    agreed, failed = found.presets.values()
    assert all(one.same and one.largest < 1e-5 for one in agreed.values())
    assert agreed["reference64", "zennit64"].largest == 0
    assert failed.startswith("lrpfast: ") and "There is no preset 'epsilon_minus'" in failed
    lines = tool.lines([found])
    assert any(line.startswith("| `epsilon_alpha2_beta1` | the same") for line in lines)
    assert "**digits (embedded)**, digits, samples: 2" in lines
