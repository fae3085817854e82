"""From relevance to colours: pool the channels, scale about zero, look up a colour."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.view.extras import optional

Values: TypeAlias = npt.NDArray[np.floating[Any]]
Pixels: TypeAlias = npt.NDArray[np.uint8]

#: Share of the pixels, in per cent, whose relevance the colours tell apart.
PERCENTILE = 99.8

#: Entries of a colour table: odd, so that zero has an entry of its own.
ENTRIES = 257

#: Colour maps besides those of matplotlib, from strongly against to strongly for, evenly spaced.
OWN_MAPS = {
    "coldnhot": ("#ffffff", "#00ffff", "#0000ff", "#000000", "#ff0000", "#ffff00", "#ffffff"),
    "blueorange": ("#0a3f86", "#1f6fb8", "#6fb3e3", "#ffffff", "#f4ad61", "#d96c06", "#8a3b00"),
    "night": ("#a9deff", "#4da3f2", "#1d4f9e", "#121213", "#a3381a", "#f28a3c", "#ffd699"),
}


def pool(relevance: npt.ArrayLike, channel_axis: int | None = None) -> Values:
    """Sum the relevance of one sample over its channels.

    Parameters
    ----------
    relevance : array_like
        Relevance of one sample, without the batch axis.
    channel_axis : int, optional
        Axis of the channels; None if there is none.

    Returns
    -------
    ndarray
        Relevance per place, shape (H, W); a vector of length L becomes (1, L).

    Raises
    ------
    InputError
        More than two axes remain, or some value is not finite.
    """
    pooled = summed(relevance, channel_axis)
    if pooled.ndim > 2:
        raise InputError(
            f"Relevance of shape {np.shape(relevance)} has {pooled.ndim} axes besides the channels; a heatmap has "
            f"at most 2. Sum or select along the others first."
        )
    return np.atleast_2d(pooled)


def summed(relevance: npt.ArrayLike, channel_axis: int | None = None) -> Values:
    """Relevance of one sample, summed over its channels; InputError where some value is not finite."""
    values = np.asarray(relevance, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError("The relevance holds values that are not finite (NaN or infinity), which have no colour.")
    return values if channel_axis is None else np.asarray(values.sum(axis=channel_axis))


def full_scale(pooled: npt.ArrayLike, percentile: float = PERCENTILE) -> float:
    """Magnitude that gets the full colour.

    It is the given percentile of ``|R|``, not its maximum, so that a few extreme pixels do not leave the rest
    of the picture blank. In a map where so few pixels carry relevance that the percentile is zero, it is the
    maximum; for a map without relevance it is 1.

    Parameters
    ----------
    pooled : array_like
        Relevance after pooling.
    percentile : float
        Above 0, up to 100 for the maximum.
    """
    if not 0 < percentile <= 100:
        raise InputError(f"The percentile is a number above 0 and up to 100, not {percentile}.")
    magnitude = np.abs(np.asarray(pooled, dtype=np.float64))
    if not magnitude.size:
        raise InputError("The relevance is empty; there is nothing to draw.")
    return float(np.percentile(magnitude, percentile)) or float(magnitude.max()) or 1.0


def normalise(pooled: npt.ArrayLike, scale: float | None = None, percentile: float = PERCENTILE) -> Values:
    """Relevance divided by `scale` (None: by `full_scale`) and clipped to -1 ... 1; zero stays zero."""
    values = np.asarray(pooled, dtype=np.float64)
    if scale is None:
        scale = full_scale(values, percentile)
    elif not (np.isfinite(scale) and scale > 0):
        raise InputError(f"The scale is the relevance that gets the full colour, a number above 0, not {scale}.")
    return np.clip(values / scale, -1.0, 1.0)


def color_maps() -> list[str]:
    """Names of all colour maps."""
    import matplotlib

    return [*OWN_MAPS, *matplotlib.colormaps]


@lru_cache(maxsize=16)
def color_table(colors: str) -> Pixels:
    """The colours of a map, shape (257, 3), from strongly against to strongly for; the middle entry is zero.

    `colors` is "coldnhot" (black at zero), "night" (for dark pages), "blueorange" (told apart by colour-blind people),
    or any colour map of matplotlib, such as "seismic" or "bwr".
    """
    with optional("Colouring a heatmap"):
        import matplotlib
        from matplotlib.colors import Colormap, LinearSegmentedColormap
    table: Colormap
    if colors in OWN_MAPS:
        table = LinearSegmentedColormap.from_list(colors, list(OWN_MAPS[colors]), N=ENTRIES)
    elif colors in matplotlib.colormaps:
        table = matplotlib.colormaps[colors].resampled(ENTRIES)
    else:
        raise InputError(f"There is no colour map '{colors}'; use seismic, bwr, {', '.join(OWN_MAPS)} or matplotlib's.")
    entries: Pixels = np.array(table(np.arange(ENTRIES), bytes=True)[:, :3], np.uint8)
    entries.setflags(write=False)
    return entries


def colorize(normalised: npt.ArrayLike, colors: str = "seismic") -> Pixels:
    """Colours (..., 3) of values from -1 (against) to 1 (for)."""
    middle = ENTRIES // 2
    indices = np.rint(np.asarray(normalised) * middle).astype(np.intp) + middle
    colored: Pixels = color_table(colors)[indices]
    return colored


def tinted(under: npt.ArrayLike, normalised: Values, colors: str) -> Pixels:
    """Colours (..., 3) of relevance over others: the stronger the more opaque, and its weakest colours left out.

    Where a colour map is pale, opacity alone tells weak from strong.
    """
    opacity = np.abs(normalised)[..., None]
    strong = colorize((normalised + np.sign(normalised)) / 2, colors)
    mixed: Pixels = np.rint(np.asarray(under) * (1 - opacity) + strong * opacity).astype(np.uint8)
    return mixed


def stretched(values: npt.ArrayLike) -> Values:
    """Values from 0, for the lowest, to 1, for the highest; 0 for values that are not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return np.zeros(numbers.shape)
    low, high = numbers[finite].min(), numbers[finite].max()
    return np.asarray((np.where(finite, numbers, low) - low) / ((high - low) or 1.0))


def strip(pooled: Values) -> Values:
    """A single row made as tall as an eighth of its length (16 to 128 rows), other maps as they are."""
    if pooled.shape[0] != 1:
        return pooled
    return np.repeat(pooled, int(np.clip(pooled.shape[1] // 8, 16, 128)), axis=0)
