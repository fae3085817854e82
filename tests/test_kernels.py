"""The compiled core: what it refuses, what it computes, and the same numbers from every instruction set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import _native as core

Array = npt.NDArray[np.floating]
Size3 = tuple[int, int, int]

POOL = core.Pool()
THREADS = 2
ONES: Size3 = (1, 1, 1)
NONE: Size3 = (0, 0, 0)
LARGEST = 2**31 - 1


def window(kernel: Size3 = ONES, strides: Size3 = ONES, dilations: Size3 = ONES, before: Size3 = NONE) -> core.Window:
    return core.Window(kernel, strides, dilations, before)


def empty(
    samples: int = 1, channels: int = 16, size: Size3 = (1, 4, 4), before: Size3 = NONE, after: Size3 = NONE
) -> core.Tensor:
    """A tensor full of 7, so that what a step leaves out shows."""
    tensor = core.Tensor(POOL, samples, channels, size, before, after)
    tensor.fill(7, THREADS)
    return tensor


def loaded(values: Array, before: Size3 = NONE, after: Size3 = NONE) -> core.Tensor:
    tensor = empty(*values.shape[:2], values.shape[2:], before, after)
    tensor.load(values.astype(np.float32, copy=False), THREADS)
    return tensor


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def packed(outputs: int = 16, inputs: int = 16, taps: int = 9, adjoint: bool = False) -> core.PackedWeights:
    return core.PackedWeights(numbers(outputs, inputs, taps), 1, adjoint)


# What is refused

THREE = window((1, 3, 3))
LANES = np.ones(16, np.float32)


def convolve(source: core.Tensor, target: core.Tensor, window: core.Window = THREE, **options: object) -> None:
    settings = {"weights": packed(), "bias": None, "accumulate": False, "threads": THREADS} | options
    core.convolve(window=window, source=source, target=target, **settings)


def quotient(r: core.Tensor, z: core.Tensor, s: core.Tensor, **options: object) -> None:
    settings = {"own": None, "bias": None, "gate": core.Gate.open, "share": 1.0, "stabilizer": 0.0} | options
    core.quotient(r=r, z=z, s=s, threads=THREADS, **settings)


def small(channels: int = 16, samples: int = 1) -> core.Tensor:
    """Where the windows of `THREE` on a map of 4 x 4 go."""
    return empty(samples, channels, (1, 2, 2))


def max_pool(kernel: core.Window) -> None:
    core.max_pool(kernel, empty(), empty(), empty(), THREADS)


def in_place(step: Callable[[core.Tensor], None]) -> None:
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
    "convolve: short bias": ("bias of 3", lambda: convolve(empty(), small(), bias=LANES[:3])),
    "convolve: one tensor": ("one tensor", lambda: in_place(lambda x: convolve(x, x))),
    "convolve: distant windows": ("far", lambda: convolve(empty(), small(), window((1, 3, 3), (1, 1, LARGEST)))),
    "convolve: distant taps": ("far", lambda: convolve(empty(), small(), window((1, 3, 3), ONES, (1, 1, LARGEST)))),
    "convolve: distant start": (
        "far",
        lambda: convolve(empty(), small(), window((1, 3, 3), before=(0, 0, -LARGEST))),
    ),
    "window: no kernel": ("1 or more", lambda: window((1, 0, 1))),
    "window: no stride": ("1 or more", lambda: window(ONES, (1, 1, -1))),
    "window: no dilation": ("1 or more", lambda: window(ONES, ONES, (0, 1, 1))),
    "weights: two axes": ("outputs, inputs of a group, taps", lambda: core.PackedWeights(numbers(4, 4), 1, False)),
    "weights: none": ("channels", lambda: core.PackedWeights(numbers(4, 0, 9), 1, False)),
    "weights: groups": ("groups", lambda: core.PackedWeights(numbers(4, 1, 9), 3, False)),
    "load: rank": ("5 axes", lambda: empty().load(numbers(1, 16, 4, 4), THREADS)),
    "load: size": ("axis 1 has size 15, not 16", lambda: empty().load(numbers(1, 15, 1, 4, 4), THREADS)),
    "load: strides": (
        "whole numbers of floats",
        lambda: empty().load(np.zeros((1, 16, 1, 4, 4), "f4, u1")["f0"], THREADS),
    ),
    "elementwise: channels": ("fit", lambda: core.add(empty(), empty(channels=15), empty(), THREADS)),
    "elementwise: size": ("fit", lambda: core.add(empty(), small(), empty(), THREADS)),
    "elementwise: samples": ("fit", lambda: core.part(1, 0, empty(2), empty(3), THREADS)),
    "elementwise: fewer results": ("fit", lambda: core.part(1, 0, empty(2), empty(), THREADS)),
    "quotient: short bias": ("bias of 15", lambda: quotient(empty(), empty(), empty(), bias=LANES[:15])),
    "quotient: samples": ("fit", lambda: quotient(empty(4), empty(3), empty(4))),
    "quotient: gate": ("gate", lambda: quotient(empty(), empty(), empty(), gate=core.Gate.positive)),
    "quotient: gate of another size": (
        "fit",
        lambda: quotient(empty(), empty(), empty(), gate=core.Gate.positive, own=small()),
    ),
    "copy_channels: one tensor": ("one tensor", lambda: in_place(lambda x: core.copy_channels(x, 0, x, 8, 8, 1))),
    "copy_channels: size": ("other sizes", lambda: core.copy_channels(empty(), 0, small(), 0, 16, 1)),
    "copy_channels: samples": ("other sizes", lambda: core.copy_channels(empty(2), 0, empty(), 0, 16, 1)),
    "max_pool: channels": ("fit", lambda: core.max_pool(THREE, empty(), small(3), small(3), 1)),
    "max_pool: winners": ("size", lambda: core.max_pool(THREE, empty(), small(), empty(), 1)),
    "max_pool: one tensor": ("one tensor", lambda: in_place(lambda x: core.max_pool(window(), x, x, empty(), 1))),
    "max_pool: winners in place": ("one tensor", lambda: in_place(lambda y: core.max_pool(window(), empty(), y, y, 1))),
    "max_pool: beside the map": ("window 2 on axis 2", lambda: max_pool(window(ONES, (1, 1, 2)))),
    "max_pool: before the map": ("window 0 on axis 1", lambda: max_pool(window((1, 2, 1), before=(0, 2, 0)))),
    "max_pool: around the map": ("window 0 on axis 2", lambda: max_pool(window((1, 1, 2), ONES, (1, 1, 9), (0, 0, 4)))),
    "max_unpool: winners": ("winners", lambda: core.max_unpool(THREE, small(), small(3), empty(), 1)),
    "max_unpool: samples": ("winners", lambda: core.max_unpool(THREE, small(16, 3), small(16, 2), empty(3), 1)),
    "sum_pool: factors": ("3 factors for 4 windows", lambda: core.sum_pool(THREE, empty(), LANES[:3], small(), 1)),
    "sum_pool: samples": ("fit", lambda: core.sum_pool(THREE, empty(2), LANES[:4], small(), 1)),
    "sum_unpool: factors": ("16 factors", lambda: core.sum_unpool(THREE, small(), LANES, empty(), 1)),
    "sum_unpool: distant taps": (
        "far",
        lambda: core.sum_unpool(window(ONES, ONES, (1, 1, LARGEST)), small(), LANES[:4], empty(), 1),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operands_that_do_not_fit_are_refused(name: str):
    message, step = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        step()


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
        core.Tensor(POOL, *sizes)


@pytest.mark.parametrize("channels", [(-1, 0, 4), (0, -1, 4), (0, 0, 0), (0, 0, -4), (13, 0, 4), (0, 17, 4)])
@pytest.mark.parametrize("far", [0, LARGEST])
def test_channels_that_are_not_there_cannot_be_copied(channels: Size3, far: int):
    source, target, count = channels
    with pytest.raises(ValueError, match="channels that are not there"):
        core.copy_channels(empty(channels=16), source or far, empty(channels=20), target, count, THREADS)


def test_an_unknown_instruction_set_is_named_beside_those_that_are_there():
    done = run_with_isa("sse9000")
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
        core.copy_channels(source, start, target, place, count, THREADS)
        np.testing.assert_array_equal(target.store(THREADS), expected)


@pytest.mark.parametrize("parts", [(3, 4), (16, 1), (17, 16), (5, 32, 6)])
def test_a_concatenation_holds_nothing_behind_its_last_channel(parts: tuple[int, ...]):
    values = numbers(1, sum(parts), 1, 2, 3)
    target, start = empty(1, sum(parts), (1, 2, 3)), 0
    for count in parts:
        core.copy_channels(loaded(values[:, start : start + count]), 0, target, start, count, THREADS)
        start += count
    np.testing.assert_array_equal(target.store(THREADS), values)
    np.testing.assert_allclose(core.sums(target, THREADS), values.sum(dtype=np.float64), rtol=1e-5)


def pooled(values: Array, kernel: core.Window, size: Size3) -> tuple[Array, npt.NDArray[np.int32], core.Tensor]:
    """Largest values, winning taps as numbers, and the winners themselves."""
    y, winners = (empty(*values.shape[:2], size) for _ in range(2))
    core.max_pool(kernel, loaded(values), y, winners, THREADS)
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
    core.max_unpool(kernel, loaded(r), winners, out, THREADS)
    handed = out.store(THREADS)
    np.testing.assert_allclose(handed[..., 1, 1], r.sum(axis=(3, 4)), rtol=1e-6, atol=1e-6)
    assert np.count_nonzero(handed) == 20


def test_the_winners_of_a_sample_serve_all_its_explanations():
    values, r = numbers(2, 5, 1, 4, 4), numbers(6, 5, 1, 2, 2, seed=1)
    kernel = window((1, 2, 2), (1, 2, 2))
    largest, _, winners = pooled(values, kernel, (1, 2, 2))
    out = empty(6, 5)
    core.max_unpool(kernel, loaded(r), winners, out, THREADS)
    won = (values == np.repeat(np.repeat(largest, 2, axis=3), 2, axis=4)).repeat(3, axis=0)
    np.testing.assert_array_equal(out.store(THREADS), np.where(won, r.repeat(2, axis=3).repeat(2, axis=4), 0))


def test_a_sum_over_a_window_beside_the_map_is_zero():
    y = empty()
    core.sum_pool(window(ONES, (1, 2, 2)), loaded(numbers(1, 16, 1, 4, 4)), np.ones(16, np.float32), y, THREADS)
    assert (y.store(THREADS)[..., 2:, 2:] == 0).all()


def test_elementwise_steps_may_work_in_place():
    values = numbers(2, 20, 1, 3, 3)
    x = loaded(values)
    core.add(x, x, x, THREADS)
    core.part(1, 0, x, x, THREADS)
    np.testing.assert_array_equal(x.store(THREADS), np.maximum(2 * values, 0))


# The same numbers from every instruction set


@dataclass(frozen=True)
class Geometry:
    """A convolution of (2, channels, *size) maps."""

    outputs: int
    channels: int
    groups: int
    size: Size3
    kernel: Size3
    strides: Size3 = ONES
    dilations: Size3 = ONES
    pad: Size3 = NONE

    @property
    def out(self) -> Size3:
        return tuple(
            (self.size[i] + 2 * self.pad[i] - self.dilations[i] * (self.kernel[i] - 1) - 1) // self.strides[i] + 1
            for i in range(3)
        )

    def met(self, tap: Size3) -> tuple[slice, ...]:
        """What a tap meets of the padded map, one element per window."""
        start = [t * d for t, d in zip(tap, self.dilations, strict=True)]
        ends = [s + (n - 1) * k + 1 for s, n, k in zip(start, self.out, self.strides, strict=True)]
        return (..., *map(slice, start, ends, self.strides))


GEOMETRIES = {
    "3x3": Geometry(70, 35, 1, (1, 9, 7), (1, 3, 3), pad=(0, 1, 1)),
    "1x1": Geometry(16, 64, 1, (1, 5, 5), ONES),
    "stride": Geometry(20, 17, 1, (1, 9, 9), (1, 3, 3), (1, 2, 2), pad=(0, 1, 1)),
    "dilation, 3-D": Geometry(5, 3, 1, (4, 6, 6), (2, 3, 2), (1, 2, 1), (2, 1, 3), (1, 1, 2)),
    "groups": Geometry(12, 6, 3, (1, 6, 6), (1, 3, 3), pad=(0, 1, 1)),
    "depthwise": Geometry(40, 40, 40, (1, 7, 7), (1, 3, 3), (1, 2, 1), pad=(0, 1, 1)),
}


def oracle(g: Geometry, x: Array, w: Array, s: Array) -> tuple[Array, Array]:
    """The convolution of `x` and its adjoint of `s` in float64, tap by tap."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *((p, p) for p in g.pad)])
    padded = padded.reshape(2, g.groups, -1, *padded.shape[2:])
    y, back = np.zeros((2, g.groups, g.outputs // g.groups, *g.out)), np.zeros_like(padded)
    weight = w.astype(np.float64).reshape(g.groups, g.outputs // g.groups, -1, *g.kernel)
    for tap in product(*map(range, g.kernel)):
        y += np.einsum("goi,ngidhw->ngodhw", weight[(..., *tap)], padded[g.met(tap)])
        back[g.met(tap)] += np.einsum("goi,ngodhw->ngidhw", weight[(..., *tap)], s.astype(np.float64).reshape(y.shape))
    inner = tuple(slice(p, p + n) for n, p in zip(g.size, g.pad, strict=True))
    return y.reshape(s.shape), back[(..., *inner)].reshape(x.shape)


def native(g: Geometry, x: Array, w: Array, s: Array) -> tuple[Array, Array]:
    """The same on the compiled core."""
    kernel, weights = window(g.kernel, g.strides, g.dilations, g.pad), w.reshape(g.outputs, -1, np.prod(g.kernel))
    reach = tuple((k - 1) * d for k, d in zip(g.kernel, g.dilations, strict=True))
    y, back = empty(2, g.outputs, g.out), empty(2, g.channels, g.size)
    forward, adjoint = (core.PackedWeights(weights, g.groups, transposed) for transposed in (False, True))
    core.convolve(forward, kernel, loaded(x, g.pad, g.pad), y, None, False, THREADS)
    core.convolve(adjoint, kernel, loaded(s, reach, reach), back, None, False, THREADS)
    return y.store(THREADS), back.store(THREADS)


def differences() -> dict[str, list[float]]:
    """Largest difference from float64 as a share of the largest value, forward and adjoint, by geometry."""
    found = {}
    for name, g in GEOMETRIES.items():
        x, s = numbers(2, g.channels, *g.size), numbers(2, g.outputs, *g.out, seed=1)
        w = numbers(g.outputs, g.channels // g.groups, *g.kernel, seed=2)
        pairs = zip(native(g, x, w, s), oracle(g, x, w, s), strict=True)
        found[name] = [float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs]
    return found


def run_with_isa(isa: str) -> subprocess.CompletedProcess[str]:
    """This file as a script, on that instruction set: it prints the set's name and `differences`."""
    return subprocess.run(
        [sys.executable, __file__], env=os.environ | {"LRPFAST_ISA": isa}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("isa", core.available_isas())
def test_every_instruction_set_agrees_with_float64(isa: str):
    done = run_with_isa(isa)
    assert done.returncode == 0, done.stderr
    used, found = json.loads(done.stdout)
    assert used == isa
    assert {name: pair for name, pair in found.items() if max(pair) > 2e-6} == {}


if __name__ == "__main__":
    print(json.dumps([core.isa(), differences()]))
