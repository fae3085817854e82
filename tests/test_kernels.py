"""The compiled core: what it refuses, what it computes, and the same numbers from every instruction set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import _native as core

Array = npt.NDArray[np.floating]
Size3 = tuple[int, int, int]
Method: TypeAlias = Literal["direct", "winograd", "skip"]

THREADS = 2
ONES: Size3 = (1, 1, 1)
NONE: Size3 = (0, 0, 0)
LARGEST = 2**31 - 1
IDENTITY = core.FunctionParameters(core.Function.identity, 0, 0, 0, 0)


def window(kernel: Size3 = ONES, strides: Size3 = ONES, dilations: Size3 = ONES, before: Size3 = NONE) -> core.Window:
    return core.Window(kernel, strides, dilations, before)


def empty(
    samples: int = 1, channels: int = 16, size: Size3 = (1, 4, 4), before: Size3 = NONE, after: Size3 = NONE
) -> core.Tensor:
    """A tensor full of 7, so that what a step leaves out shows.

    It has a pool of its own: a step finds what it held until the step is gone, since nothing else takes that memory.
    """
    tensor = core.Tensor(core.Pool(), samples, channels, size, before, after)
    core.fill(tensor, 7).run(THREADS)
    return tensor


def loaded(values: Array, before: Size3 = NONE, after: Size3 = NONE) -> core.Tensor:
    tensor = empty(*values.shape[:2], values.shape[2:], before, after)
    tensor.load(values.astype(np.float32, copy=False), THREADS)
    return tensor


def stored(target: core.Tensor, bias: npt.NDArray[np.float32] | None = None) -> core.Activation:
    """Values go to `target` as they are."""
    return core.Activation(target.samples, target.channels, target.size, IDENTITY, bias, y=target)


def sums(x: core.Tensor) -> npt.NDArray[np.float64]:
    figures = core.Sum(x)
    figures.step().run(THREADS)
    return figures.read()[:, 0]


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def packed(outputs: int = 16, inputs: int = 16, taps: int = 9, adjoint: bool = False) -> core.PackedWeights:
    return core.PackedWeights(numbers(outputs, inputs, taps), 1, adjoint)


# What is refused

THREE = window((1, 3, 3))
LANES = np.ones(16, np.float32)
PAD: tuple[Size3, Size3] = ((0, 1, 1), (0, 1, 1))
SAME = window((1, 3, 3), before=PAD[0])


def convolve(
    source: core.Tensor,
    target: core.Tensor,
    window: core.Window = THREE,
    weights: core.PackedWeights | None = None,
) -> None:
    core.convolve(weights or packed(), window, source, stored(target)).run(THREADS)


def winograd(
    source: core.Tensor,
    target: core.Tensor,
    before: tuple[int, int] = (1, 1),
    weights: core.WinogradWeights | None = None,
) -> None:
    weights = weights or core.WinogradWeights(numbers(target.channels, source.channels, 9), False)
    core.winograd(weights, before, source, stored(target)).run(THREADS)


def skip(
    source: core.Tensor, target: core.Tensor, window: core.Window = THREE, taps: int = 9, adjoint: bool = False
) -> core.BatchStep:
    weights = core.SkipWeights(numbers(16, 16, taps), adjoint)
    return core.skip(weights, window, source, stored(target))


def batch(samples: int) -> core.BatchStep:
    return skip(empty(samples), small(samples=samples))


def small(channels: int = 16, samples: int = 1) -> core.Tensor:
    """Where the windows of `THREE` on a map of 4 x 4 go."""
    return empty(samples, channels, (1, 2, 2))


def max_pool(kernel: core.Window) -> None:
    core.max_pool(kernel, empty(), empty(), empty())


def in_place(step: Callable[[core.Tensor], object]) -> None:
    step(empty(size=(1, 4, 4)))


REFUSED: dict[str, tuple[str, Callable[[], object]]] = {
    "convolve: channels of the source": ("from 16 to 16 channels", lambda: convolve(empty(channels=3), small())),
    "convolve: channels of the target": ("from 16 to 16 channels", lambda: convolve(empty(), small(17))),
    "convolve: samples": ("convolve", lambda: convolve(empty(2), small())),
    "convolve: taps": ("convolve", lambda: convolve(empty(), small(), window((1, 2, 3)))),
    "convolve: no halo": ("halo", lambda: convolve(empty(), small(), window((1, 3, 3), before=(0, 0, 1)))),
    "convolve: narrow halo": (
        "halo",
        lambda: convolve(empty(before=(0, 1, 1), after=(0, 1, 1)), small(), window((1, 3, 3), dilations=(1, 4, 1))),
    ),
    "convolve: windows past the end": ("halo", lambda: convolve(empty(), empty())),
    "convolve: cropped too far": ("halo", lambda: convolve(empty(), small(), window((1, 3, 3), before=(0, 0, -1)))),
    "convolve: adjoint without halo": ("halo", lambda: convolve(small(), empty(), weights=packed(adjoint=True))),
    "convolve: distant windows": ("far", lambda: convolve(empty(), small(), window((1, 3, 3), (1, 1, LARGEST)))),
    "convolve: distant taps": ("far", lambda: convolve(empty(), small(), window((1, 3, 3), ONES, (1, 1, LARGEST)))),
    "convolve: distant start": (
        "far",
        lambda: convolve(empty(), small(), window((1, 3, 3), before=(0, 0, -LARGEST))),
    ),
    "window: no kernel": ("1 or more", lambda: window((1, 0, 1))),
    "window: no stride": ("1 or more", lambda: window(ONES, (1, 1, -1))),
    "window: no dilation": ("1 or more", lambda: window(ONES, ONES, (0, 1, 1))),
    "winograd: channels of the source": (
        "from 16 to 16 channels, but maps with 3 and 16",
        lambda: winograd(empty(channels=3), empty(), weights=core.WinogradWeights(numbers(16, 16, 9), False)),
    ),
    "winograd: channels of the target": (
        "from 3 to 5 channels, but maps with 5 and 3",
        lambda: winograd(empty(channels=5), empty(channels=3), weights=core.WinogradWeights(numbers(5, 3, 9), False)),
    ),
    "winograd: samples": ("winograd", lambda: winograd(empty(2), empty(3))),
    "winograd: planes": ("does not give", lambda: winograd(empty(size=(2, 4, 4)), empty(size=(2, 4, 4)))),
    "winograd: too many rows": ("4 x 4 does not give one of 6 x 4", lambda: winograd(empty(), empty(size=(1, 6, 4)))),
    "winograd: too many columns": ("does not give one of 4 x 6", lambda: winograd(empty(), empty(size=(1, 4, 6)))),
    "winograd: cropped": ("after 1 and -1 zeros", lambda: winograd(empty(), small(), (1, -1))),
    "winograd: wide padding": ("after 3 and 1 zeros", lambda: winograd(empty(), empty(), (3, 1))),
    "winograd weights: kernel": ("inputs, 9", lambda: core.WinogradWeights(numbers(4, 4, 4), False)),
    "winograd weights: two axes": ("inputs, 9", lambda: core.WinogradWeights(numbers(4, 9), False)),
    "winograd weights: none": ("without channels", lambda: core.WinogradWeights(numbers(0, 4, 9), False)),
    "skip: channels of the source": (
        "from 16 to 16 channels, but maps with 3",
        lambda: skip(empty(channels=3), small()),
    ),
    "skip: channels of the target": (
        "from 16 to 16 channels, but maps with 16 and 17",
        lambda: skip(empty(), small(17)),
    ),
    "skip: samples": ("skip", lambda: skip(empty(2), small())),
    "skip: more samples": ("skip", lambda: skip(empty(), small(samples=2))),
    "skip: 3x3 with weights of 1x1": ("such a window", lambda: skip(empty(), small(), taps=1)),
    "skip: 1x1 with weights of 3x3": ("such a window", lambda: skip(empty(), small(), window())),
    "skip: planes of the kernel": ("such a window", lambda: skip(empty(), small(), window((2, 3, 3)))),
    "skip: planes": ("such a window", lambda: skip(empty(size=(2, 4, 4)), empty(size=(2, 2, 2)))),
    "skip: strides of 3x3": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), (1, 2, 2)))),
    "skip: stride of one axis": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), (1, 1, 2)))),
    "skip: way back of strides": (
        "such a window",
        lambda: skip(small(), empty(), window(ONES, (1, 2, 2)), taps=1, adjoint=True),
    ),
    "skip: dilations": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), ONES, (1, 2, 1)))),
    "skip: zeros before 1x1": ("such a window", lambda: skip(empty(), empty(), window(before=(0, 0, 1)), 1)),
    "skip: wide padding": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), before=(0, 3, 1)))),
    "skip: cropped": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), before=(0, 0, -1)))),
    "skip: planes of zeros": ("such a window", lambda: skip(empty(), small(), window((1, 3, 3), before=(1, 1, 1)))),
    "skip: too many rows": ("4 x 4 does not give one of 5 x 4", lambda: skip(empty(), empty(size=(1, 5, 4)))),
    "skip: too many columns": ("4 x 4 does not give one of 4 x 5", lambda: skip(empty(), empty(size=(1, 4, 5)))),
    "skip: windows past the end": (
        "4 x 4 does not give one of 2 x 2",
        lambda: skip(empty(), small(), window(ONES, (1, 4, 4)), 1),
    ),
    "skip: distant windows": ("such a window", lambda: skip(empty(), small(), window(ONES, (1, 1, LARGEST)), 1)),
    "skip weights: kernel": ("neither 1 x 1 nor 3 x 3", lambda: core.SkipWeights(numbers(4, 4, 4), False)),
    "skip weights: no taps": ("neither 1 x 1 nor 3 x 3", lambda: core.SkipWeights(numbers(4, 4, 0), False)),
    "skip weights: two axes": ("outputs, inputs, taps", lambda: core.SkipWeights(numbers(4, 9), False)),
    "skip weights: no outputs": ("without channels", lambda: core.SkipWeights(numbers(0, 4, 9), False)),
    "skip weights: no inputs": ("without channels", lambda: core.SkipWeights(numbers(4, 0, 1), True)),
    "sparse_or: samples of the first": ("samples", lambda: core.sparse_or(batch(1), batch(2), empty(2), 0.5)),
    "sparse_or: samples of the second": ("samples", lambda: core.sparse_or(batch(2), batch(1), empty(2), 0.5)),
    "sparse_or: samples of the source": ("samples", lambda: core.sparse_or(batch(2), batch(2), empty(), 0.5)),
    "weights: two axes": ("outputs, inputs of a group, taps", lambda: core.PackedWeights(numbers(4, 4), 1, False)),
    "weights: none": ("channels", lambda: core.PackedWeights(numbers(4, 0, 9), 1, False)),
    "weights: groups": ("groups", lambda: core.PackedWeights(numbers(4, 1, 9), 3, False)),
    "load: rank": ("5 axes", lambda: empty().load(numbers(1, 16, 4, 4), THREADS)),
    "load: size": ("axis 1 has size 15, not 16", lambda: empty().load(numbers(1, 15, 1, 4, 4), THREADS)),
    "places: onto itself": (
        "both source and target",
        lambda: core.gather([tensor := empty()], np.zeros(256, np.int64), 0, tensor),
    ),
    "scatter: first place": ("first place", lambda: core.scatter(empty(), np.zeros(256, np.int64), -1, empty())),
    "elementwise: channels": ("fit", lambda: core.add(empty(), empty(channels=15), empty())),
    "elementwise: size": ("fit", lambda: core.add(empty(), small(), empty())),
    "elementwise: samples": ("fit", lambda: core.part(1, 0, empty(2), empty(3))),
    "elementwise: fewer results": ("fit", lambda: core.part(1, 0, empty(2), empty())),
    "sum: of nothing": ("nothing", lambda: core.take_up([], stored(empty()))),
    "sum: size": ("a tensor", lambda: core.take_up([empty(), small()], stored(empty()))),
    "sum of channels: result": ("one channel", lambda: core.sum_channels(empty(), empty(channels=2))),
    "sum of channels: samples": ("one channel", lambda: core.sum_channels(empty(2), empty(1, 1))),
    "sum of channels: size": ("one channel", lambda: core.sum_channels(empty(), small(1))),
    "gather: samples": ("samples", lambda: core.gather([empty(2)], np.arange(256), 0, empty())),
    "gather: too few places": ("255 elements, not", lambda: core.gather([empty()], np.arange(255), 0, empty())),
    "gather: missing place": ("not there", lambda: core.gather([empty(channels=15)], np.arange(256), 0, empty())),
    "scatter: samples": ("samples", lambda: core.scatter(empty(2), np.arange(256), 0, empty())),
    "scatter: too many places": ("257 elements, not", lambda: core.scatter(empty(), np.arange(257), 0, empty())),
    "copy_channels: one tensor": ("one tensor", lambda: in_place(lambda x: core.copy_channels(x, 0, x, 8, 8))),
    "copy_channels: size": ("other sizes", lambda: core.copy_channels(empty(), 0, small(), 0, 16)),
    "copy_channels: samples": ("other sizes", lambda: core.copy_channels(empty(2), 0, empty(), 0, 16)),
    "max_pool: channels": ("fit", lambda: core.max_pool(THREE, empty(), small(3), small(3))),
    "max_pool: winners": ("size", lambda: core.max_pool(THREE, empty(), small(), empty())),
    "max_pool: one tensor": ("one tensor", lambda: in_place(lambda x: core.max_pool(window(), x, x, empty()))),
    "max_pool: winners in place": ("one tensor", lambda: in_place(lambda y: core.max_pool(window(), empty(), y, y))),
    "max_pool: beside the map": ("window 2 on axis 2", lambda: max_pool(window(ONES, (1, 1, 2)))),
    "max_pool: before the map": ("window 0 on axis 1", lambda: max_pool(window((1, 2, 1), before=(0, 2, 0)))),
    "max_pool: around the map": ("window 0 on axis 2", lambda: max_pool(window((1, 1, 2), ONES, (1, 1, 9), (0, 0, 4)))),
    "max_unpool: winners": ("winners", lambda: core.max_unpool(THREE, small(), small(3), empty())),
    "max_unpool: samples": ("winners", lambda: core.max_unpool(THREE, small(16, 3), small(16, 2), empty(3))),
    "sum_pool: factors": ("3 factors for 4 windows", lambda: core.sum_pool(THREE, empty(), LANES[:3], small())),
    "sum_pool: samples": ("fit", lambda: core.sum_pool(THREE, empty(2), LANES[:4], small())),
    "sum_unpool: factors": ("16 factors", lambda: core.sum_unpool(THREE, small(), LANES, empty())),
    "sum_unpool: distant taps": (
        "far",
        lambda: core.sum_unpool(window(ONES, ONES, (1, 1, LARGEST)), small(), LANES[:4], empty()),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operands_that_do_not_fit_are_refused(name: str):
    message, step = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        step()


def test_nothing_is_no_operand() -> None:
    for call in (
        lambda: core.convolve(None, window(), empty(), stored(empty())),  # type: ignore[arg-type]
        lambda: core.take_up([empty()], None),  # type: ignore[arg-type]
        lambda: core.Program().enter(None),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            call()


#: what must not be one tensor, as a step on `x` and on a view of all its channels
SHARED_MEMORY: dict[str, Callable[[core.Tensor, core.Tensor], object]] = {
    "convolve": lambda x, view: core.convolve(packed(taps=1), window(), x, stored(view)),
    "winograd": lambda x, view: core.winograd(core.WinogradWeights(numbers(16, 16, 9), False), (1, 1), x, stored(view)),
    "skip": lambda x, view: core.skip(core.SkipWeights(numbers(16, 16, 1), False), window(), x, stored(view)),
    "skip, way back": lambda x, view: core.skip(core.SkipWeights(numbers(16, 16, 9), True), SAME, x, stored(view)),
    "max_pool": lambda x, view: core.max_pool(window(), x, view, empty()),
    "max_pool: winners": lambda x, view: core.max_pool(window(), empty(), x, view),
    "activation: winners": lambda x, view: core.Activation(1, 16, x.size, IDENTITY, pool=(window(), x, view, 0.0)),
    "copy_channels": lambda x, view: core.copy_channels(x, 0, view, 8, 8),
}


@pytest.mark.parametrize("name", SHARED_MEMORY)
def test_operands_that_must_not_share_memory_are_refused_if_they_do(name: str):
    x = empty()
    with pytest.raises(ValueError, match="one tensor"):
        SHARED_MEMORY[name](x, x.channels_from(0, 16))


@pytest.mark.parametrize(
    "sizes",
    [
        (0, 1, ONES),
        (1, 0, ONES),
        (-1, 1, ONES),
        (1, 1, (1, 0, 1)),
        (1, 1, (1, 1, -5)),
        (1, 1, ONES, (0, 0, -1)),
        (1, 1, ONES, NONE, (0, -1, 0)),
        (1, LARGEST, ONES),
        (10**6, 10**6, (1, 10, 10)),
        (1, 1, (1, 1, LARGEST), (0, 0, 1)),
        (1, 16, (1, 1, 2), (0, 0, LARGEST), (0, 0, LARGEST)),  # as 32-bit integers these add up to 0
    ],
)
def test_a_tensor_of_an_impossible_size_is_refused(sizes: tuple[object, ...]):
    with pytest.raises(ValueError, match="impossible size"):
        core.Tensor(core.Pool(), *sizes)


@pytest.mark.parametrize("place", [(-16, 16), (8, 8), (1, 1), (0, 0), (0, -1), (0, 41), (32, 9), (48, 1), (LARGEST, 1)])
def test_channels_that_are_not_there_or_begin_within_a_block_cannot_be_seen(place: tuple[int, int]):
    with pytest.raises(ValueError, match="channels that are not there, or begin within a block"):
        empty(channels=40).channels_from(*place)


@pytest.mark.parametrize("channels", [(-1, 0, 4), (0, -1, 4), (0, 0, 0), (0, 0, -4), (13, 0, 4), (0, 17, 4)])
@pytest.mark.parametrize("far", [0, LARGEST])
def test_channels_that_are_not_there_cannot_be_copied(channels: Size3, far: int):
    source, target, count = channels
    with pytest.raises(ValueError, match="channels that are not there"):
        core.copy_channels(empty(channels=16), source or far, empty(channels=20), target, count).run(THREADS)


def test_an_unknown_instruction_set_is_named_beside_those_that_are_there():
    done = run_with_isa("sse9000", "direct")
    assert done.returncode != 0
    assert "LRPFAST_ISA is 'sse9000'" in done.stderr
    assert ", ".join(core.available_isas()) in done.stderr


# What is computed

LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda x: x,
    "channels last": lambda x: np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, 4, 1, 2, 3),
    "transposed": lambda x: np.asfortranarray(x),
    "every other element": lambda x: np.repeat(x, 2, axis=4)[..., ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1, ::-1],
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "not aligned": lambda x: np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape),
    "of records": lambda x: np.rec.fromarrays([x, x.astype(np.uint8)])["f0"],
}


@pytest.mark.parametrize("channels", [1, 15, 16, 33])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_loaded_comes_back(layout: str, channels: int):
    values = numbers(2, channels, 3, 4, 5)
    tensor = empty(2, channels, (3, 4, 5), before=(1, 0, 2), after=(0, 3, 1))
    tensor.load(LAYOUTS[layout](values), THREADS)
    np.testing.assert_array_equal(tensor.store(THREADS), values)


def test_one_value_can_fill_a_batch():
    tensor = empty(2, 5, (1, 3, 3))
    tensor.load(np.broadcast_to(np.float32(3), (2, 5, 1, 3, 3)), THREADS)
    assert (tensor.store(THREADS) == 3).all()


@pytest.mark.parametrize("count", [1, 7, 16, 17, 32])
def test_channels_are_copied_from_and_to_any_place(count: int):
    values = numbers(2, 50, 1, 1, 3)
    source = loaded(values)
    for start, place in product(range(0, 50 - count, 3), range(50 - count)):
        expected = np.full_like(values, 7)
        expected[:, place : place + count] = values[:, start : start + count]
        target = empty(2, 50, (1, 1, 3))
        core.copy_channels(source, start, target, place, count).run(THREADS)
        np.testing.assert_array_equal(target.store(THREADS), expected)


@pytest.mark.parametrize("parts", [(3, 4), (16, 1), (17, 16), (5, 32, 6)])
def test_a_concatenation_holds_nothing_behind_its_last_channel(parts: tuple[int, ...]):
    values = numbers(1, sum(parts), 1, 2, 3)
    target, start = empty(1, sum(parts), (1, 2, 3)), 0
    for count in parts:
        core.copy_channels(loaded(values[:, start : start + count]), 0, target, start, count).run(THREADS)
        start += count
    np.testing.assert_array_equal(target.store(THREADS), values)
    np.testing.assert_allclose(sums(target), values.sum(dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize("place", [(0, 16), (0, 40), (16, 16), (16, 24), (32, 8)])
def test_a_view_reads_and_writes_the_channels_of_the_whole(place: tuple[int, int]):
    first, count = place
    values, others = numbers(2, 40, 2, 3, 4), numbers(2, count, 2, 3, 4, seed=1)
    whole = loaded(values, (1, 0, 2), (0, 3, 1))
    view = whole.channels_from(first, count)
    assert (view.samples, view.channels, list(view.size)) == (2, count, [2, 3, 4])
    np.testing.assert_array_equal(view.store(THREADS), values[:, first : first + count])
    view.load(others, THREADS)
    values[:, first : first + count] = others
    np.testing.assert_array_equal(whole.store(THREADS), values)


def test_a_view_of_a_view_counts_from_the_first_channel_of_that_one():
    values = numbers(1, 64, 1, 2, 2)
    view = loaded(values).channels_from(16, 48).channels_from(16, 20)
    np.testing.assert_array_equal(view.store(THREADS), values[:, 32:52])


def test_a_view_keeps_the_memory_of_the_tensor():
    pool, values = core.Pool(), numbers(2, 32, 1, 5, 5)
    tensor = core.Tensor(pool, 2, 32, (1, 5, 5))
    tensor.load(values, THREADS)
    view = tensor.channels_from(16, 16)
    del tensor
    core.fill(core.Tensor(pool, 2, 32, (1, 5, 5)), 7).run(THREADS)
    np.testing.assert_array_equal(view.store(THREADS), values[:, 16:])


@pytest.mark.parametrize(("first", "second"), [((0, 32), (32, 16)), ((32, 16), (0, 32)), ((16, 16), (32, 16))])
def test_a_map_may_run_between_different_channels_of_one_tensor(first: tuple[int, int], second: tuple[int, int]):
    values, w = numbers(3, 48, 1, 5, 6), numbers(second[1], first[1], 1, seed=1)
    whole, alone = loaded(values), empty(3, second[1], (1, 5, 6))
    weights = core.PackedWeights(w, 1, False)
    convolve(whole.channels_from(*first), whole.channels_from(*second), window(), weights)
    convolve(loaded(values[:, first[0] : sum(first)]), alone, window(), weights)
    np.testing.assert_array_equal(whole.channels_from(*second).store(THREADS), alone.store(THREADS))


@pytest.mark.parametrize(("first", "second"), [((0, 32), (16, 32)), ((16, 32), (0, 32)), ((16, 16), (0, 48))])
def test_a_map_between_channels_that_overlap_is_refused(first: tuple[int, int], second: tuple[int, int]):
    whole, w = empty(3, 48), numbers(second[1], first[1], 1)
    with pytest.raises(ValueError, match="one tensor"):
        convolve(whole.channels_from(*first), whole.channels_from(*second), window(), core.PackedWeights(w, 1, False))


def test_maps_run_from_and_to_the_places_of_a_concatenation():
    values, w = numbers(2, 40, 1, 5, 6), numbers(16, 24, 9, seed=1)
    source, target = loaded(values, *PAD), empty(2, 48, (1, 5, 6))
    direct, fast = core.PackedWeights(w, 1, False), core.WinogradWeights(w, False)
    view = source.channels_from(16, 24)
    convolve(view, target.channels_from(0, 16), window((1, 3, 3), before=PAD[0]), direct)
    winograd(view, target.channels_from(32, 16), weights=fast)
    found, alone, other = target.store(THREADS), empty(2, 16, (1, 5, 6)), empty(2, 16, (1, 5, 6))
    convolve(loaded(values[:, 16:], *PAD), alone, window((1, 3, 3), before=PAD[0]), direct)
    winograd(loaded(values[:, 16:]), other, weights=fast)
    np.testing.assert_array_equal(found[:, :16], alone.store(THREADS))
    assert (found[:, 16:32] == 7).all()
    np.testing.assert_array_equal(found[:, 32:], other.store(THREADS))


@pytest.mark.parametrize("otherwise", [-3, 0])
@pytest.mark.parametrize("channels", [3, 16, 20])
def test_values_are_gathered_from_several_tensors(channels: int, otherwise: int):
    one, other = numbers(2, 20, 2, 3, 4, seed=1), numbers(2, 5, 1, 7, 3, seed=2)
    together = np.concatenate([one.reshape(2, -1), other.reshape(2, -1)], axis=1)
    places = np.random.default_rng(1).integers(-100, together.shape[1], (channels, 1, 5, 6))
    target = empty(2, channels, (1, 5, 6), *PAD)
    core.gather([loaded(one, *PAD), loaded(other)], places.reshape(-1), otherwise, target).run(THREADS)
    expected = np.where(places < 0, np.float32(otherwise), together[:, np.maximum(places, 0)])
    np.testing.assert_array_equal(target.store(THREADS), expected)
    np.testing.assert_allclose(sums(target), expected.sum(axis=(1, 2, 3, 4), dtype=np.float64), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("first", [0, 30])
def test_what_was_gathered_is_scattered_back(first: int):
    values = numbers(2, 20, 2, 3, 4)
    places = np.random.default_rng(1).integers(-10, 100, values[0].size)
    target = empty(2, 18, (1, 2, 2), *PAD)
    core.scatter(loaded(values, *PAD), places, first, target).run(THREADS)
    expected = np.zeros((2, 72))
    for sample, found in zip(values.reshape(2, -1), expected, strict=True):
        for value, place in zip(sample, places, strict=True):
            if first <= place < first + 72:
                found[place - first] += value
    np.testing.assert_allclose(target.store(THREADS).reshape(2, -1), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(sums(target), expected.sum(axis=1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("margin", "winner"), [(0.0, 3), (1e-6, 0), (1e-5, 0)])
def test_places_that_show_the_same_up_to_the_margin_are_ties(margin: float, winner: int) -> None:
    values = np.ones((1, 16, 1, 2, 2), np.float32)
    values[0, :8] += np.arange(4).reshape(1, 2, 2) * np.float32(2**-23)
    y, winners = empty(size=ONES), empty(size=ONES)
    core.max_pool(window((1, 2, 2)), loaded(values), y, winners, margin).run(THREADS)
    assert set(winners.store(THREADS).view(np.int32)[0, :8].ravel()) == {winner}
    np.testing.assert_array_equal(y.store(THREADS)[0].ravel(), values[0].max(axis=(1, 2, 3)))


def test_places_that_any_channel_tells_apart_are_no_ties() -> None:
    values = np.ones((1, 16, 1, 2, 2), np.float32)
    values[0, 0] += np.arange(4).reshape(1, 2, 2) * np.float32(2**-23)
    values[0, 1] = [[[1, 2], [0, 0]]]
    y, winners = empty(size=ONES), empty(size=ONES)
    core.max_pool(window((1, 2, 2)), loaded(values), y, winners, 1e-5).run(THREADS)
    assert winners.store(THREADS).view(np.int32)[0, :2].ravel().tolist() == [2, 1]


@pytest.mark.parametrize("margin", [0.0, 1e-5])
def test_places_that_show_the_same_share_the_relevance_of_ties(margin: float) -> None:
    values = numbers(1, 16, 1, 2, 2)
    values[..., 0, 0] = values[..., 1, 0] = values.max(axis=(-1, -2)) + 1
    values[..., 1, 0] *= np.float32(1 + 1e-6)
    out = empty(size=(1, 2, 2))
    x, r = loaded(values), loaded(np.full((1, 16, 1, 1, 1), 8, np.float32))
    core.share_pool(window((1, 2, 2)), x, r, core.PoolShare.ties, 0.0, margin, out).run(THREADS)
    expected = [4, 0, 4, 0] if margin else [0, 0, 8, 0]
    np.testing.assert_array_equal(out.store(THREADS).reshape(16, 4), [expected] * 16)


def test_winners_of_large_windows_are_settled_too() -> None:
    values = numbers(1, 16, 1, 9, 9)
    values[..., 8, 7] = values[..., 8, 8] = values.max(axis=(-1, -2)) + 1
    values[..., 8, 8] *= np.float32(1 + 1e-6)
    y, winners = empty(size=ONES), empty(size=ONES)
    core.max_pool(window((1, 9, 9)), loaded(values), y, winners, 1e-5).run(THREADS)
    assert set(winners.store(THREADS).view(np.int32).ravel()) == {8 * 9 + 7}


def test_nothing_below_zero_wins_over_a_positive_value_within_the_margin() -> None:
    values = np.zeros((1, 16, 1, 2, 2), np.float32)
    values[0, 0], values[0, 1] = [[[-1e-6, -4], [2e-6, 0]]], [[[-4, -1], [-1, -2]]]
    values[0, 2] = 5
    y, winners = empty(size=ONES), empty(size=ONES)
    core.max_pool(window((1, 2, 2)), loaded(values), y, winners, 1e-6).run(THREADS)
    assert winners.store(THREADS).view(np.int32)[0, :2].ravel().tolist() == [2, 1]


def pooled(values: Array, kernel: core.Window, size: Size3) -> tuple[Array, npt.NDArray[np.int32], core.Tensor]:
    """Largest values, winning taps as numbers, and the winners themselves."""
    y, winners = (empty(*values.shape[:2], size) for _ in range(2))
    core.max_pool(kernel, loaded(values), y, winners).run(THREADS)
    return y.store(THREADS), winners.store(THREADS).view(np.int32), winners


def test_the_first_of_several_equal_maxima_wins():
    values = np.zeros((1, 20, 1, 4, 4), np.float32)
    values[..., 1, 1] = values[..., 1, 0] = 5
    largest, winners, _ = pooled(values, window((1, 2, 2), (1, 2, 2)), (1, 2, 2))
    assert (largest[0, :, 0] == [[5, 0], [0, 0]]).all()
    assert (winners[0, :, 0] == [[2, 0], [0, 0]]).all()


def test_a_window_over_the_edge_sees_the_map_only():
    values = -np.ones((1, 3, 1, 3, 3), np.float32)
    largest, winners, _ = pooled(values, window((1, 3, 3), (1, 2, 2), before=(0, 1, 1)), (1, 2, 2))
    assert (largest == -1).all()
    assert (winners[0, :, 0] == [[4, 3], [1, 0]]).all()


def test_winners_of_overlapping_windows_receive_from_each():
    values = np.zeros((1, 20, 1, 3, 3), np.float32)
    values[..., 1, 1] = 1
    kernel = window((1, 2, 2))
    _, _, winners = pooled(values, kernel, (1, 2, 2))
    r, out = numbers(1, 20, 1, 2, 2), empty(1, 20, (1, 3, 3))
    core.max_unpool(kernel, loaded(r), winners, out).run(THREADS)
    handed = out.store(THREADS)
    np.testing.assert_allclose(handed[..., 1, 1], r.sum(axis=(3, 4)), rtol=1e-6, atol=1e-6)
    assert np.count_nonzero(handed) == 20


def test_the_winners_of_a_sample_serve_all_its_explanations():
    values, r = numbers(2, 5, 1, 4, 4), numbers(6, 5, 1, 2, 2, seed=1)
    kernel = window((1, 2, 2), (1, 2, 2))
    largest, _, winners = pooled(values, kernel, (1, 2, 2))
    out = empty(6, 5)
    core.max_unpool(kernel, loaded(r), winners, out).run(THREADS)
    won = (values == np.repeat(np.repeat(largest, 2, axis=3), 2, axis=4)).repeat(3, axis=0)
    np.testing.assert_array_equal(out.store(THREADS), np.where(won, r.repeat(2, axis=3).repeat(2, axis=4), 0))


def test_a_sum_over_a_window_beside_the_map_is_zero():
    y = empty()
    core.sum_pool(window(ONES, (1, 2, 2)), loaded(numbers(1, 16, 1, 4, 4)), np.ones(16, np.float32), y).run(THREADS)
    assert (y.store(THREADS)[..., 2:, 2:] == 0).all()


def test_elementwise_steps_may_work_in_place():
    values = numbers(2, 20, 1, 3, 3)
    x = loaded(values)
    core.add(x, x, x).run(THREADS)
    core.part(1, 0, x, x).run(THREADS)
    np.testing.assert_array_equal(x.store(THREADS), np.maximum(2 * values, 0))


def test_tensors_may_be_taken_up_and_added_up_in_place():
    values = numbers(2, 20, 1, 3, 3)
    x = loaded(values)
    core.take_up([x], stored(x, np.ones(32, np.float32))).run(THREADS)
    core.take_up([x, x, x], stored(x)).run(THREADS)
    np.testing.assert_allclose(x.store(THREADS), 3 * (values + 1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 40])
def test_channels_are_added_up_into_one(channels: int):
    values, total = numbers(2, channels, 2, 3, 70), empty(2, 1, (2, 3, 70))
    core.sum_channels(loaded(values, *PAD), total).run(THREADS)
    expected = values.sum(axis=1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(total.store(THREADS), expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(sums(total), expected.sum(axis=(1, 2, 3, 4)), rtol=1e-5, atol=1e-4)


# Memory, steps and programs


@pytest.mark.parametrize("huge_pages", [False, True])
def test_memory_that_was_given_back_is_taken_again(huge_pages: bool):
    pool = core.Pool(huge_pages)
    for _ in range(3):
        first, second = core.Tensor(pool, 1, 16, (1, 8, 8)), core.Tensor(pool, 1, 32, (1, 2, 2))
        del first, second
    held = pool.bytes
    tensors = [core.Tensor(pool, 1, 16, (1, 7, 8)), core.Tensor(pool, 1, 16, (1, 2, 2))]
    assert pool.bytes == held == 4 * 16 * (64 + 8)
    tensors.append(core.Tensor(pool, 1, 16, (1, 1, 1)))
    assert pool.bytes > held


@pytest.mark.parametrize("huge_pages", [False, True])
def test_tensors_of_any_size_have_memory_of_their_own(huge_pages: bool):
    pool, mebibyte = core.Pool(huge_pages), 2**20 // 64
    sizes = [1, mebibyte, 3, 7 * mebibyte, 8 * mebibyte, 7 * mebibyte, 7, *[6 * mebibyte] * 3, 20]
    tensors = [core.Tensor(pool, 1, 16, (1, 1, size)) for size in sizes]
    for number, tensor in enumerate(tensors):
        core.fill(tensor, number).run(THREADS)
    for number, tensor in enumerate(tensors):
        assert (tensor.store(THREADS) == number).all()
    assert pool.bytes == 64 * sum(sizes)


def test_a_tensor_knows_whether_it_has_a_halo():
    assert not empty().has_halo
    assert empty(after=(0, 0, 1)).has_halo


@pytest.mark.parametrize("channels", [(0, 40), (16, 24)])
def test_a_halo_that_others_have_used_can_be_cleared(channels: tuple[int, int]):
    pool, ones = core.Pool(), np.ones((2, 40, 2, 4, 5), np.float32)
    tensor = core.Tensor(pool, 2, 40, (2, 4, 5), (1, 0, 1), (0, 2, 1))
    tensor.load(ones, THREADS)
    view = tensor.channels_from(*channels)
    clear, total = core.clear_halo(view), core.sum_channels(view, around := empty(2, 1, (2, 4, 5)))
    del tensor, view
    whole = core.Tensor(pool, 2, 48, (3, 6, 7))  # all of the same memory
    whole.load(np.ones((2, 48, 3, 6, 7), np.float32), THREADS)
    clear.run(THREADS)
    total.run(THREADS)
    found, (first, _) = whole.store(THREADS), channels
    assert (around.store(THREADS) == 40 - first + 8).all()  # the lanes behind the last channel as well
    assert (found[:, :first] == 1).all()
    assert (found[:, first:, 1:, :4, 1:6] == 1).all()
    assert np.count_nonzero(found[:, first:]) == 2 * (48 - first) * 2 * 4 * 5


def test_a_step_looks_at_its_tensors_when_it_runs():
    x, y = empty(), empty()
    step = core.part(2, 2, x, y)
    for value in (1, 5):
        core.fill(x, value).run(THREADS)
        step.run(THREADS)
        assert (y.store(THREADS) == 2 * value).all()


def test_figures_are_those_of_the_last_run():
    x, r = empty(2), loaded(numbers(2, 16, 1, 4, 4))
    quotient, total = core.Quotient(2, r, empty(2), [(core.Gate.open, 1.0)], 0.1), core.Sum(x)
    steps = [core.take_up([x], quotient), total.step()]
    found = []
    for value in (3, 1, 3):
        core.fill(x, value).run(THREADS)
        for step in steps:
            step.run(THREADS)
        found.append(np.hstack([quotient.read(), total.read()]))
    np.testing.assert_array_equal(found[0], found[2])
    stabilizer, whole = 2, 4
    assert (found[0] != found[1])[:, [stabilizer, whole]].all()


def test_a_program_runs_its_steps_in_their_order_as_often_as_is_wanted():
    x, y, program = empty(3, 5), empty(3, 5), core.Program()
    for step in (core.fill(x, 2), core.add(x, x, y), core.part(3, 3, y, x)):
        program.add(step)
    assert len(program) == 3
    for _ in range(2):
        core.fill(x, -1).run(THREADS)
        program.run(THREADS)
        assert (x.store(THREADS) == 12).all()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_programs_run_side_by_side_whatever_the_number_of_threads(threads):
    maps, programs = [empty(3, 5) for _ in range(4)], [core.Program() for _ in range(4)]
    for number, (x, program) in enumerate(zip(maps, programs, strict=True)):
        for step in (core.fill(x, number), core.add(x, x, x)):
            program.add(step)
    core.run_side_by_side(programs, threads)
    assert [x.store(THREADS).max() for x in maps] == [0, 2, 4, 6]
    core.run_side_by_side([], threads)
    with pytest.raises(ValueError, match="one is None"):
        core.run_side_by_side([*programs, None], threads)


def test_a_timed_run_is_a_run_and_tells_the_seconds_of_each_step():
    x, program = empty(), core.Program()
    for count, value in enumerate((3, 5), start=1):
        program.add(core.fill(x, value))
        start = time.monotonic()
        seconds = program.timed_run(THREADS)
        elapsed = time.monotonic() - start
        assert len(seconds) == len(program) == count
        assert min(seconds) >= 0
        assert sum(seconds) <= elapsed
        assert (x.store(THREADS) == value).all()


def test_a_program_lines_up_the_figures_that_it_is_given():
    ones, program = np.ones((2, 5, 1, 4, 4)), core.Program()
    x, r = loaded(ones), loaded(7 * ones)
    contribution = core.Contribution(x, empty(2, 5), False)
    quotient = core.Quotient(2, r, empty(2, 5), [(core.Gate.open, 0.5)], 1, np.zeros(16, np.float32))
    for epilogue in (contribution, quotient):
        program.add(core.take_up([x], epilogue))
    assert [program.enter(figures) for figures in (contribution, quotient, contribution)] == [0, 1, 5]
    program.run(THREADS)
    np.testing.assert_array_equal(program.figures(THREADS), [[80, 560, 0, 140, 280, 80]] * 2)
    with pytest.raises(ValueError, match="another number of samples"):
        program.enter(core.Sum(empty(3)))


def test_an_empty_program_does_nothing():
    program = core.Program()
    program.run(THREADS)
    assert program.timed_run(THREADS) == []
    assert len(program) == program.figures(THREADS).size == 0


# The same numbers from every instruction set


@dataclass(frozen=True)
class Geometry:
    """A convolution of (samples, channels, *size) maps, with zeros before and after them."""

    outputs: int
    channels: int
    groups: int
    size: Size3
    kernel: Size3
    strides: Size3 = ONES
    dilations: Size3 = ONES
    before: Size3 = NONE
    after: Size3 = NONE
    samples: int = 2
    method: Method = "direct"
    density: float = 1  # the share of elements that are not zero

    @property
    def out(self) -> Size3:
        return tuple(
            (self.size[i] + self.before[i] + self.after[i] - self.dilations[i] * (self.kernel[i] - 1) - 1)
            // self.strides[i]
            + 1
            for i in range(3)
        )

    def met(self, tap: Size3) -> tuple[object, ...]:
        """What a tap meets of the padded map, one element per window."""
        start = [t * d for t, d in zip(tap, self.dilations, strict=True)]
        ends = [s + (n - 1) * k + 1 for s, n, k in zip(start, self.out, self.strides, strict=True)]
        return (..., *map(slice, start, ends, self.strides))

    @property
    def directions(self) -> tuple[bool, ...]:
        """Whether adjoint: both ways, but skip does not go back where there are strides."""
        return (False,) if self.method == "skip" and self.strides != ONES else (False, True)

    def halo(self, adjoint: bool) -> tuple[Size3, Size3]:
        """What the method reads around a map."""
        reach = tuple((k - 1) * d for k, d in zip(self.kernel, self.dilations, strict=True))
        if self.method != "direct":
            return NONE, NONE
        return (reach, reach) if adjoint else (self.before, self.after)

    def operands(self) -> tuple[Array, Array, Array]:
        """An input, the weights, and a map like the output."""
        return (
            thinned(numbers(self.samples, self.channels, *self.size), self.density),
            numbers(self.outputs, self.channels // self.groups, *self.kernel, seed=2),
            thinned(numbers(self.samples, self.outputs, *self.out, seed=1), self.density),
        )


def thinned(values: Array, density: float) -> Array:
    """With zeros of either sign for all but a share of the elements."""
    return values * (np.random.default_rng(3).random(values.shape) < density)


GEOMETRIES = {
    "3x3": Geometry(70, 35, 1, (1, 9, 7), (1, 3, 3), ONES, ONES, *PAD),
    "1x1": Geometry(16, 64, 1, (1, 5, 5), ONES),
    "stride": Geometry(20, 17, 1, (1, 9, 9), (1, 3, 3), (1, 2, 2), ONES, *PAD),
    "dilation, 3-D": Geometry(5, 3, 1, (4, 6, 6), (2, 3, 2), (1, 2, 1), (2, 1, 3), (1, 1, 2), (1, 1, 2)),
    "groups": Geometry(12, 6, 3, (1, 6, 6), (1, 3, 3), ONES, ONES, *PAD),
    "depthwise": Geometry(40, 40, 40, (1, 7, 7), (1, 3, 3), (1, 2, 1), ONES, *PAD),
}

#: rows and columns that are full tiles of 4, leave a rest, or are less than one
TILED = (*range(1, 14), 15, 30)
FEW_OR_MANY = (1, 3, 16, 17, 40)


def tiled(outputs: int, channels: int, *axes: tuple[int, int, int], samples: int = 2) -> Geometry:
    """3x3 at stride 1, for Winograd's algorithm; axes are size, zeros before and zeros after."""
    size, before, after = ((fill, *each) for fill, each in zip((1, 0, 0), zip(*axes, strict=True), strict=True))
    return Geometry(outputs, channels, 1, size, (1, 3, 3), ONES, ONES, before, after, samples, "winograd")


def nasty() -> dict[str, Geometry]:
    """Every size with every padding before it, on rows and on columns, beside varying other things."""
    found = {}
    for i, (size, before) in enumerate(product(TILED, range(3))):
        for j, other_before in enumerate(range(3)):
            number = 3 * i + j
            other, after, other_after = TILED[number * 4 % 15 - number // 15], number % 3, (i + number) % 3
            axes = (size, before, max(after, 3 - size - before)), (other, other_before, max(other_after, 3 - other))
            outputs, channels = FEW_OR_MANY[number % 5], FEW_OR_MANY[(number // 5 + i) % 5]
            for rows, columns in (axes, axes[::-1]):
                g = tiled(outputs, channels, rows, columns, samples=1 + i % 3)
                if max(*g.before, *g.after) <= 2:
                    found[str(g)] = g
    return found


#: weights that do not stay in the cache: these run point by point
LARGE_WEIGHTS = {
    "80 channels": tiled(80, 80, (13, 1, 1), (7, 1, 1)),
    "96 to 70 channels": tiled(70, 96, (5, 0, 2), (22, 2, 0), samples=3),
}

DENSITIES = 0.3, 0.05, 1, 0
MANY = (*FEW_OR_MANY, 64, 96, 112, 128, 130)


def nasty_to_skip() -> dict[str, Geometry]:
    """The same paddings, and kernels of one tap, beside varying densities; wide panels; weights beyond the cache."""
    found = [replace(g, method="skip", density=DENSITIES[i % 4]) for i, g in enumerate(nasty().values())]
    for i, (size, strides) in enumerate(product(TILED[:-1], (ONES, ONES, (1, 2, 2), (1, 1, 3)))):
        outputs, channels, other = MANY[i % 10], MANY[(3 * i + i // 10) % 10], TILED[5 * i % 14]
        point = Geometry(outputs, channels, 1, (1, size, other), ONES, strides, samples=1 + i % 3, method="skip")
        found.append(replace(point, density=DENSITIES[(i + i // 4) % 4]))
    for i, (outputs, channels) in enumerate(product(MANY[3:], MANY[5:])):
        many = tiled(outputs, channels, (4 + i % 3, 1, i % 3), (5 + i % 4, i % 2, 1), samples=1)
        found.append(replace(many, method="skip", density=DENSITIES[i % 3]))
    found.append(Geometry(430, 400, 1, (1, 6, 5), ONES, method="skip", density=0.3))
    return {str(g): g for g in found}


#: large enough for three threads, or so small that samples are computed together
SHARED = {
    "dense": Geometry(70, 35, 1, (1, 16, 15), (1, 3, 3), ONES, ONES, *PAD, samples=3),
    "strided": Geometry(40, 33, 1, (1, 31, 30), (1, 3, 3), (1, 2, 2), ONES, *PAD, samples=3),
    "groups": Geometry(24, 48, 3, (1, 30, 30), (1, 3, 3), ONES, ONES, *PAD, samples=3),
    "depthwise": Geometry(40, 40, 40, (1, 61, 48), (1, 3, 3), ONES, ONES, *PAD, samples=3),
    "pixels": Geometry(100, 200, 1, ONES, ONES, samples=7),
    "small maps": Geometry(80, 70, 1, (1, 3, 3), (1, 3, 3), ONES, ONES, *PAD, samples=7),
    "3-D": Geometry(40, 20, 1, (4, 7, 9), (3, 3, 3), ONES, ONES, ONES, ONES, samples=3),
    "winograd, by strips": tiled(40, 33, (22, 1, 1), (30, 1, 1), samples=3),
    "winograd, small maps": tiled(33, 40, (3, 1, 1), (5, 1, 1), samples=7),
    "winograd, point by point": tiled(96, 80, (14, 1, 1), (15, 1, 1), samples=3),
    "winograd, more points than the cache holds": tiled(16, 640, (121, 1, 1), (8, 1, 1), samples=3),
    "skip": replace(tiled(70, 40, (31, 1, 1), (30, 2, 0), samples=3), method="skip", density=0.3),
    "skip, weights beyond the cache": replace(
        tiled(130, 140, (9, 1, 1), (10, 1, 1), samples=3), method="skip", density=0.3
    ),
    "skip, one tap": Geometry(130, 130, 1, (1, 31, 30), ONES, samples=3, method="skip", density=0.3),
    "skip, strides": Geometry(130, 64, 1, (1, 61, 60), ONES, (1, 2, 2), samples=3, method="skip", density=0.3),
    "skip, small maps": replace(tiled(80, 70, (3, 1, 1), (3, 1, 1), samples=7), method="skip", density=0.3),
}


#: thousands of numbers of one sign, as z+ adds them up
LONG_SUMS = {
    "direct, one tap": Geometry(4096, 4096, 1, (1, 2, 2), ONES, samples=1),
    "direct, nine taps": Geometry(512, 512, 1, (1, 6, 6), (1, 3, 3), ONES, ONES, *PAD, samples=1),
    "skip, one tap": Geometry(4096, 4096, 1, (1, 2, 2), ONES, samples=1, method="skip"),
    "skip, nine taps": replace(tiled(512, 512, (6, 1, 1), (6, 1, 1), samples=1), method="skip"),
}


def oracle(g: Geometry, x: Array, w: Array, s: Array) -> tuple[Array, Array]:
    """The convolution of `x` and its adjoint of `s` in float64, tap by tap."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(g.before, g.after, strict=True)])
    padded = padded.reshape(g.samples, g.groups, -1, *padded.shape[2:])
    y, back = np.zeros((g.samples, g.groups, g.outputs // g.groups, *g.out)), np.zeros_like(padded)
    weight = w.astype(np.float64).reshape(g.groups, g.outputs // g.groups, -1, *g.kernel)
    for tap in product(*map(range, g.kernel)):
        y += np.einsum("goi,ngidhw->ngodhw", weight[(..., *tap)], padded[g.met(tap)])
        back[g.met(tap)] += np.einsum("goi,ngodhw->ngidhw", weight[(..., *tap)], s.astype(np.float64).reshape(y.shape))
    inner = tuple(slice(p, p + n) for n, p in zip(g.size, g.before, strict=True))
    return y.reshape(s.shape), back[(..., *inner)].reshape(x.shape)


def linear(g: Geometry, w: Array, source: core.Tensor, to: core.Epilogue, adjoint: bool) -> core.BatchStep:
    """The convolution, or its adjoint, by the geometry's method; `source` has at least the halo that this one reads."""
    weights, kernel = w.reshape(g.outputs, -1, np.prod(g.kernel)), window(g.kernel, g.strides, g.dilations, g.before)
    match g.method:
        case "direct":
            return core.convolve(core.PackedWeights(weights, g.groups, adjoint), kernel, source, to)
        case "winograd":
            _, rows, columns = g.before
            before = (2 - rows, 2 - columns) if adjoint else (rows, columns)
            return core.winograd(core.WinogradWeights(weights, adjoint), before, source, to)
        case "skip":
            return core.skip(core.SkipWeights(weights, adjoint), kernel, source, to)


def native(g: Geometry, x: Array, w: Array, s: Array, threads: int = THREADS) -> list[Array]:
    """The same on the compiled core, in the method's directions."""
    found = []
    for adjoint in g.directions:
        source, target = loaded(s if adjoint else x, *g.halo(adjoint)), empty(len(x), g.outputs, g.out)
        if adjoint:
            target = empty(len(x), g.channels, g.size)
        linear(g, w, source, stored(target), adjoint).run(threads)
        found.append(target.store(THREADS))
    return found


def differences(geometries: dict[str, Geometry], positive: bool = False) -> dict[str, list[float]]:
    """Largest difference from float64, forward and adjoint, by geometry: as a share of the largest sum of magnitudes
    ``|W| |x|``, which is what rounding errors grow with."""
    found = {}
    for name, g in geometries.items():
        x, w, s = map(np.abs, g.operands()) if positive else g.operands()
        scales = oracle(g, np.abs(x), np.abs(w), np.abs(s))
        triples = zip(native(g, x, w, s), oracle(g, x, w, s), scales, strict=False)
        found[name] = [float(np.abs(one - other).max() / (scale.max() or 1)) for one, other, scale in triples]
    return found


def disagreements() -> dict[str, list[float]]:
    """Between any two methods that compute the same, as in `differences`."""
    g, found = replace(tiled(40, 33, (22, 1, 1), (15, 0, 2)), density=0.3), {}
    x, w, s = g.operands()
    scales = oracle(g, np.abs(x), np.abs(w), np.abs(s))
    results = {method: native(replace(g, method=method), x, w, s) for method in get_args(Method)}
    for pair in combinations(results, 2):
        triples = zip(*(results[method] for method in pair), scales, strict=True)
        found[" ".join(pair)] = [float(np.abs(one - other).max() / scale.max()) for one, other, scale in triples]
    return found


def unsteady(g: Geometry) -> list[str]:
    """What changes the bits of the convolution or of its adjoint."""
    x, w, s = g.operands()
    expected, found = native(g, x, w, s, threads=1), []
    for threads in (2, 3):
        if not all(map(np.array_equal, native(g, x, w, s, threads), expected)):
            found.append(f"{threads} threads")
    for n in range(g.samples):
        alone = native(replace(g, samples=1), x[n : n + 1], w, s[n : n + 1])
        if not all(np.array_equal(one[0], batch[n]) for one, batch in zip(alone, expected, strict=True)):
            found.append(f"sample {n} alone")
    return found


def run_with_isa(isa: str, what: str, script: str = __file__) -> subprocess.CompletedProcess[str]:
    """A script such as this file, on that instruction set: it prints the set's name and what it `FINDS`."""
    return subprocess.run(
        [sys.executable, script, what],
        env=os.environ | {"LRPFAST_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )


#: what the script can be asked for
FINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "direct": lambda: differences(GEOMETRIES),
    "winograd": lambda: differences(nasty() | LARGE_WEIGHTS),
    "skip": lambda: differences(nasty_to_skip()),
    "disagreements": disagreements,
    "long sums": lambda: differences(LONG_SUMS, positive=True),
    "unsteady": lambda: {name: unsteady(g) for name, g in SHARED.items()},
}


def found_with_isa(isa: str, what: str, script: str = __file__) -> dict[str, Any]:
    done = run_with_isa(isa, what, script)
    assert done.returncode == 0, done.stderr
    used, found = json.loads(done.stdout)
    assert used == isa
    return found


each_isa = pytest.mark.parametrize("isa", core.available_isas())

#: units in the last place of float32, a fifth more than was ever seen here. Winograd's way through the points and back
#: multiplies rounding errors.
BOUNDS: dict[Method, float] = {"direct": 2, "winograd": 12, "skip": 3}
EPSILON = float(np.finfo(np.float32).eps)


@each_isa
@pytest.mark.parametrize("method", BOUNDS)
def test_every_instruction_set_agrees_with_float64(isa: str, method: Method):
    found = found_with_isa(isa, method)
    assert {name: pair for name, pair in found.items() if not max(pair) <= BOUNDS[method] * EPSILON} == {}


@each_isa
def test_long_sums_of_one_sign_keep_their_digits(isa: str):
    found = found_with_isa(isa, "long sums")
    assert {name: pair for name, pair in found.items() if not max(pair) <= 5 * EPSILON} == {}


@each_isa
def test_methods_agree_with_each_other(isa: str):
    for pair, found in found_with_isa(isa, "disagreements").items():
        assert max(found) <= sum(bound for method, bound in BOUNDS.items() if method in pair.split()) * EPSILON


@each_isa
def test_bits_depend_neither_on_the_threads_nor_on_the_rest_of_the_batch(isa: str):
    assert {name: causes for name, causes in found_with_isa(isa, "unsteady").items() if causes} == {}


if __name__ == "__main__":
    print(json.dumps([core.isa(), FINDS[sys.argv[1]]()]))
