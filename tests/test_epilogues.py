"""What happens to the values of a linear map as they come: epilogues, and the steps of a sum.

Every statement holds on values that lie in a tensor, and on those that a convolution is just computing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import _native as core
from test_kernels import (
    IDENTITY,
    ONES,
    PAD,
    THREADS,
    Array,
    Geometry,
    Size3,
    empty,
    linear,
    loaded,
    native,
    numbers,
    stored,
    tiled,
    window,
)

Floats: TypeAlias = npt.NDArray[np.float32]
Groups: TypeAlias = Sequence[tuple[core.Gate, float]]

SAMPLES, CHANNELS = 2, 20
OPEN, POSITIVE, NEGATIVE = core.Gate.open, core.Gate.positive, core.Gate.negative


# Where values come from


@dataclass(frozen=True)
class Source:
    """A map of values, and the step that hands some samples of it to an epilogue."""

    values: Floats
    step: Callable[[slice, core.Epilogue], core.Step]

    def hand(self, epilogue: core.Epilogue, samples: slice = slice(None), threads: int = THREADS) -> None:
        self.step(samples, epilogue).run(threads)


def in_memory(samples: int, channels: int, size: Size3) -> Source:
    values = numbers(samples, channels, *size, seed=5)
    return Source(values, lambda part, epilogue: core.take_up([loaded(values[part], (0, 0, 1), (0, 2, 0))], epilogue))


def computed(g: Geometry, adjoint: bool = False) -> Source:
    """The convolution of numbers, or its adjoint. The values are those that it stores."""
    x, w, s = g.operands()
    w *= np.float32((g.channels * w[0, 0].size) ** -0.5)
    values, operand, halo = native(g, x, w, s)[adjoint], s if adjoint else x, g.halo(adjoint)
    return Source(values, lambda part, epilogue: linear(g, w, loaded(operand[part], *halo), epilogue, adjoint))


def convolved(samples: int, channels: int, size: Size3) -> Source:
    return computed(Geometry(channels, 5, 1, size, (1, 3, 3), ONES, ONES, *PAD, samples))


def spread(samples: int, channels: int, size: Size3) -> Source:
    """By the adjoint of a convolution with strides, whose values come in phases."""
    return computed(Geometry(6, channels, 1, size, (1, 3, 3), (1, 2, 2), ONES, *PAD, samples), adjoint=True)


def depthwise(samples: int, channels: int, size: Size3) -> Source:
    return computed(Geometry(channels, channels, channels, size, (1, 3, 3), ONES, ONES, *PAD, samples))


def tiles(samples: int, channels: int, size: Size3) -> Source:
    return computed(tiled(channels, 5, (size[1], 1, 1), (size[2], 1, 1), samples=samples))


def tiles_by_point(samples: int, channels: int, size: Size3) -> Source:
    """With so many weights that Winograd's algorithm goes point by point."""
    return computed(tiled(channels, 480, (size[1], 1, 1), (size[2], 1, 1), samples=samples))


def skipped(samples: int, channels: int, size: Size3) -> Source:
    g = tiled(channels, 5, (size[1], 1, 1), (size[2], 1, 1), samples=samples)
    return computed(replace(g, method="skip", density=0.5))


def skipped_by_point(samples: int, channels: int, size: Size3) -> Source:
    return computed(Geometry(channels, 40, 1, size, ONES, samples=samples, method="skip", density=0.5))


SOURCES = {
    f.__name__: f for f in (in_memory, convolved, spread, depthwise, tiles, tiles_by_point, skipped, skipped_by_point)
}
FLAT = "tiles", "tiles_by_point", "skipped", "skipped_by_point"

each_source = pytest.mark.parametrize("source", SOURCES)


def close(found: Array, expected: Array, tolerance: float = 2e-6) -> None:
    largest = max(1.0, np.nanmax(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * largest)


def lanes(channels: int, seed: int) -> Floats:
    """A number for each channel, zeros behind the last."""
    found = np.zeros(-(-channels // 16) * 16, np.float32)
    found[:channels] = numbers(channels, seed=seed)
    return found


def by_channel(bias: Floats | None, channels: int) -> Array:
    """Such numbers for a product with maps."""
    values = np.zeros(channels) if bias is None else bias[:channels].astype(np.float64)
    return values.reshape(-1, 1, 1, 1)


# Activation


def erf(x: Array) -> Array:
    return np.vectorize(math.erf)(x)


ALPHA, BETA, LOW, HIGH = 0.3, 0.4, -0.5, 0.75
FORMULAS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x >= 0, x, ALPHA * x),
    "clip": lambda x: np.clip(x, LOW, HIGH),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x >= 0, x, ALPHA * np.expm1(x)),
    "hard_sigmoid": lambda x: np.clip(ALPHA * x + BETA, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "erf": erf,
    "exp": np.exp,
    "log": lambda x: np.log(np.where(x < 0, np.nan, x)),
    "square": lambda x: x**2,
    "power": lambda x: np.where(x < 0, np.nan, x) ** ALPHA,
    "sqrt": lambda x: np.sqrt(np.where(x < 0, np.nan, x)),
    "reciprocal": lambda x: 1 / x,
    "abs": np.abs,
}


def function(name: str) -> core.FunctionParameters:
    return core.FunctionParameters(core.Function.__members__[name], ALPHA, BETA, LOW, HIGH)


def test_there_is_a_formula_for_every_function():
    assert set(FORMULAS) == set(core.Function.__members__)


@each_source
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_function_of_values_and_bias(source: str, name: str, biased: bool):
    size = (1, 7, 9)
    given, bias = SOURCES[source](SAMPLES, CHANNELS, size), lanes(CHANNELS, seed=6) if biased else None
    y = empty(SAMPLES, CHANNELS, size)
    given.hand(core.Activation(SAMPLES, CHANNELS, size, function(name), bias, y=y))
    close(y.store(THREADS), FORMULAS[name](given.values + by_channel(bias, CHANNELS)))


@each_source
def test_a_leaky_relu_may_have_a_slope_for_each_element(source: str):
    size = (1, 6, 5)
    given, slope = SOURCES[source](SAMPLES, CHANNELS, size), numbers(1, CHANNELS, *size, seed=7)
    bias, y = lanes(CHANNELS, seed=6), empty(SAMPLES, CHANNELS, size)
    given.hand(core.Activation(SAMPLES, CHANNELS, size, function("leaky_relu"), bias, loaded(slope), y))
    x = given.values + by_channel(bias, CHANNELS)
    close(y.store(THREADS), np.where(x >= 0, x, slope.astype(np.float64) * x))


@each_source
def test_the_halo_of_a_result_stays_zero(source: str):
    given, y = SOURCES[source](SAMPLES, CHANNELS, (1, 6, 5)), empty(SAMPLES, CHANNELS, (1, 6, 5), *PAD)
    given.hand(stored(y, lanes(CHANNELS, seed=6)))
    around, alone = (
        empty(SAMPLES, CHANNELS, (1, 8, 7)),
        core.PackedWeights(np.ones((CHANNELS, 1, 1), "f4"), CHANNELS, False),
    )
    core.convolve(alone, window(before=PAD[0]), y, stored(around)).run(THREADS)
    np.testing.assert_array_equal(around.store(THREADS), np.pad(y.store(THREADS), [(0, 0)] * 3 + [(1, 1)] * 2))


@each_source
def test_a_result_may_lie_within_another(source: str):
    given, whole = SOURCES[source](SAMPLES, CHANNELS, (1, 6, 5)), empty(SAMPLES, 80, (1, 6, 5))
    given.hand(stored(whole.channels_from(32, CHANNELS)))
    found = whole.store(THREADS)
    np.testing.assert_array_equal(found[:, 32:52], given.values)
    assert (found[:, :32] == 7).all()
    assert (found[:, 64:] == 7).all()


#: kernel and size: windows fill the map, or leave a rest on one side or both; one window; many strips
POOLS: tuple[tuple[tuple[int, int], Size3], ...] = (
    ((2, 2), (1, 8, 8)),
    ((2, 2), (1, 7, 9)),
    ((2, 2), (1, 30, 13)),
    ((3, 3), (1, 9, 9)),
    ((3, 3), (1, 11, 7)),
    ((3, 3), (1, 31, 29)),
    ((3, 3), (1, 26, 4)),
    ((3, 2), (1, 10, 10)),
    ((1, 4), (1, 5, 11)),
    ((5, 1), (1, 23, 4)),
    ((7, 7), (1, 7, 7)),
)

each_pool = pytest.mark.parametrize(("kernel", "size"), POOLS, ids=str)


def side_by_side(kernel: tuple[int, int], size: Size3) -> tuple[core.Window, Size3]:
    """A pool's windows, and how many there are."""
    rows, columns = kernel
    return window((1, rows, columns), (1, rows, columns)), (size[0], size[1] // rows, size[2] // columns)


@each_source
@each_pool
@pytest.mark.parametrize("keeps", [False, True], ids=["pool alone", "pool and map"])
def test_a_pool_behind_an_activation_is_the_pool_of_its_map(
    source: str, kernel: tuple[int, int], size: Size3, keeps: bool
):
    given, bias = SOURCES[source](SAMPLES, CHANNELS, size), lanes(CHANNELS, seed=6)
    windows, out = side_by_side(kernel, size)
    mapped, y = empty(SAMPLES, CHANNELS, size), empty(SAMPLES, CHANNELS, size) if keeps else None
    values, winners, expected, winning = (empty(SAMPLES, CHANNELS, out) for _ in range(4))
    given.hand(core.Activation(SAMPLES, CHANNELS, size, function("relu"), bias, y=mapped))
    core.max_pool(windows, mapped, expected, winning).run(THREADS)
    given.hand(
        core.Activation(SAMPLES, CHANNELS, size, function("relu"), bias, y=y, pool=(windows, values, winners, 0.0))
    )
    np.testing.assert_array_equal(values.store(THREADS), expected.store(THREADS))
    np.testing.assert_array_equal(taps(winners), taps(winning))
    if y is not None:
        np.testing.assert_array_equal(y.store(THREADS), mapped.store(THREADS))


def test_a_pool_tells_places_apart_by_what_the_activation_hides():
    z = -np.ones((1, 16, 1, 2, 2), np.float32)
    z[0, 0] = 1 + np.arange(4).reshape(1, 2, 2) * np.float32(2**-23)
    z[0, 1, 0, 1] = -2  # as after ReLU nothing but the first channel is left, places of a row look the same
    values, winners = empty(size=ONES), empty(size=ONES)
    to = core.Activation(1, 16, (1, 2, 2), function("relu"), y=None, pool=(TWO, values, winners, 1e-5))
    core.take_up([loaded(z)], to).run(THREADS)
    assert taps(winners)[0, 0].item() == 2
    np.testing.assert_array_equal(values.store(THREADS)[0, 0], z[0, 0].max())


def taps(winners: core.Tensor) -> npt.NDArray[np.int32]:
    return winners.store(THREADS).view(np.int32)


@pytest.mark.parametrize("source", [name for name in SOURCES if name not in FLAT])
def test_a_pool_takes_each_plane_by_itself(source: str):
    size, (windows, out) = (3, 5, 7), side_by_side((2, 2), (3, 5, 7))
    given, mapped = SOURCES[source](SAMPLES, CHANNELS, size), empty(SAMPLES, CHANNELS, size)
    values, winners, expected, winning = (empty(SAMPLES, CHANNELS, out) for _ in range(4))
    given.hand(core.Activation(SAMPLES, CHANNELS, size, IDENTITY, y=mapped, pool=(windows, values, winners, 0.0)))
    core.max_pool(windows, mapped, expected, winning).run(THREADS)
    np.testing.assert_array_equal(values.store(THREADS), expected.store(THREADS))
    np.testing.assert_array_equal(taps(winners), taps(winning))


# Quotient


@dataclass(frozen=True)
class Case:
    """What a quotient may have."""

    groups: Groups = ((OPEN, 1.0),)
    channels: int = CHANNELS
    stabilizer: float = 0.25
    biased: bool = False
    within: bool = False
    constant: bool = False
    explanations: int = 1
    kernel: tuple[int, int] | None = None
    mix: tuple[tuple[float, float], ...] | None = None
    size: Size3 = (1, 7, 9)
    stacked: int = field(init=False)  # channels of all groups together

    def __post_init__(self) -> None:
        whole = -(-self.channels // 16) * 16
        object.__setattr__(self, "stacked", self.channels if len(self.groups) == 1 else whole * len(self.groups))


CASES = {
    "plain": Case(),
    "share": Case(((OPEN, -0.7),)),
    "no stabilizer": Case(stabilizer=0, biased=True, constant=True),
    "gate": Case(((POSITIVE, 1.0),)),
    "other gate": Case(((NEGATIVE, 2.0),)),
    "bias": Case(biased=True),
    "bias within": Case(biased=True, within=True),
    "constant": Case(constant=True),
    "explanations": Case(explanations=3, biased=True),
    "groups": Case(((OPEN, 2.0), (OPEN, -1.0)), biased=True, constant=True),
    "gated groups": Case(((POSITIVE, 0.5), (NEGATIVE, 1.5), (OPEN, -1.0)), explanations=2, biased=True),
    "groups of whole blocks": Case(((NEGATIVE, 1.0), (OPEN, -1.0)), channels=32),
    "pool": Case(kernel=(2, 2)),
    "large pool": Case(kernel=(3, 3), size=(1, 31, 29)),
    "pool and explanations": Case(kernel=(3, 2), explanations=3, biased=True, within=True, size=(1, 13, 11)),
    "pool and gated groups": Case(((POSITIVE, 1.0), (NEGATIVE, -2.0)), explanations=2, kernel=(3, 3), size=(1, 11, 12)),
    "mixed": Case(((POSITIVE, 1.0), (NEGATIVE, 1.0)), mix=((1.0, 0.25), (1.25, -0.25))),
    "mixed of whole blocks": Case(((OPEN, -0.5),), channels=32, mix=((2.0, 1.0),), biased=True),
    "mixed with a part of the bias": Case(
        ((NEGATIVE, 2.0), (OPEN, 1.0)), mix=((0.0, 1.0), (0.5, 0.5)), biased=True, within=True, explanations=2
    ),
    "mixed and pool": Case(((POSITIVE, 1.0), (OPEN, 1.0)), mix=((1.0, 1.0), (1.0, -1.0)), kernel=(2, 2), biased=True),
    "large": Case(((POSITIVE, 1.0),), explanations=2, biased=True, size=(1, 40, 37)),
}


def unpooled(r: Array, won: npt.NDArray[np.int32], kernel: tuple[int, int], size: Size3) -> Array:
    """Relevance of windows where their winners are."""
    found = np.zeros((*r.shape[:2], *size))
    won = won.repeat(len(r) // len(won), axis=0)
    for n, c, d, i, j in np.ndindex(*r.shape):
        row, column = divmod(int(won[n, c, d, i, j]), kernel[1])
        found[n, c, d, i * kernel[0] + row, j * kernel[1] + column] = r[n, c, d, i, j]
    return found


def in_groups(values: Array, channels: int) -> Array:
    """Filled up with zeros, as each of several groups has it."""
    return np.pad(values, [(0, 0), (0, channels - values.shape[1])] + [(0, 0)] * 3)


def of_gate(gate: core.Gate, own: Array) -> Array:
    return {OPEN: np.ones_like(own), POSITIVE: own > 0, NEGATIVE: own < 0}[gate]


@each_source
def test_quotients_clear_the_halo_of_memory_that_others_have_used(source: str):
    planes = 1 if source in FLAT else 2
    size, before, after = (planes, 13, 12), (1, 0, 2), (0, 3, 1)
    given, pool = SOURCES[source](SAMPLES, CHANNELS, size), core.Pool()
    s = core.Tensor(pool, SAMPLES, CHANNELS, size, before, after)
    quotient = core.Quotient(SAMPLES, loaded(np.ones_like(given.values)), s, [(OPEN, 1.0)], 1e-6)
    del s
    whole = core.Tensor(pool, SAMPLES, CHANNELS, (1 + planes, 16, 15))  # all of the same memory
    core.fill(whole, 7).run(THREADS)
    given.hand(quotient)
    found = whole.store(THREADS)
    inner = found[:, :, 1:, :13, 2:14].copy()
    assert (inner != 7).all()
    found[:, :, 1:, :13, 2:14] = 0
    assert (found == 0).all()


@each_source
@pytest.mark.parametrize("name", CASES)
def test_a_quotient_is_relevance_over_stabilized_values(source: str, name: str):
    case, t = CASES[name], CASES[name].explanations
    given = SOURCES[source](SAMPLES, case.channels if case.mix else case.stacked, case.size)
    bias = lanes(case.stacked, seed=6) if case.biased else None
    within = lanes(case.stacked, seed=7) if case.mix else bias
    constant = numbers(1, case.stacked, *case.size, seed=8) if case.constant else None
    own = numbers(SAMPLES, case.channels, *case.size, seed=9)
    out, pool, won = case.size, None, None
    if case.kernel is not None:
        windows, out = side_by_side(case.kernel, case.size)
        winners, largest = (empty(SAMPLES, case.channels, out) for _ in range(2))
        core.max_pool(windows, loaded(own), largest, winners).run(THREADS)
        pool, won = (windows, winners), taps(winners)
    r, s = numbers(SAMPLES * t, case.channels, *out, seed=10), empty(SAMPLES * t, case.stacked, case.size, *PAD)
    gated = any(gate != OPEN for gate, _ in case.groups)
    quotient = core.Quotient(
        SAMPLES,
        loaded(r),
        s,
        case.groups,
        case.stabilizer,
        bias,
        within if case.within else None,
        None if constant is None else loaded(constant),
        loaded(own) if gated or case.mix else None,
        pool,
        case.mix,
    )
    given.hand(quotient)

    each = case.stacked // len(case.groups)
    z = given.values.astype(np.float64)
    if case.mix:
        z = np.concatenate([in_groups(o * own.astype(np.float64) + v * z, each) for o, v in case.mix], axis=1)
    z = z + (0 if constant is None else constant) + by_channel(bias, case.stacked)
    if case.within:
        z = z - by_channel(within, case.stacked)
    stabilized = z + np.where(z >= 0, case.stabilizer, -case.stabilizer)
    z, stabilized = z.repeat(t, axis=0), stabilized.repeat(t, axis=0)
    spot = r if won is None or case.kernel is None else unpooled(r, won, case.kernel, case.size)
    numerators = np.concatenate(
        [
            share * in_groups(of_gate(gate, own).repeat(t, axis=0) * spot.astype(np.float64), each)
            for gate, share in case.groups
        ],
        axis=1,
    )
    expected = np.divide(numerators, stabilized, out=np.zeros_like(stabilized), where=stabilized != 0)
    error = np.abs(s.store(THREADS) - expected) * np.abs(stabilized)  # of the product: near 0, quotients are ill-posed
    assert (error <= 1e-6 * (1 + np.abs(expected)) * np.abs(given.values).max()).all()
    figures = [r, expected * by_channel(bias, case.stacked), expected * (stabilized - z), expected * stabilized]
    maps = [figure.sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in figures]
    scales = [np.abs(figure).sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in figures]
    tolerance = 1e-5 if case.stabilizer else 1e-3
    assert (np.abs(quotient.read() - np.stack(maps, axis=1)) <= tolerance * (np.stack(scales, axis=1) + 1e-3)).all()


def nothing(outputs: int) -> core.PackedWeights:
    return core.PackedWeights(np.zeros((outputs, 3, 1), np.float32), 1, False)


@pytest.mark.parametrize("fused", [False, True], ids=["in memory", "convolved"])
@pytest.mark.parametrize(("stabilizer", "expected"), [(0.0, 0.0), (0.5, 2.0)])
def test_relevance_over_nothing_is_nothing_and_nothing_counts_as_positive(
    fused: bool, stabilizer: float, expected: float
):
    zeros, s = np.zeros((1, CHANNELS, 1, 4, 4), np.float32), empty(1, CHANNELS)
    quotient = core.Quotient(1, loaded(zeros + 1), s, [(OPEN, 1.0)], stabilizer)
    if fused:
        core.convolve(nothing(CHANNELS), window(), loaded(numbers(1, 3, 1, 4, 4)), quotient).run(THREADS)
    else:
        core.take_up([loaded(zeros)], quotient).run(THREADS)
    assert (s.store(THREADS) == expected).all()
    absorbed = expected * stabilizer * zeros.size
    np.testing.assert_array_equal(quotient.read(), [[zeros.size, 0, absorbed, absorbed]])


def test_zero_with_a_minus_counts_as_positive_too():
    zeros, s = np.full((1, 16, 1, 4, 4), -0.0, np.float32), empty()
    quotient = core.Quotient(1, loaded(zeros + 1), s, [(OPEN, 1.0)], 0.5)
    core.take_up([loaded(zeros)], quotient).run(THREADS)
    assert (s.store(THREADS) == 2).all()


@pytest.mark.parametrize("gate", [POSITIVE, NEGATIVE])
def test_a_gate_is_shut_where_its_values_are_zero(gate: core.Gate):
    ones, s = np.ones((1, 16, 1, 4, 4), np.float32), empty()
    quotient = core.Quotient(1, loaded(ones), s, [(gate, 1.0)], 0.5, own=loaded(0 * ones))
    core.take_up([loaded(ones)], quotient).run(THREADS)
    assert (s.store(THREADS) == 0).all()


@pytest.mark.parametrize(("share", "expected"), [(-1.0, [0, 0, -1, -1]), (1.0, [1, 1, 1, 1])])
def test_what_takes_relevance_away_is_not_divided_by_rounding(share: float, expected: list[float]):
    values = np.array([2e-7, -2e-7, 4e-6, 1], np.float32).reshape(1, 1, 1, 1, 4)
    s = empty(1, 1, (1, 1, 4))
    quotient = core.Quotient(1, loaded(values), s, [(OPEN, share)], 0.0, noise=1e-6)
    core.take_up([loaded(values)], quotient).run(THREADS)
    np.testing.assert_array_equal(s.store(THREADS).ravel(), expected)


# Contribution


@each_source
@pytest.mark.parametrize("accumulate", [False, True], ids=["alone", "added"])
@pytest.mark.parametrize("parts", [(1, 1), (1, 0), (0, 1), (-1, 0), (2, -3)], ids=str)
@pytest.mark.parametrize("explanations", [1, 3])
def test_a_contribution_is_a_part_of_the_input_times_what_was_spread(
    source: str, accumulate: bool, parts: tuple[float, float], explanations: int
):
    size, samples = (1, 7, 9), SAMPLES * explanations
    given, a = SOURCES[source](samples, CHANNELS, size), numbers(SAMPLES, CHANNELS, *size, seed=11)
    before, (positive, negative) = numbers(samples, CHANNELS, *size, seed=12), parts
    out = loaded(before, *PAD)
    contribution = core.Contribution(loaded(a, (0, 1, 0)), out, accumulate, [(positive, negative, None)])
    given.hand(contribution)
    taken = (positive * np.maximum(a, 0.0) + negative * np.minimum(a, 0.0)).repeat(explanations, axis=0)
    handed = taken * given.values.astype(np.float64)
    close(out.store(THREADS), handed + before if accumulate else handed)
    close(contribution.read()[:, 0], handed.sum(axis=(1, 2, 3, 4)), 1e-5)


@pytest.mark.parametrize("rows", [7, 1], ids=["all rows", "one row"])
def test_a_contribution_of_what_is_fixed_alone_does_not_look_at_the_input(rows: int):
    size = (1, 7, 9)
    given, fixed = convolved(SAMPLES, CHANNELS, size), numbers(1, CHANNELS, 1, rows, 9, seed=11)
    a, out = loaded(np.full((SAMPLES, CHANNELS, *size), np.nan, np.float32)), empty(SAMPLES, CHANNELS, size)
    given.hand(core.Contribution(a, out, False, [(0, 0, loaded(fixed))]))
    close(out.store(THREADS), fixed * given.values.astype(np.float64))


def test_a_large_map_is_handed_down_whole():
    given, a = convolved(1, 40, (1, 61, 67)), numbers(1, 40, 1, 61, 67, seed=11)
    out = empty(1, 40, (1, 61, 67))
    contribution = core.Contribution(loaded(a), out, False)
    given.hand(contribution)
    handed = a.astype(np.float64) * given.values
    close(out.store(THREADS), handed)
    close(contribution.read()[:, 0], handed.sum(axis=(1, 2, 3, 4)), 1e-5)


@pytest.mark.parametrize("accumulate", [False, True], ids=["alone", "added"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rows", [13, 1], ids=["all rows", "one row"])
def test_stacked_parts_of_an_input_get_their_contributions_together(accumulate: bool, channels: int, rows: int):
    samples, explanations, size = 2, 3, (1, 13, 11)
    g = Geometry(40, 32, 1, size, (1, 3, 3), (1, 2, 2), ONES, *PAD, samples * explanations)
    x, w, s = g.operands()
    used = [*range(channels), *range(16, 16 + channels)]
    w[:, [channel for channel in range(32) if channel not in used]] = 0
    a, fixed = numbers(samples, channels, *size, seed=11), numbers(1, channels, 1, rows, 11, seed=13)
    before = numbers(samples * explanations, channels, *size, seed=12)
    out, parts = loaded(before), [(1.0, 0.0, None), (2.0, 2.0, loaded(fixed))]
    contribution = core.Contribution(loaded(a), out, accumulate, parts)
    linear(g, w, loaded(s, *g.halo(True)), contribution, True).run(THREADS)
    spread, repeated = native(g, x, w, s)[True], a.repeat(explanations, axis=0).astype(np.float64)
    handed = np.maximum(repeated, 0) * spread[:, used[:channels]]
    handed += (2 * repeated + fixed) * spread[:, used[channels:]]
    close(out.store(THREADS), handed + before if accumulate else handed)
    close(contribution.read()[:, 0], handed.sum(axis=(1, 2, 3, 4)), 1e-5)


# Bits

LARGE: dict[str, Size3] = {"in_memory": (1, 90, 93), "depthwise": (1, 90, 93)}


@each_source
@pytest.mark.parametrize("pool", [False, True], ids=["no pool", "pool"])
def test_results_and_sums_have_the_same_bits_for_any_threads_and_batch(source: str, pool: bool):
    size = LARGE.get(source, (1, 30, 31))
    windows, out = side_by_side((3, 3), size)
    given, a, r = SOURCES[source](3, 32, size), numbers(3, 32, *size, seed=10), numbers(3, 32, *out, seed=11)
    winners = np.random.default_rng(12).integers(9, size=r.shape, dtype=np.int32).view(np.float32)

    def results(part: slice, threads: int) -> list[Array]:
        some, handed = loaded(a[part]), loaded(0 * a[part])
        s, y, largest = (empty(some.samples, 32, shape) for shape in (size, size, out))
        won = empty(some.samples, 32, out)
        to = (windows, largest, won, 0.0) if pool else None
        of = (windows, loaded(winners[part])) if pool else None
        epilogues = (
            core.Activation(some.samples, 32, size, function("clip"), lanes(32, seed=6), y=y, pool=to),
            quotient := core.Quotient(some.samples, loaded(r[part]) if pool else some, s, [(OPEN, 1.0)], 0.1, pool=of),
            contribution := core.Contribution(some, handed, True, [(1, 0, None)]),
        )
        for epilogue in epilogues:
            given.hand(epilogue, part, threads)
        maps = [tensor.store(THREADS) for tensor in (y, s, handed, largest, won)]
        return [*maps, quotient.read(), contribution.read()]

    expected = results(slice(None), 1)
    for threads in (2, 3):
        for one, other in zip(results(slice(None), threads), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    for n in range(3):
        for one, other in zip(results(slice(n, n + 1), THREADS), expected, strict=True):
            np.testing.assert_array_equal(one, other[n : n + 1])


# Sums


def shared_out(
    r: core.Tensor,
    z: core.Tensor,
    share: float,
    stabilizer: float,
    branches: list[tuple[core.Tensor, core.Tensor, bool]],
) -> npt.NDArray[np.float64]:
    figures = core.ShareOut(r, z, share, stabilizer, branches)
    figures.step().run(THREADS)
    return figures.read()


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_sum_is_activated_as_a_whole(name: str, count: int):
    size = (2, 5, 90)
    branches, y = (
        [numbers(SAMPLES, CHANNELS, *size, seed=i) for i in range(count)],
        empty(SAMPLES, CHANNELS, size, *PAD),
    )
    summed = core.Activation(SAMPLES, CHANNELS, size, function(name), y=y)
    core.take_up([loaded(x, (0, 0, i)) for i, x in enumerate(branches)], summed).run(THREADS)
    close(y.store(THREADS), FORMULAS[name](np.sum(branches, axis=0).astype(np.float64)))


@pytest.mark.parametrize("explanations", [1, 3])
@pytest.mark.parametrize("stabilizer", [0.25, 0.0])
@pytest.mark.parametrize("accumulated", [(False, False), (False, True), (True, True)], ids=str)
def test_a_sum_is_shared_out_in_proportion(explanations: int, stabilizer: float, accumulated: tuple[bool, ...]):
    shape, share = (SAMPLES, CHANNELS, 2, 7, 50), -0.5
    brought = [numbers(*shape, seed=i) for i in range(2)]
    z, r = sum(brought), numbers(SAMPLES * explanations, *shape[1:], seed=3)
    outs = [loaded(np.ones_like(r)) for _ in brought]
    branches = [(loaded(a), out, added) for a, out, added in zip(brought, outs, accumulated, strict=True)]
    figures = shared_out(loaded(r, *PAD), loaded(z), share, stabilizer, branches)

    wide = z.astype(np.float64).repeat(explanations, axis=0)
    stabilized = wide + np.where(wide >= 0, stabilizer, -stabilizer)
    s = share * r / stabilized
    handed = [a.repeat(explanations, axis=0) * s for a in brought]
    for out, part, added in zip(outs, handed, accumulated, strict=True):
        close(out.store(THREADS), part + added, 4e-6)
    expected = [r, s * (stabilized - wide), s * stabilized, *handed]
    totals = [figure.sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in expected]
    scales = [np.abs(figure).sum(axis=(1, 2, 3, 4), dtype=np.float64) for figure in expected]
    assert (np.abs(figures - np.stack(totals, axis=1)) <= 1e-5 * np.stack(scales, axis=1)).all()


def test_one_tensor_may_be_the_target_of_two_branches():
    a, r = numbers(2, CHANNELS, 1, 8, 9), numbers(2, CHANNELS, 1, 8, 9, seed=1)
    brought, out = loaded(a), empty(2, CHANNELS, (1, 8, 9))
    figures = shared_out(loaded(r), loaded(2 * a), 1, 0, [(brought, out, False), (brought, out, True)])
    close(out.store(THREADS), r)
    np.testing.assert_allclose(figures[:, 3], figures[:, 4], rtol=1e-6)
    close(figures[:, 3], r.sum(axis=(1, 2, 3, 4), dtype=np.float64) / 2, 1e-5)


def test_nothing_is_shared_out_of_a_sum_of_nothing():
    zeros, out = np.zeros((1, CHANNELS, 1, 4, 4), np.float32), empty(1, CHANNELS)
    figures = shared_out(loaded(zeros + 1), loaded(zeros), 1, 0, [(loaded(zeros + 3), out, False)])
    assert (out.store(THREADS) == 0).all()
    np.testing.assert_array_equal(figures, [[zeros.size, 0, 0, 0]])


# What is refused


def small(channels: int = 16, samples: int = 1) -> core.Tensor:
    """For the windows of `TWO` on a map of 4 x 4."""
    return empty(samples, channels, (1, 2, 2))


TWO = window((1, 2, 2), (1, 2, 2))


def activation(size: Size3 = (1, 4, 4), **options: object) -> core.Activation:
    settings = {"samples": 1, "channels": 16, "y": empty(), "function": IDENTITY} | options
    return core.Activation(size=size, **settings)


def pooled(windows: core.Window = TWO, values: core.Tensor | None = None, winners: core.Tensor | None = None) -> object:
    return activation(y=None, pool=(windows, values or small(), winners or small(), 0.0))


def quotient(r: core.Tensor, s: core.Tensor, samples: int = 1, groups: Groups = ((OPEN, 1.0),), **options: object):
    return core.Quotient(samples, r, s, groups, 0.1, **options)


def contribution(a: core.Tensor, out: core.Tensor) -> core.Contribution:
    return core.Contribution(a, out, False)


def parts_of_16() -> core.Contribution:
    return core.Contribution(empty(), empty(), False, [(1, 0, None), (0, 1, None)])


def share_out(r: core.Tensor, z: core.Tensor, a: core.Tensor, out: core.Tensor) -> None:
    core.ShareOut(r, z, 1, 0, [(a, out, False)])


LANES = np.ones(16, np.float32)
REFUSED: dict[str, tuple[str, Callable[[], object]]] = {
    "activation: to nowhere": ("nothing", lambda: activation(y=None)),
    "activation: short bias": ("bias", lambda: activation(bias=LANES[:15])),
    "activation: long bias": ("bias", lambda: activation(bias=np.ones(32, np.float32))),
    "activation: bias of channels": ("bias", lambda: activation(channels=20, y=empty(channels=20), bias=LANES)),
    "activation: slope for samples": ("slope", lambda: activation(samples=2, y=empty(2), slope=empty(2))),
    "activation: slope for channels": ("slope", lambda: activation(slope=empty(channels=15))),
    "activation: slope of another size": ("slope", lambda: activation(slope=small())),
    "activation: samples": ("y", lambda: activation(y=empty(2))),
    "activation: channels": ("y", lambda: activation(y=empty(channels=17))),
    "activation: size": ("y", lambda: activation(y=small())),
    "activation: negative bias": ("y|bias", lambda: activation(channels=-16, bias=LANES)),
    "pool: overlapping": ("pool", lambda: pooled(window((1, 2, 2), (1, 1, 1)))),
    "pool: overlapping columns": ("pool", lambda: pooled(window((1, 2, 2), (1, 2, 1)))),
    "pool: with gaps": ("pool", lambda: pooled(window((1, 1, 1), (1, 2, 2)))),
    "pool: dilated": ("pool", lambda: pooled(window((1, 2, 2), (1, 2, 2), (1, 2, 1)))),
    "pool: padded": ("pool", lambda: pooled(window((1, 2, 2), (1, 2, 2), before=(0, 1, 0)))),
    "pool: planes": ("pool", lambda: pooled(window((2, 2, 2), (2, 2, 2)))),
    "pool: larger than the map": ("pool", lambda: pooled(window((1, 5, 5), (1, 5, 5)))),
    "pool: size of values": ("pool", lambda: pooled(values=empty())),
    "pool: size of winners": ("winners", lambda: pooled(winners=empty())),
    "pool: channels of values": ("pool", lambda: pooled(values=small(17))),
    "pool: channels of winners": ("winners", lambda: pooled(winners=small(17))),
    "pool: samples of values": ("pool", lambda: pooled(values=small(16, 2))),
    "pool: samples of winners": ("winners", lambda: pooled(winners=small(16, 2))),
    "contribution: parts from memory": ("any order", lambda: core.take_up([empty(channels=32)], parts_of_16())),
    "contribution: parts of many channels": (
        "few channels",
        lambda: core.convolve(
            core.PackedWeights(np.ones((32, 3, 1), np.float32), 1, False), window(), empty(channels=3), parts_of_16()
        ),
    ),
    "contribution: half a part": ("a", lambda: contribution(empty(channels=48), empty(channels=32))),
    "quotient: a mix for fewer groups": ("mix", lambda: quotient(empty(), empty(), mix=[])),
    "quotient: a mix without own": ("own values", lambda: quotient(empty(), empty(), mix=[(1.0, 1.0)])),
    "quotient: within of another length": ("bias", lambda: quotient(empty(), empty(), within=np.ones(15, np.float32))),
    "quotient: no samples": ("no samples", lambda: quotient(empty(), empty(), 0)),
    "quotient: no groups": ("r", lambda: quotient(empty(), empty(), groups=())),
    "quotient: missing group": ("r", lambda: quotient(empty(), empty(channels=32))),
    "quotient: too many groups": ("r", lambda: quotient(empty(), empty(), groups=((OPEN, 1.0),) * 2)),
    "quotient: channels": ("r", lambda: quotient(empty(channels=17), empty(channels=18))),
    "quotient: size": ("r", lambda: quotient(small(), empty())),
    "quotient: explanations": ("explanations", lambda: quotient(empty(3), empty(3), 2)),
    "quotient: samples": ("explanations", lambda: quotient(empty(2), empty(4), 2)),
    "quotient: fewer relevances than samples": ("explanations", lambda: quotient(empty(), empty(), 2)),
    "quotient: short bias": ("bias", lambda: quotient(empty(), empty(), bias=LANES[:15])),
    "quotient: bias of one group": (
        "bias",
        lambda: quotient(empty(), empty(channels=32), groups=((OPEN, 1.0),) * 2, bias=LANES),
    ),
    "quotient: constants": ("constant", lambda: quotient(empty(2), empty(2), 2, constant=empty(2))),
    "quotient: channels of the constant": ("constant", lambda: quotient(empty(), empty(), constant=empty(channels=17))),
    "quotient: size of the constant": ("constant", lambda: quotient(empty(), empty(), constant=small())),
    "quotient: gate": ("own values", lambda: quotient(empty(), empty(), groups=((POSITIVE, 1.0),))),
    "quotient: own samples": ("own", lambda: quotient(empty(2), empty(2), 2, own=empty())),
    "quotient: own channels": ("own", lambda: quotient(empty(), empty(), own=empty(channels=15))),
    "quotient: own size": ("own", lambda: quotient(empty(), empty(), own=small())),
    "quotient: pool of another size": ("pool", lambda: quotient(empty(), empty(), pool=(TWO, empty()))),
    "quotient: winners of another size": ("winners", lambda: quotient(small(), empty(), pool=(TWO, empty()))),
    "quotient: winners of other samples": (
        "winners",
        lambda: quotient(small(16, 3), empty(3), 3, pool=(TWO, small(16, 2))),
    ),
    "quotient: winners of other channels": ("winners", lambda: quotient(small(), empty(), pool=(TWO, small(15)))),
    "contribution: channels": ("a", lambda: contribution(empty(channels=15), empty())),
    "contribution: size": ("a", lambda: contribution(small(), empty())),
    "contribution: samples": ("a", lambda: contribution(empty(2), empty(3))),
    "contribution: fewer results": ("a", lambda: contribution(empty(2), empty())),
    "take_up: samples": ("a tensor", lambda: core.take_up([empty(2)], stored(empty()))),
    "take_up: channels": ("a tensor", lambda: core.take_up([empty(channels=17)], stored(empty()))),
    "take_up: size": ("a tensor", lambda: core.take_up([small()], stored(empty()))),
    "share_out: denominators": ("fit", lambda: share_out(empty(), small(), empty(), empty())),
    "share_out: samples": ("fit", lambda: share_out(empty(3), empty(2), empty(), empty(3))),
    "share_out: channels": ("fit", lambda: share_out(empty(), empty(), empty(channels=15), empty())),
    "share_out: result": ("fit", lambda: share_out(empty(), empty(), empty(), small())),
    "share_out: one result": ("too few samples", lambda: share_out(empty(2), empty(2), empty(2), empty())),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operands_that_do_not_fit_are_refused(name: str):
    message, step = REFUSED[name]
    expected = f"epilogue: {message} does not fit the map" if message in WHOLE_MESSAGES else message
    with pytest.raises(ValueError, match=expected):
        step()


WHOLE_MESSAGES = {"nothing", "bias", "slope", "y", "y|bias", "pool", "winners", "r", "constant", "own", "a", "a tensor"}


def test_an_epilogue_alone_cannot_be_made():
    with pytest.raises(TypeError):
        core.Epilogue()
