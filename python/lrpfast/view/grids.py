"""Many explanations in one picture: samples below each other, presets and classes beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.view.blocks import Block, table
from lrpfast.view.heatmap import PERCENTILE, Values, full_scale, normalise
from lrpfast.view.maps import HeatmapView
from lrpfast.view.page import captioned, page
from lrpfast.view.slices import SliceView
from lrpfast.view.text import line
from lrpfast.view.tokens import TokenView
from lrpfast.view.traces import TraceView

#: Sides of a picture's panels, about: where a row has fewer maps than `FEW`, and where it has more.
LARGE, SMALL, FEW = 448, 224, 3


@dataclass(frozen=True, eq=False)
class Explained:
    """One sample with its relevance, to be drawn with a caption."""

    relevance: npt.NDArray[np.floating[Any]]
    sample: npt.NDArray[Any]
    channel_axis: int | None
    caption: str = ""
    words: Sequence[str] | None = None


class View(Protocol):
    """How one kind of sample is drawn."""

    values: Values
    """What is coloured: relevance per place."""

    @property
    def wide(self) -> bool:
        """It fills a row of its own."""

    def input(self, size: int) -> Block | None:
        """The sample, None where the relevance shows it."""

    def relevance(self, normalised: Values, colors: str, size: int, overlay: bool) -> Block:
        """The `values`, from -1 to 1, in colours."""


def view_of(explained: Explained) -> View:
    """What fits the shape of the sample: words if given, a trace, a heatmap, or slices."""
    relevance, sample, channel_axis = explained.relevance, explained.sample, explained.channel_axis
    if explained.words is not None:
        return TokenView(relevance, channel_axis, explained.words)
    extents = [extent for axis, extent in enumerate(relevance.shape) if axis != channel_axis]
    if len(extents) < 2 or (len(extents) == 2 and extents[0] == 1 < extents[1]):
        return TraceView(relevance, sample, channel_axis)
    if len(extents) == 2:
        return HeatmapView(relevance, sample, channel_axis)
    if len(extents) == 3:
        return SliceView(relevance, sample, channel_axis)
    raise InputError(
        f"Relevance of shape {relevance.shape} has {len(extents)} axes besides the channels; a picture shows at most "
        f"3. Sum or select along the others first."
    )


def grid(
    rows: Sequence[Sequence[Explained]],
    *,
    names: Sequence[str],
    headers: Sequence[str] = (),
    note: str = "",
    overlay: bool = False,
    colors: str = "seismic",
    scale: float | None = None,
    shared: bool = False,
    percentile: float = PERCENTILE,
) -> Block:
    """A page of explanations.

    Parameters
    ----------
    rows : sequence of sequences of Explained
        A row a sample.
    names : sequence of str
        What each sample is called; nothing if there is but one.
    headers : sequence of str
        What each column is called, if anything.
    note : str
        A line above all.
    overlay : bool
        Draw relevance over the inputs.
    colors, percentile
        As in `Attribution.heatmap`.
    scale : float, optional
        Relevance that gets the full colour; None: each map has its own, or with `shared` all have the same.
    shared : bool
        Measure one scale for all maps.
    """
    if not rows or not rows[0]:
        raise InputError("There are no explanations to draw.")
    views = [[view_of(explained) for explained in row] for row in rows]
    maps = [view.values for row in views for view in row]
    if scale is None and (shared or len(maps) == 1):
        scale = full_scale(np.concatenate([values.ravel() for values in maps]), percentile)
    wide = any(view.wide for row in views for view in row)
    size, font = (LARGE, 15) if wide or len(views[0]) < FEW else (SMALL, 13)

    def drawn(view: View, caption: str) -> Block:
        normalised = normalise(view.values, scale, percentile)
        return captioned(view.relevance(normalised, colors, size, overlay), caption, font)

    lines = [line(note)] if note else []
    if not wide:
        cells = [[line(header, font, width=size) for header in ("input", *headers)]] if headers else []
        for name, row, shown in zip(names, rows, views, strict=True):
            panels = [drawn(view, explained.caption) for view, explained in zip(shown, row, strict=True)]
            cells.append([captioned(shown[0].input(size) or Block(1, 1), name or "input", font), *panels])
        return page([*lines, table(cells)], colors, scale)
    for name, row, shown in zip(names, rows, views, strict=True):
        above = shown[0].input(size)
        lines += [captioned(above, name or "input", font)] if above else []
        for header, view, explained in zip(headers or [""] * len(row), shown, row, strict=True):
            lines.append(drawn(view, " · ".join(filter(None, (name, header, explained.caption)))))
    return page(lines, colors, scale)
