"""A sample of tokens: words shaded by their relevance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.view.blocks import INK, PAPER, Block, beside, box, pile, stacked
from lrpfast.view.heatmap import Values, colorize, summed
from lrpfast.view.text import line

#: Width in pixels at which lines of words are broken.
WIDTH = 896

SIZE = 18
PADDING = 5


class TokenView:
    """Relevance as the ground of words, in the order of the tokens."""

    wide: ClassVar[bool] = True

    def __init__(self, relevance: npt.ArrayLike, channel_axis: int | None, words: Sequence[str]) -> None:
        self.values: Values = np.atleast_1d(summed(relevance, channel_axis))
        if self.values.shape != (len(words),):
            raise InputError(
                f"There are {len(words)} words for relevance of shape {self.values.shape}; give one word a token."
            )
        self.words = words

    def input(self, size: int) -> None:
        """None: the words are the input."""

    def relevance(self, normalised: Values, colors: str, size: int, overlay: bool) -> Block:
        """The words in lines, as they are read."""
        rows: list[list[Block]] = [[]]
        free = WIDTH
        for word, shade in zip(self.words, colorize(normalised, colors), strict=True):
            block = _shaded(word, shade.tolist())
            if block.width > free and rows[-1]:
                rows.append([])
                free = WIDTH
            rows[-1].append(block)
            free -= block.width + PADDING
        return stacked([beside(row, PADDING) for row in rows], 2 * PADDING)


def _shaded(word: str, shade: Sequence[int]) -> Block:
    """A word on its shade, dark or light, whichever is read better; a word of blanks is an open box."""
    red, green, blue = shade
    ink = INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else PAPER
    words = line(word if word.strip() else "\N{OPEN BOX}", SIZE, color=ink, width=WIDTH - 2 * PADDING)
    width, height = words.width + 2 * PADDING, words.height + PADDING
    return pile([(0, 0, box(width, height, (red, green, blue))), (PADDING, PADDING // 2, words)], width, height)
