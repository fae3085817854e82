"""A sample of two axes: the heatmap, beside its input or over it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lrpfast.view.blocks import Block, framed, raster
from lrpfast.view.heatmap import Pixels, Values, colorize, stretched, summed, tinted


class HeatmapView:
    """Relevance as coloured squares."""

    wide: ClassVar[bool] = False

    def __init__(self, relevance: npt.ArrayLike, sample: npt.ArrayLike, channel_axis: int | None) -> None:
        self.values = summed(relevance, channel_axis)
        self.sample = grey(sample, channel_axis)

    def input(self, size: int) -> Block:
        """The input in grey."""
        return framed(enlarged(self.sample, size))

    def relevance(self, normalised: Values, colors: str, size: int, overlay: bool) -> Block:
        """The heatmap; with `overlay` drawn over the input."""
        return framed(enlarged(heat(normalised, colors, self.sample if overlay else None), size))


def enlarged(pixels: Pixels, size: int) -> Block:
    """A picture enlarged by a whole factor, so that its longer side is about `size`; every pixel is a crisp square."""
    return raster(pixels, max(1, round(size / max(pixels.shape[:2]))))


def grey(sample: npt.ArrayLike, channel_axis: int | None) -> Pixels:
    """An input of a model in grey: the mean of its channels, from lowest to highest value."""
    values = np.asarray(sample, dtype=np.float64)
    levels: Pixels = np.rint(
        stretched(values if channel_axis is None else values.mean(axis=channel_axis)) * 255
    ).astype(np.uint8)
    return levels


def heat(normalised: Values, colors: str, under: Pixels | None = None) -> Pixels:
    """Relevance as colours; where a picture is given, over that, in its size.

    The picture is pale and grey; relevance covers it, the stronger the more opaque.

    Parameters
    ----------
    normalised : ndarray
        Relevance per place from -1 to 1, shape (H, W).
    colors : str
        Colour map.
    under : ndarray of uint8, optional
        A picture of shape (kH, kW) or (kH, kW, 3), for a whole number k.
    """
    if under is None:
        return colorize(normalised, colors)
    factor = under.shape[0] // normalised.shape[0]
    values = normalised.repeat(factor, axis=0).repeat(factor, axis=1)
    luminance = under @ np.array([0.299, 0.587, 0.114]) if under.ndim == 3 else under.astype(np.float64)
    return tinted(luminance[..., None] * 0.6 + 255 * 0.4, values, colors)
