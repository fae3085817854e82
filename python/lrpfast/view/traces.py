"""A sample of one axis: its values as a trace, coloured by relevance, over an axis of positions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from lrpfast.view.blocks import GREY, INK, PAPER, Block, Strokes, box, framed, pile, stacked
from lrpfast.view.heatmap import Values, colorize, stretched, summed, tinted
from lrpfast.view.text import line

#: Width of a trace, and the most places that it tells apart.
WIDTH = 896

#: Heights of a trace, alone and among others, and the space that it keeps from its frame, at the sides and above.
TALL, LOW = 176, 72
ASIDE, ABOVE = 4, 10

#: Positions a bin from which on a trace is too dense to see colours behind it, and its colour without relevance.
DENSE = 3
PALE = (170, 173, 178)

#: Channels that get a trace each, as the leads of an ECG; of more, one shows the mean and the summed relevance.
CHANNELS = 12


class TraceView:
    """Relevance as the colour of a trace.

    A signal of more positions than the trace is wide is drawn in bins: from the lowest to the highest value of a bin,
    in the colour of its mean relevance.
    """

    wide: ClassVar[bool] = True

    def __init__(self, relevance: npt.ArrayLike, sample: npt.ArrayLike, channel_axis: int | None) -> None:
        found, signal = (_channels_first(array, channel_axis) for array in (relevance, sample))
        if len(found) > CHANNELS:
            found, signal = found.sum(axis=0, keepdims=True), signal.mean(axis=0, keepdims=True)
        self.length = found.shape[1]
        step = max(1, -(-self.length // WIDTH))
        starts = np.arange(0, self.length, step)
        counts = np.diff(np.append(starts, self.length))
        self.values: Values = summed(np.add.reduceat(found, starts, axis=1) / counts if self.length else found)
        self.signal = signal
        self.step = step

    def input(self, size: int) -> None:
        """None: the trace shows it."""

    def relevance(self, normalised: Values, colors: str, size: int, overlay: bool) -> Block:
        """The traces of all channels below each other, and the axis."""
        height = TALL if len(self.signal) == 1 else LOW
        traces = [self._trace(*channel, colors, height) for channel in zip(self.signal, normalised, strict=True)]
        return stacked([stacked(traces, gap=6), axis(self.length)], gap=0)

    def _trace(self, signal: Values, normalised: Values, colors: str, height: int) -> Block:
        """A thin line on a broad one in colours, on the colour of no relevance.

        Lines that are too dense to see what is behind them have the colours themselves, and are grey without relevance.
        """
        lines = _lines(signal, self.step)
        lines[..., 0] = _across(lines[..., 0], self.length)
        lines[..., 1] = height - ABOVE - lines[..., 1] * (height - 2 * ABOVE)
        order = np.argsort(np.abs(normalised), kind="stable")  # where neighbours overlap, the stronger is seen
        red, green, blue = colorize(0.0, colors).tolist()
        if self.step < DENSE:
            ink = INK if red + green + blue > 3 * 127 else PAPER
            broad = Strokes(lines[order], colorize(normalised[order], colors), 6.0)
            strokes = [broad, Strokes(lines.reshape(1, -1, 2), np.array([ink], np.uint8), 1.0)]
        else:
            strokes = [Strokes(lines[order], tinted(PALE, normalised[order], colors), 1.5)]
        ground = box(WIDTH, height, (red, green, blue))
        return framed(Block(WIDTH, height, (*ground.marks, *((0, 0, stroke) for stroke in strokes))))


def _channels_first(array: npt.ArrayLike, channel_axis: int | None) -> Values:
    values = np.asarray(array, dtype=np.float64)
    moved = values[None] if channel_axis is None else np.moveaxis(values, channel_axis, 0)
    return moved.reshape(len(moved), -1)


def _lines(signal: Values, step: int) -> Values:
    """For each bin of `step` positions a line through its first, lowest, highest and last value.

    It begins halfway to the bin before, and ends halfway to the next. Shape (bins, 6, 2); x is in positions, y
    from 0 to 1.
    """
    heights = stretched(signal)
    bins = -(-len(heights) // step)
    padded = np.append(heights, np.full(bins * step - len(heights), heights[-1])).reshape(bins, step)
    ends = np.broadcast_to([0, step - 1], (bins, 2))
    within = np.sort(np.column_stack([ends, padded.argmin(axis=1), padded.argmax(axis=1)]), axis=1)
    places = np.minimum(within + np.arange(bins)[:, None] * step, len(heights) - 1)
    points = np.stack([places + 0.5, heights[places]], axis=-1)
    halfway = (points[:-1, -1] + points[1:, 0]) / 2
    before = np.concatenate([[[0.0, heights[0]]], halfway])
    after = np.concatenate([halfway, [[len(heights), heights[-1]]]])
    return np.concatenate([before[:, None], points, after[:, None]], axis=1)


def _across(position: npt.ArrayLike, length: int) -> Values:
    """Pixels from the left of the trace: the middle of element i is at position i + 1/2."""
    return ASIDE + np.asarray(position, dtype=np.float64) * (WIDTH - 2 * ASIDE) / length


def axis(length: int) -> Block:
    """Ticks at round positions, each with its number, and the name of the axis."""
    ticks = np.asarray(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]).tick_values(0.0, max(length - 1.0, 1.0)))
    placed = []
    for tick in ticks[(ticks >= 0) & (ticks < length)]:
        place = 1 + int(_across(tick + 0.5, length))
        number = line(f"{tick:.0f}", 12, color=GREY)
        left = min(max(0, place - number.width // 2), WIDTH + 2 - number.width)
        placed += [(place, 0, box(1, 5, GREY)), (left, 7, number)]
    name = line("position", 12, color=GREY)
    placed.append(((WIDTH + 2 - name.width) // 2, 7 + name.height, name))
    return pile(placed, WIDTH + 2, 7 + 2 * name.height)
