"""The look of a page: panels with captions, headings, the colour bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lrpfast.view.blocks import GAP, GREY, Block, beside, framed, inside, pile, raster, stacked
from lrpfast.view.heatmap import colorize
from lrpfast.view.text import line

MARGIN = 36

#: Width that a caption may have where its panel is narrower.
CAPTION = 200


def captioned(block: Block, caption: str, size: int = 15) -> Block:
    """A block with a caption, if any, below."""
    if not caption:
        return block
    return stacked([block, line(caption, size, color=GREY, width=max(block.width, CAPTION))], gap=8)


def panel(picture: Block, caption: str, size: int = 15) -> Block:
    """A framed picture with a caption below."""
    return captioned(framed(picture), caption, size)


def heading(title: str, subtitle: str, width: int) -> Block:
    """A bold line above a grey one."""
    return stacked([line(title, 26, bold=True, width=width), line(subtitle, color=GREY, width=width)], gap=6)


def color_bar(colors: str, scale: float | None = None) -> Block:
    """The colour map with its ends named, against and for, and with their relevance where all maps share a scale."""
    ramp = raster(np.repeat(colorize(np.linspace(-1, 1, 161), colors)[None], 12, axis=0))
    ends = ["against", "for"] if scale is None else [f"against \N{MINUS SIGN}{scale:.2g}", f"{scale:.2g} for"]
    left, right = (line(words, 14, color=GREY) for words in ends)
    return beside([left, framed(ramp), right], gap=10, centered=True)


def page(blocks: Sequence[Block], colors: str, scale: float | None = None, gap: int = GAP) -> Block:
    """Blocks below each other inside a wide margin, the colour bar at the lower right."""
    body = stacked(blocks, gap)
    bar = color_bar(colors, scale)
    width = max(body.width, bar.width)
    foot = pile([(width - bar.width, 0, bar)], width, bar.height)
    return inside(stacked([body, foot], gap), MARGIN)
