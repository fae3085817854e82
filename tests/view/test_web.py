"""heatmap.js draws what lrpfast.view.heatmap draws."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap

from lrpfast.view.heatmap import ENTRIES, OWN_MAPS, PERCENTILE, color_table

SOURCE = (files("lrpfast") / "view" / "web" / "heatmap.js").read_text("utf-8")

#: Colours by the names of their maps.
MAPS = {
    name: re.findall("#[0-9a-f]{6}", stops)
    for name, stops in re.findall(r"^ {4}(\w+): \[(.*)\],$", SOURCE, re.MULTILINE)
}


def test_all_maps_of_lrpfast_are_there():
    assert set(MAPS) == {"seismic", "bwr", *OWN_MAPS}


@pytest.mark.parametrize("name", MAPS)
def test_colors_are_the_same(name):
    table = LinearSegmentedColormap.from_list(name, MAPS[name], N=ENTRIES)(np.arange(ENTRIES), bytes=True)[:, :3]
    np.testing.assert_allclose(table.astype(int), color_table(name).astype(int), atol=1)


@pytest.mark.parametrize(("name", "value"), [("entries", ENTRIES), ("percentile", PERCENTILE)])
def test_constants_are_the_same(name, value):
    assert f"static {name} = {value};" in SOURCE
