"""A sample of three axes: slices along the first of them, in a row."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrpfast.view.blocks import Block, beside, framed
from lrpfast.view.heatmap import Values, summed
from lrpfast.view.maps import enlarged, grey, heat
from lrpfast.view.page import captioned

#: Width in pixels that a row of slices has, about, and the least and the most slices in it.
WIDTH = 896
FEWEST, MOST = 3, 8

GAP = 6


class SliceView:
    """Relevance as heatmaps of evenly spaced slices, on one scale."""

    wide: ClassVar[bool] = True

    def __init__(self, relevance: npt.ArrayLike, sample: npt.ArrayLike, channel_axis: int | None) -> None:
        self.values = summed(relevance, channel_axis)
        self.sample = grey(sample, channel_axis)
        depth, _, width = self.values.shape
        count = min(depth, max(FEWEST, min(MOST, WIDTH // (width + GAP))))
        self.chosen = np.unique(np.rint(np.linspace(0, depth - 1, count)).astype(int))
        self.side = (WIDTH - (count - 1) * GAP) // count - 2

    def input(self, size: int) -> Block:
        """The slices of the input in grey."""
        return beside([framed(enlarged(self.sample[place], self.side)) for place in self.chosen], GAP)

    def relevance(self, normalised: Values, colors: str, size: int, overlay: bool) -> Block:
        """The slices of the relevance, or with `overlay` of the relevance over the input."""
        maps = [heat(normalised[place], colors, self.sample[place] if overlay else None) for place in self.chosen]
        panels = [framed(enlarged(pixels, self.side)) for pixels in maps]
        numbers = [f"slice {place}" for place in self.chosen]
        return beside([captioned(*named, 12) for named in zip(panels, numbers, strict=True)], GAP)
