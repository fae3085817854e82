"""Convolutions that skip zeros: what counts as zero, and the choice of a method for each sample.

That they compute the same as others is stated in `test_kernels`, what becomes of their values in `test_epilogues`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import _native as core
from test_kernels import (
    SAME,
    THREADS,
    Array,
    Geometry,
    Method,
    Size3,
    each_isa,
    empty,
    found_with_isa,
    linear,
    loaded,
    numbers,
    stored,
    thinned,
    tiled,
    window,
)

Bools = npt.NDArray[np.bool_]

# What counts as zero

TINY = float(np.finfo(np.float32).tiny)
ZEROS = {"0": 0.0, "-0": -0.0, "denormal": TINY / 2, "least": 1e-45, "negative denormal": -TINY / 2}
NUMBERS = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "tiny": TINY, "-tiny": -TINY, "one": 1.0}


def around_one_element(value: float, taps: int) -> Bools:
    """Where a convolution, whose weights are infinite, is not zero: each sample has the value in one channel."""
    channels, infinite = 70, np.full((20, 70, taps), np.inf, np.float32)
    x = np.zeros((channels, channels, 1, 5, 4), np.float32)
    x[range(channels), range(channels), 0, 1, 2] = value
    y = empty(channels, 20, (1, 5, 4))
    core.skip(core.SkipWeights(infinite, False), SAME if taps == 9 else window(), loaded(x), stored(y)).run(THREADS)
    return y.store(THREADS) != 0


def reached() -> dict[str, list[list[int]]]:
    """How many samples and channels of outputs an element reaches, by place: all of them, or none."""
    return {
        f"{name}, {taps} taps": around_one_element(value, taps).sum(axis=(0, 1, 2)).tolist()
        for name, value in (ZEROS | NUMBERS).items()
        for taps in (1, 9)
    }


def counted() -> dict[str, list[bool]]:
    """Whether a sample full of the value counts as sparse, for the least and for a larger share."""
    return {
        name: [bool(sparse_ones(np.full((1, 20, 1, 4, 4), value), share)[0]) for share in (0, 0.9)]
        for name, value in (ZEROS | NUMBERS).items()
    }


@each_isa
def test_zeros_and_denormals_are_skipped_and_all_else_takes_part(isa: str):
    everywhere, place, around = 70 * 20, np.zeros((5, 4), int), np.zeros((5, 4), int)
    place[1, 2] = around[0:3, 1:4] = everywhere
    found = found_with_isa(isa, "reached", __file__)
    for name in ZEROS:
        assert not np.any(found[f"{name}, 1 taps"] + found[f"{name}, 9 taps"])
    for name in NUMBERS:
        np.testing.assert_array_equal(found[f"{name}, 1 taps"], place)
        np.testing.assert_array_equal(found[f"{name}, 9 taps"], around)


@each_isa
def test_what_is_skipped_is_what_makes_a_sample_sparse(isa: str):
    found = found_with_isa(isa, "counted", __file__)
    assert found == {name: [name in ZEROS] * 2 for name in ZEROS | NUMBERS}


# Which samples are sparse


def sparse_ones(x: Array | core.Tensor, threshold: float) -> Bools:
    """The samples that the sparse step is run for. The dense one must be run for the others."""
    source = x if isinstance(x, core.Tensor) else loaded(x)
    weights = core.PackedWeights(numbers(1, source.channels, 1), 1, False)
    targets = [empty(source.samples, 1, source.size) for _ in range(2)]
    steps = [core.convolve(weights, window(), source, stored(y)) for y in targets]
    core.sparse_or(*steps, source, threshold).run(THREADS)
    sparse, dense = (y.store(THREADS)[:, 0, 0, 0, 0] != 7 for y in targets)
    assert (sparse != dense).all()
    return sparse


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 40])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 5, 4), (1, 15, 2), (3, 2, 3)])
def test_a_sample_is_sparse_up_to_the_threshold(channels: int, size: Size3):
    whole = channels * int(np.prod(size))
    counts = np.unique(np.linspace(0, whole, 9).astype(int))
    x = np.zeros((len(counts), channels, *size), np.float32)
    for sample, count in zip(x, counts, strict=True):
        sample.reshape(-1)[np.random.default_rng(4).permutation(whole)[:count]] = -1
    for count in counts:
        np.testing.assert_array_equal(sparse_ones(x, count / whole), counts <= count)
    assert not sparse_ones(x, -1).any()


def test_lanes_behind_the_last_channel_of_what_was_loaded_do_not_count():
    x = empty(2, 17, (1, 5, 4))
    x.load(np.zeros((2, 17, 1, 5, 4), np.float32), THREADS)
    assert sparse_ones(x, 0).all()


@pytest.mark.parametrize("rows", [16, 32, 57, 300])
def test_some_rows_stand_for_a_tall_map(rows: int):
    densities = np.array([0, 0.2, 0.4, 0.25, 1])
    x = np.stack([thinned(numbers(40, 1, rows, 30), density) for density in densities])
    np.testing.assert_array_equal(sparse_ones(x, 0.3), densities <= 0.3)


@pytest.mark.parametrize("first", [0, 1])
def test_rows_that_a_pool_favours_do_not_mislead(first: int):
    x = np.zeros((1, 64, 1, 32, 8), np.float32)
    x[..., first::2, :] = 1
    assert not sparse_ones(x, 0.4)[0]
    assert sparse_ones(x, 0.6)[0]


def test_lanes_behind_the_last_channel_that_are_not_zero_do_not_count():
    y = empty(1, 17, (1, 5, 4))
    hard_sigmoid = core.FunctionParameters(core.Function.hard_sigmoid, 0.2, 0.5, 0, 0)
    low = loaded(np.full((1, 17, 1, 5, 4), -50))
    core.take_up([low], core.Activation(1, 17, (1, 5, 4), hard_sigmoid, y=y)).run(THREADS)
    assert not y.store(THREADS).any()
    assert sparse_ones(y, 0.5).all()


# Samples of mixed densities

SIZE: Size3 = (1, 30, 31)
THRESHOLD = 0.3
MIXED = 0.02, 1, 0.9, 0, 0.05, 1, 0.01
TURNED = tuple(0.05 if density > THRESHOLD else 0.8 for density in MIXED)
SPARSE = np.array(MIXED) <= THRESHOLD
DENSE: tuple[Method, ...] = "direct", "winograd"

each_dense = pytest.mark.parametrize("dense", DENSE)
each_way = pytest.mark.parametrize("adjoint", [False, True], ids=["forward", "way back"])


def geometry(method: Method) -> Geometry:
    return replace(tiled(40, 33, *((length, 1, 1) for length in SIZE[1:]), samples=len(MIXED)), method=method)


def weights() -> Array:
    return geometry("skip").operands()[1]


def channels_of(adjoint: bool) -> tuple[int, int]:
    """Of the source, and of the target."""
    g = geometry("skip")
    return (g.outputs, g.channels) if adjoint else (g.channels, g.outputs)


def mixed(densities: Sequence[float], adjoint: bool) -> Array:
    values = numbers(len(densities), channels_of(adjoint)[0], *SIZE)
    return np.stack([thinned(sample, density) for sample, density in zip(values, densities, strict=True)])


def source_of(values: Array, dense: Method, adjoint: bool) -> core.Tensor:
    return loaded(values, *geometry(dense).halo(adjoint))


def either(dense: Method, adjoint: bool, source: core.Tensor, to: core.Epilogue) -> core.BatchStep:
    """By skipping zeros, or by the other method."""
    sparse, usual = (linear(geometry(method), weights(), source, to, adjoint) for method in ("skip", dense))
    return core.sparse_or(sparse, usual, source, THRESHOLD)


def chosen(values: Array, dense: Method, adjoint: bool, threads: int = THREADS) -> Array:
    y = empty(len(values), channels_of(adjoint)[1], SIZE)
    either(dense, adjoint, source_of(values, dense, adjoint), stored(y)).run(threads)
    return y.store(THREADS)


def forced(method: Method, values: Array, adjoint: bool) -> Array:
    y = empty(len(values), channels_of(adjoint)[1], SIZE)
    linear(geometry(method), weights(), source_of(values, method, adjoint), stored(y), adjoint).run(THREADS)
    return y.store(THREADS)


@each_dense
@each_way
def test_each_sample_gets_the_bits_of_its_method_for_any_threads_and_batch(dense: Method, adjoint: bool):
    values = mixed(MIXED, adjoint)
    skipped, usual = forced("skip", values, adjoint), forced(dense, values, adjoint)
    assert [np.array_equal(*pair) for pair in zip(skipped, usual, strict=True)] == [density == 0 for density in MIXED]
    expected = np.where(SPARSE.reshape(-1, 1, 1, 1, 1), skipped, usual)
    for threads in (1, 2, 3):
        np.testing.assert_array_equal(chosen(values, dense, adjoint, threads), expected)
    for n in range(len(MIXED)):
        np.testing.assert_array_equal(chosen(values[n : n + 1], dense, adjoint), expected[n : n + 1])


POOL = window((1, 3, 3), (1, 3, 3))


@each_dense
@each_way
@pytest.mark.parametrize("pool", [False, True], ids=["no pool", "pool"])
def test_a_quotient_accounts_for_the_last_run_alone(dense: Method, adjoint: bool, pool: bool):
    channels = channels_of(adjoint)[1]
    r = numbers(len(MIXED), channels, *((1, 10, 10) if pool else SIZE), seed=5)
    won = np.random.default_rng(6).integers(9, size=r.shape, dtype=np.int32).view(np.float32)

    def quotient() -> tuple[core.Quotient, core.Tensor]:
        s = empty(len(MIXED), channels, SIZE)
        of = (POOL, loaded(won)) if pool else None
        return core.Quotient(len(MIXED), loaded(r), s, [(core.Gate.open, 1.0)], 0.5, pool=of), s

    source, (figures, s) = source_of(mixed(MIXED, adjoint), dense, adjoint), quotient()
    step = either(dense, adjoint, source, figures)
    for densities in (MIXED, TURNED, MIXED):
        values = mixed(densities, adjoint)
        source.load(values, THREADS)
        step.run(THREADS)
        z = chosen(values, dense, adjoint).astype(np.float64)
        quotients, stabilizer = s.store(THREADS).astype(np.float64), np.where(z >= 0, 0.5, -0.5)
        expected = [r, np.zeros(r.shape), quotients * stabilizer, quotients * (z + stabilizer)]
        close_sums(figures.read(), expected)
        fresh, _ = quotient()
        either(dense, adjoint, source_of(values, dense, adjoint), fresh).run(THREADS)
        np.testing.assert_array_equal(figures.read(), fresh.read())


@each_dense
@each_way
def test_a_contribution_accounts_for_the_last_run_alone(dense: Method, adjoint: bool):
    source, out = source_of(mixed(MIXED, adjoint), dense, adjoint), empty(len(MIXED), channels_of(adjoint)[1], SIZE)
    a = numbers(len(MIXED), channels_of(adjoint)[1], *SIZE, seed=7)
    figures = core.Contribution(loaded(a), out, False)
    step = either(dense, adjoint, source, figures)
    for densities in (MIXED, TURNED, MIXED):
        values = mixed(densities, adjoint)
        source.load(values, THREADS)
        step.run(THREADS)
        handed = a * chosen(values, dense, adjoint)
        np.testing.assert_array_equal(out.store(THREADS), handed)
        close_sums(figures.read(), [handed])


def close_sums(figures: Array, maps: list[Array]) -> None:
    """Figures are the sums of maps, one column for each."""
    found = [figure.sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in maps]
    scales = [np.abs(figure).sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in maps]
    assert (np.abs(figures - np.stack(found, axis=1)) <= 1e-6 * np.stack(scales, axis=1)).all()


# How a map is cut


@pytest.mark.parametrize("taps", [1, 9])
@pytest.mark.parametrize("targets", [16, 40, 1160])
@pytest.mark.parametrize("size", [(1, 7, 7), (1, 14, 14), (1, 28, 3), (1, 61, 55)], ids=str)
def test_values_and_figures_are_the_same_for_any_threads(size: Size3, targets: int, taps: int):
    packed = core.SkipWeights(numbers(targets, 20, taps), False)
    source, factors = loaded(thinned(numbers(2, 20, *size), 0.5)), loaded(numbers(2, targets, *size, seed=1))
    found = []
    for threads in (1, 2, 3, 4, 5, 16):
        y = empty(2, targets, size)
        to = core.Contribution(factors, y, False)
        core.skip(packed, SAME if taps == 9 else window(), source, to).run(threads)
        found.append((y.store(THREADS), to.read()))
    for values, figures in found[1:]:
        np.testing.assert_array_equal(values, found[0][0])
        np.testing.assert_array_equal(figures, found[0][1])


#: what the script can be asked for
FINDS: dict[str, Callable[[], dict[str, Any]]] = {"reached": reached, "counted": counted}

if __name__ == "__main__":
    print(json.dumps([core.isa(), FINDS[sys.argv[1]]()]))
