"""Panels: nothing is blurred, cut off or covered."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lrpfast.view import compose

RNG = np.random.default_rng(4)


def plain(width, height, color=(10, 20, 30)):
    return Image.new("RGB", (width, height), color)


def holds(picture, part):
    """Whether `part` is somewhere in `picture`, pixel for pixel."""
    whole, small = np.asarray(picture), np.asarray(part)
    windows = np.lib.stride_tricks.sliding_window_view(whole, small.shape)
    return bool((windows == small).all(axis=(-3, -2, -1)).any())


@pytest.mark.parametrize(("size", "factor"), [(28, 16), (224, 2), (227, 2), (448, 1), (1000, 1)])
def test_enlarging_is_by_a_whole_factor(size, factor):
    picture = plain(size, size // 2)
    assert compose.enlarge(picture).size == (size * factor, size // 2 * factor)


def test_enlarging_keeps_every_pixel_a_square_of_its_color():
    pixels = RNG.integers(0, 256, (4, 3, 3), dtype=np.uint8)
    enlarged = np.asarray(compose.enlarge(pixels, 40))
    np.testing.assert_array_equal(enlarged, pixels.repeat(10, axis=0).repeat(10, axis=1))


def test_grey_pixels_are_enlarged_to_rgb():
    assert compose.enlarge(np.zeros((5, 5), np.uint8)).mode == "RGB"


def test_beside_and_stacked_hold_their_pictures_with_white_between():
    first, second = plain(4, 6, (255, 0, 0)), plain(5, 3, (0, 0, 255))
    row, column = compose.beside([first, second], gap=2), compose.stacked([first, second], gap=2)
    assert row.size == (11, 6) and column.size == (5, 11)
    for picture in (row, column):
        assert holds(picture, first) and holds(picture, second)
    assert (np.asarray(row)[:, 4:6] == 255).all()


@pytest.mark.parametrize(("centered", "top"), [(False, 0), (True, 2)])
def test_lower_picture_is_at_the_top_or_centered(centered, top):
    row = np.asarray(compose.beside([plain(1, 6), plain(1, 2)], gap=0, centered=centered))
    assert (row[top : top + 2, 1] == (10, 20, 30)).all()


def test_columns_of_a_grid_line_up():
    picture = np.asarray(compose.grid([[plain(9, 2), plain(2, 2)], [plain(3, 2), plain(2, 2)]], gap=4))
    dark = (picture[:, 13:15] == (10, 20, 30)).all(axis=(1, 2))
    assert dark.tolist() == [True] * 2 + [False] * 4 + [True] * 2


def test_caption_does_not_widen_its_panel():
    picture = plain(60, 20)
    panel = compose.panel(picture, "a caption that is much longer than the picture above it is wide")
    assert panel.width == 62
    assert panel.height > 30
    assert holds(panel, picture)


@pytest.mark.parametrize("words", ["", "Straße Ωμέγα кот", "two\nlines\tin one", "unreadable \udcff name", "…"])
def test_any_text_can_be_a_line(words):
    assert compose.line(words).height == compose.line("a").height


def test_text_that_fits_is_not_cut():
    whole = compose.line("Egyptian cat")
    assert np.array_equal(np.asarray(compose.line("Egyptian cat", width=whole.width)), np.asarray(whole))
    assert compose.line("Egyptian cat", width=whole.width - 1).width < whole.width


def test_overlay_shows_the_photograph_in_grey_where_there_is_no_relevance():
    values = np.zeros((2, 2))
    values[0, 0], values[1, 1] = 1.0, -1.0
    result = np.asarray(compose.overlay(plain(8, 8, (200, 30, 90)), values, "bwr"))
    assert (result[:4, :4] == (255, 0, 0)).all()
    assert (result[4:, 4:] == (0, 0, 255)).all()
    rest = result[:4, 4:]
    assert np.ptp(rest) == 0


def test_color_bar_runs_from_against_to_for():
    bar = np.asarray(compose.color_bar("bwr")).astype(int)
    blue, red = (bar == (0, 0, 255)).all(axis=-1), (bar == (255, 0, 0)).all(axis=-1)
    assert blue.any() and red.any()
    assert np.argwhere(blue)[:, 1].max() < np.argwhere(red)[:, 1].min()


def test_page_has_a_white_margin():
    page = np.asarray(compose.page([plain(300, 40)], "seismic"))
    margin = compose.MARGIN
    for edge in (page[:margin], page[-margin:], page[:, :margin], page[:, -margin:]):
        assert (edge == 255).all()
    assert (page[margin, margin] == (10, 20, 30)).all()


@pytest.mark.parametrize("axis", [0, 2])
def test_grey_input_reaches_from_black_to_white(axis):
    sample = np.moveaxis(np.linspace(-3, 5, 48).reshape(4, 4, 3), -1, axis)
    grey = compose.grey(sample, axis)
    assert grey.shape == (4, 4)
    assert (grey.min(), grey.max()) == (0, 255)


def test_grey_of_a_flat_input_is_flat():
    assert not compose.grey(np.full((1, 3, 3), 7.0), 0).any()
