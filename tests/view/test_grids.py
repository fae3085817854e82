"""Grids: the kind of picture follows from the shape of a sample, captions and scales from what is asked."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.errors import InputError
from lrpfast.view.blocks import Raster, Words
from lrpfast.view.grids import Explained, grid, view_of
from lrpfast.view.heatmap import colorize
from lrpfast.view.maps import HeatmapView
from lrpfast.view.slices import SliceView
from lrpfast.view.tokens import TokenView
from lrpfast.view.traces import TraceView

RNG = np.random.default_rng(7)


def explained(shape=(1, 4, 4), channel_axis=0, caption="", words=None, relevance=None):
    relevance = RNG.normal(size=shape) if relevance is None else np.asarray(relevance, dtype=float)
    return Explained(relevance, RNG.normal(size=relevance.shape), channel_axis, caption, words)


def texts(block):
    return [mark.text for *_, mark in block.marks if isinstance(mark, Words)]


def rasters(block):
    return [mark.pixels for *_, mark in block.marks if isinstance(mark, Raster)]


@pytest.mark.parametrize(
    ("shape", "channel_axis", "kind"),
    [
        ((), None, TraceView),
        ((7,), None, TraceView),
        ((2, 7), 0, TraceView),
        ((7, 2), 1, TraceView),
        ((1, 1, 7), 0, TraceView),
        ((1, 7), None, TraceView),
        ((4, 4), None, HeatmapView),
        ((3, 4, 4), 0, HeatmapView),
        ((4, 4, 3), 2, HeatmapView),
        ((1, 1, 1), 0, HeatmapView),
        ((7, 1), None, HeatmapView),
        ((2, 3, 4, 5), 0, SliceView),
        ((3, 4, 5), None, SliceView),
    ],
)
def test_shape_of_a_sample_decides_how_it_is_shown(shape, channel_axis, kind):
    assert type(view_of(explained(shape, channel_axis))) is kind


def test_words_make_it_text():
    assert type(view_of(explained((2,), None, words=["a", "b"]))) is TokenView


def test_more_than_three_axes_are_refused():
    with pytest.raises(InputError, match="at most 3"):
        view_of(explained((2, 2, 2, 2), None))


def test_pictures_are_a_table_under_the_names_of_their_columns():
    rows = [[explained(caption=f"class {row}{column}") for column in range(2)] for row in range(2)]
    block = grid(rows, names=["cat", "cup"], headers=["a", "b"])
    expected = ["input", "a", "b", "cat", "class 00", "class 01", "cup", "class 10", "class 11", "against", "for"]
    assert texts(block) == expected
    assert len(rasters(block)) == 6 + 1


@pytest.mark.parametrize("shape", [(1, 30), (1, 3, 4, 4)])
def test_signals_and_volumes_have_a_row_each_with_all_names(shape):
    rows = [[explained(shape, caption="class 1"), explained(shape, caption="class 2")]]
    found = texts(grid(rows, names=["lead"], headers=["a", "b"]))
    assert "lead · a · class 1" in found and "lead · b · class 2" in found


def test_note_is_above_all():
    assert texts(grid([[explained()]], names=["cat"], note="4 of 9 samples"))[0] == "4 of 9 samples"


def test_own_scales_make_maps_equally_strong_and_a_shared_one_comparable():
    rows = [[explained(relevance=np.full((1, 2, 2), value)) for value in (1.0, 0.5)]]
    own, shared = (grid(rows, names=[""], colors="bwr", shared=shared) for shared in (False, True))
    for block, values in ((own, [1, 1]), (shared, [1, 0.5])):
        for pixels, value in zip(rasters(block)[1:3], values, strict=True):
            assert (pixels == colorize(value, "bwr")).all()


def test_bar_has_numbers_where_all_maps_have_one_scale():
    rows = [[explained(relevance=np.full((1, 2, 2), value)) for value in (1.0, 0.5)]]
    assert texts(grid(rows, names=[""]))[-2:] == ["against", "for"]
    assert texts(grid(rows, names=[""], shared=True))[-1] == "1 for"
    assert texts(grid(rows, names=[""], scale=4.0))[-1] == "4 for"
    assert texts(grid([rows[0][1:]], names=[""]))[-1] == "0.5 for"


def test_percentile_sets_the_scale():
    relevance = np.ones((1, 10, 10))
    relevance[0, 0, 0] = 100.0
    assert texts(grid([[explained(relevance=relevance)]], names=[""], percentile=50))[-1] == "1 for"
    assert texts(grid([[explained(relevance=relevance)]], names=[""], percentile=100))[-1] == "1e+02 for"


def test_many_columns_are_smaller():
    few, many = ([[explained() for _ in range(count)]] for count in (2, 3))
    assert grid(few, names=[""]).width > grid(many, names=[""]).width


@pytest.mark.parametrize("rows", [[], [[]]])
def test_nothing_to_draw_is_refused(rows):
    with pytest.raises(InputError, match="no explanations"):
        grid(rows, names=[])


def test_long_captions_do_not_widen_the_page():
    short, long = ([[explained(caption="c" * count)]] for count in (1, 500))
    assert grid(short, names=["n"]).width == grid(long, names=["n" * 500]).width
