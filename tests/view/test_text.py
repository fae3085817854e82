"""Text: what can be drawn is kept, what does not fit is cut, and a line is as high as any other."""

from __future__ import annotations

import pytest

from lrpfast.view.text import UNKNOWN, line, width_of


def words(block):
    (_, _, mark) = block.marks[0]
    return mark.text


@pytest.mark.parametrize(
    ("given", "drawn"),
    [
        ("", ""),
        ("Straße Ωμέγα кот", "Straße Ωμέγα кот"),
        ("two\nlines\tin  one", "two lines in one"),
        ("name \udcff.png", f"name {UNKNOWN}.png"),
        ("\x00 \x07", f"{UNKNOWN} {UNKNOWN}"),
        ("猫", UNKNOWN),
        ("$x_1$ \\frac <b> &amp;", "$x_1$ \\frac <b> &amp;"),
    ],
)
def test_characters_that_the_font_lacks_are_replaced(given, drawn):
    block = line(given)
    assert words(block) == drawn
    assert block.height == line("a").height
    assert block.width >= 1


def test_text_that_fits_is_not_cut():
    whole = line("Egyptian cat")
    assert words(line("Egyptian cat", width=whole.width)) == "Egyptian cat"


@pytest.mark.parametrize("width", [0, 20, 60, 300])
def test_text_that_does_not_fit_ends_in_an_ellipsis(width):
    long = "a caption that is much longer than the picture above it " * 20
    cut = words(line(long, width=width))
    assert cut.endswith("…")
    assert long.startswith(cut[:-1])
    assert width_of(cut, 15) <= max(width, width_of("…", 15))
    longer = long[: len(cut)].rstrip() + "…"
    assert width_of(longer, 15) > width


def test_bold_text_is_wider():
    assert line("Egyptian cat", bold=True).width > line("Egyptian cat").width
