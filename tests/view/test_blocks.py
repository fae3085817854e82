"""Blocks lie where they are put, and no two cover each other."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.view.blocks import FRAME, Box, beside, box, framed, inside, pile, raster, stacked, table

RED, BLUE = (255, 0, 0), (0, 0, 255)


def places(block):
    """Color, left, top, width and height of every rectangle."""
    return [
        (mark.color, left, top, mark.width, mark.height) for left, top, mark in block.marks if isinstance(mark, Box)
    ]


def test_beside_and_stacked_leave_a_gap():
    first, second = box(4, 6, RED), box(5, 3, BLUE)
    row, column = beside([first, second], gap=2), stacked([first, second], gap=2)
    assert (row.width, row.height) == (11, 6)
    assert places(row) == [(RED, 0, 0, 4, 6), (BLUE, 6, 0, 5, 3)]
    assert (column.width, column.height) == (5, 11)
    assert places(column) == [(RED, 0, 0, 4, 6), (BLUE, 0, 8, 5, 3)]


@pytest.mark.parametrize(("centered", "top"), [(False, 0), (True, 2)])
def test_lower_block_is_at_the_top_or_centered(centered, top):
    assert places(beside([box(1, 6, RED), box(1, 2, BLUE)], gap=0, centered=centered))[1] == (BLUE, 1, top, 1, 2)


def test_columns_of_a_table_line_up():
    block = table([[box(9, 2, RED), box(2, 2, BLUE)], [box(3, 2, RED), box(2, 2, BLUE)]], gap=4)
    assert [left for color, left, *_ in places(block) if color == BLUE] == [13, 13]
    assert (block.width, block.height) == (15, 8)


def test_rows_of_a_table_have_as_many_columns():
    with pytest.raises(ValueError):
        table([[box(1, 1, RED)], []])


def test_later_blocks_lie_over_earlier_ones():
    assert [color for color, *_ in places(pile([(0, 0, box(2, 2, RED)), (1, 1, box(2, 2, BLUE))], 3, 3))] == [RED, BLUE]


def test_margin_is_on_all_sides():
    block = inside(box(3, 4, RED), 5)
    assert (block.width, block.height) == (13, 14)
    assert places(block) == [(RED, 5, 5, 3, 4)]


def test_frame_is_a_pixel_wide():
    block = framed(box(3, 4, RED))
    assert places(block) == [(FRAME, 0, 0, 5, 6), (RED, 1, 1, 3, 4)]


def test_raster_is_enlarged_by_its_factor_and_grey_is_a_color():
    block = raster(np.full((2, 3), 7, np.uint8), 10)
    assert (block.width, block.height) == (30, 20)
    (_, _, mark) = block.marks[0]
    assert mark.pixels.shape == (2, 3, 3)
    assert (mark.pixels == 7).all()
