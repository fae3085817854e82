"""Samples of one axis: a trace of the input in the colours of its relevance, over an axis of positions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lrpfast.view.blocks import Box, Strokes, Words
from lrpfast.view.render import image
from lrpfast.view.traces import CHANNELS, TALL, WIDTH, TraceView, axis

RNG = np.random.default_rng(5)


def traced(relevance, signal=None, channel_axis=None, colors="bwr"):
    relevance = np.asarray(relevance, dtype=float)
    view = TraceView(relevance, np.zeros_like(relevance) if signal is None else signal, channel_axis)
    normalised = np.clip(view.values, -1, 1)
    return view, view.relevance(normalised, colors, 448, False)


def strokes(block):
    return [mark for _, _, mark in block.marks if isinstance(mark, Strokes)]


def test_trace_has_the_color_of_the_relevance_at_each_position():
    _, block = traced([1, 0, -1])
    drawn = np.asarray(image(block))
    for third, color in enumerate([(255, 0, 0), (255, 255, 255), (0, 0, 255)]):
        column = drawn[1 : TALL + 1, 1 + (2 * third + 1) * WIDTH // 6]
        assert (column == color).all(axis=-1).sum() >= 3


def test_thin_line_shows_the_input_where_relevance_is_zero():
    _, block = traced(np.zeros(50), RNG.normal(size=50))
    dark = (np.asarray(image(block))[1 : TALL + 1, 1:-1] < 190).all(axis=-1)
    assert dark[:, 10:-10].any(axis=0).all()


def test_ground_is_the_color_of_no_relevance():
    _, block = traced(np.zeros(5), colors="coldnhot")
    assert np.asarray(image(block))[3, 3].tolist() == [0, 0, 0]


def test_higher_values_are_drawn_higher():
    _, block = traced(np.ones(3), np.array([0.0, 1.0, 2.0]))
    middle = strokes(block)[0].lines[:, 2, 1]
    assert middle[0] > middle[1] > middle[2]


def test_trace_runs_through_all_values_from_side_to_side():
    signal = RNG.normal(size=30)
    _, block = traced(np.ones(30), signal)
    (line,) = strokes(block)[1].lines
    assert line[0, 0] < 10 and line[-1, 0] > WIDTH - 10
    assert (np.diff(line[:, 0]) >= 0).all()
    heights = (signal - signal.min()) / np.ptp(signal)
    found = line[2::6, 1]
    np.testing.assert_allclose((found.max() - found) / np.ptp(found), heights, atol=1e-9)


def test_strongest_positions_are_drawn_last():
    relevance = RNG.uniform(-1, 1, 40)
    _, block = traced(relevance)
    places = strokes(block)[0].lines[:, 2, 0]
    order = np.rint((places - places.min()) / (np.ptp(places)) * 39).astype(int)
    assert (np.diff(np.abs(relevance[order])) >= 0).all()


@pytest.mark.parametrize("length", [WIDTH + 1, 5 * WIDTH, 20_011])
def test_long_signal_is_drawn_in_bins_with_their_mean_relevance(length):
    relevance = RNG.normal(size=length)
    view, block = traced(relevance, relevance)
    step = -(-length // WIDTH)
    assert view.values.shape == (1, -(-length // step))
    assert view.values[0, 0] == pytest.approx(relevance[:step].mean())
    assert view.values[0, -1] == pytest.approx(relevance[(view.values.size - 1) * step :].mean())
    heights = strokes(block)[0].lines[..., 1]
    assert (heights.min(), heights.max()) == (pytest.approx(10), pytest.approx(TALL - 10))


def test_dense_trace_is_grey_where_relevance_is_zero():
    _, block = traced(np.zeros(5000), RNG.normal(size=5000))
    assert np.ptp(strokes(block)[0].colors, axis=0).tolist() == [0, 0, 0]
    assert (strokes(block)[0].colors < 200).all()


@pytest.mark.parametrize("channel_axis", [0, 1])
def test_each_channel_has_a_trace_of_its_own(channel_axis):
    relevance = np.moveaxis(RNG.normal(size=(3, 20)), 0, channel_axis)
    view, block = traced(relevance, channel_axis=channel_axis)
    np.testing.assert_array_equal(view.values, np.moveaxis(relevance, channel_axis, 0))
    assert len(strokes(block)) == 6


def test_many_channels_are_pooled():
    relevance = RNG.normal(size=(CHANNELS + 1, 20))
    view, _ = traced(relevance, channel_axis=0)
    np.testing.assert_allclose(view.values, relevance.sum(axis=0, keepdims=True))


@pytest.mark.parametrize("signal", [[3.0], [np.nan], [2.0, 2.0], [np.inf, 1.0, -np.inf]])
def test_flat_and_broken_inputs_are_drawn(signal):
    _, block = traced(np.ones(len(signal)), np.array(signal))
    assert image(block).width == WIDTH + 2


@pytest.mark.parametrize("length", [1, 2, 7, 1024, 48_000])
def test_numbers_of_the_axis_are_round_and_do_not_overlap(length):
    block = axis(length)
    numbers = [(left, mark.text) for left, _, mark in block.marks if isinstance(mark, Words)]
    *ticks, (_, name) = numbers
    assert name == "position"
    assert ticks[0][1] == "0"
    assert all(int(text) < length for _, text in ticks)
    assert all(right - left > 40 for (left, _), (right, _) in pairwise(ticks))
    assert sum(isinstance(mark, Box) for *_, mark in block.marks) == len(ticks)
    assert all(0 <= left < block.width for left, _ in ticks)
