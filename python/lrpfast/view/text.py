"""Lines of text: what can be drawn of it, how wide it is, and where it is cut."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from math import ceil

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from lrpfast.view.blocks import INK, Block, Color, Words

#: What stands for a character that cannot be drawn.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"

#: Height above and below the line on which text stands, as a share of its size.
ASCENT, DESCENT = 0.93, 0.24


@lru_cache(maxsize=64)
def font(size: float, bold: bool = False) -> FontProperties:
    """DejaVu Sans, which matplotlib brings along: Latin, Greek and Cyrillic look the same everywhere.

    The second family is for viewers of SVG on computers that lack the first.
    """
    return FontProperties(family=["DejaVu Sans", "sans-serif"], size=size, weight="bold" if bold else "normal")


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def drawable(words: str) -> str:
    """Text on one line, its characters that the font lacks replaced; file names may hold anything."""
    line = " ".join(words.split())
    return "".join(sign if sign.isprintable() and ord(sign) in _glyphs() else UNKNOWN for sign in line)


@lru_cache(maxsize=4096)
def width_of(words: str, size: int, bold: bool = False) -> int:
    """Width of drawable text in whole pixels."""
    return ceil(text_to_path.get_text_width_height_descent(words, font(size, bold), False)[0])


def line(words: str, size: int = 15, *, bold: bool = False, color: Color = INK, width: int | None = None) -> Block:
    """One line of text; where `width` is given, what does not fit is cut and ends in an ellipsis."""
    words = drawable(words)
    if width is not None and width_of(words, size, bold) > width:
        ends = range(len(words))
        fitting = bisect_right(ends, width, key=lambda end: width_of(words[:end].rstrip() + "…", size, bold))
        words = words[: max(0, fitting - 1)].rstrip() + "…"
    ascent, descent = ceil(ASCENT * size), ceil(DESCENT * size)
    mark = Words(words, size, bold, color)
    return Block(max(1, width_of(words, size, bold)), ascent + descent, ((0, ascent, mark),))
