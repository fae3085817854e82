"""The look of a page: captions, headings, margins, the colour bar."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.view.blocks import Words, box
from lrpfast.view.page import CAPTION, MARGIN, captioned, color_bar, heading, page, panel
from lrpfast.view.render import image

LONG = "a caption that is much longer than the picture above it is wide, " * 9


def texts(block):
    return [mark.text for _, _, mark in block.marks if isinstance(mark, Words)]


def test_caption_does_not_widen_its_panel():
    block = panel(box(300, 20, (10, 20, 30)), LONG)
    assert block.width == 302
    assert texts(block)[0].endswith("…")


def test_caption_of_a_narrow_picture_is_not_cut_to_nothing():
    assert texts(captioned(box(5, 300, (0, 0, 0)), "class 281")) == ["class 281"]
    assert captioned(box(5, 300, (0, 0, 0)), LONG).width <= CAPTION


def test_picture_without_a_caption_is_left_alone():
    picture = box(5, 5, (0, 0, 0))
    assert captioned(picture, "") is picture


def test_heading_is_as_wide_as_the_page_at_most():
    block = heading(LONG, LONG, 400)
    assert block.width <= 400
    assert len(texts(block)) == 2


def test_color_bar_runs_from_against_to_for():
    bar = np.asarray(image(color_bar("bwr"))).astype(int)
    blue, white, red = ((bar == color).all(axis=-1) for color in ((0, 0, 255), (255, 255, 255), (255, 0, 0)))
    first, last = np.argwhere(blue)[:, 1].min(), np.argwhere(red)[:, 1].max()
    assert white[bar.shape[0] // 2, (first + last) // 2]
    assert np.argwhere(blue)[:, 1].max() < np.argwhere(red)[:, 1].min()


@pytest.mark.parametrize(
    ("scale", "ends"), [(None, ["against", "for"]), (0.0123, ["against \N{MINUS SIGN}0.012", "0.012 for"])]
)
def test_color_bar_names_its_ends_and_the_scale_if_there_is_one(scale, ends):
    assert texts(color_bar("seismic", scale)) == ends


def test_page_has_a_white_margin_and_the_bar_at_the_lower_right():
    drawn = np.asarray(image(page([box(400, 40, (10, 20, 30))], "bwr")))
    for edge in (drawn[:MARGIN], drawn[-MARGIN:], drawn[:, :MARGIN], drawn[:, -MARGIN:]):
        assert (edge == 255).all()
    assert (drawn[MARGIN : MARGIN + 40, MARGIN : MARGIN + 400] == (10, 20, 30)).all()
    reds = np.argwhere((drawn == (255, 0, 0)).all(axis=-1))
    assert (reds > (MARGIN + 40, MARGIN + 200)).all()


def test_page_is_not_narrower_than_its_bar():
    assert page([box(1, 1, (0, 0, 0))], "bwr").width == color_bar("bwr").width + 2 * MARGIN
