"""The figures of docs/applicability.md, measured on the network that comes with the package."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.app.demo import scaled, shipped
from lrpfast.model.layers import MaxPool
from oracles.graphs import window


@pytest.fixture
def tool(harness):
    """The module that measures."""
    return harness("applicability")


@pytest.fixture
def digits(tool):
    """A few digits and their classifier."""
    model, pictures = shipped()
    return tool.Subject("digits", model, scaled(pictures[:3]))


def rows(lines):
    """Cells of a Markdown table, without its heading."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_without_biases_all_of_the_score_arrives_and_with_them_the_parts_add_up(tool, digits):
    (row,) = rows(tool.units_table([digits]))
    assert row[3] == "0"
    assert row[9] == "100.00"
    for row in rows(tool.shares_table([digits])):
        assert float(row[6]) < 1e-4
        assert sum(map(float, row[2:6])) == pytest.approx(100, abs=0.03)
        if "without biases" in row[1]:
            assert row[2] == "100.00"


def test_where_windows_do_not_overlap_nobody_wins_several(tool, digits):
    (row,) = rows(tool.pools_table([digits]))
    assert row[2] == row[5]
    assert row[6] == "0"


def test_strides_conserve_as_pools_do_and_print_a_grid(tool, digits):
    pooled, strided, averaged = rows(tool.strides_table(digits))
    assert all(float(row[4]) < 1e-10 for row in (pooled, strided, averaged))
    assert float(strided[-1].split()[0]) > 3 * float(strided[-4].split()[0])
    assert float(pooled[-1].split()[0]) < 1.5 * float(pooled[-4].split()[0])
    assert averaged[5] == averaged[6]


def test_ties_are_counted_inside_the_map_alone(tool):
    layer = MaxPool(window((2, 2), (2, 2), ((0, 1), (0, 1))))
    a = np.array([[[[1.0, 2, 0], [2, 0, 0], [3, 4, 5]]]])
    largest = np.array([[[[2.0, 0], [4, 5]]]])
    np.testing.assert_array_equal(tool.is_tied(layer, a, largest), [[[[True, True], [False, False]]]])
