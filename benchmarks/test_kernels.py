"""Kernels of the compiled core against the NumPy reference, on shapes of well-known networks.

Tensors are in the layout of the core already, as they are between the layers of a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import pytest

from lrpfast import _native as core
from lrpfast.engine.native.layout import Bench, Halo, adjoint_halo, forward_halo, stored, window3
from lrpfast.engine.reference import engine as reference
from lrpfast.engine.reference.maps import ConvolutionMap, modified
from lrpfast.model.layers import Convolution, MaxPool, Shape, Window
from lrpfast.rules import Gradient
from lrpfast.rules.terms import AS_IS, POSITIVE

from .models import Floats
from .tables import KernelRow, Results
from .timing import a_few_times, in_turns

STABILIZER = 1e-6

IDENTITY = core.FunctionParameters(core.Function.identity, 0, 0, 0, 0)

#: rows of the square matrices whose product shows what the machine can do
PRODUCT_SIZE = 1024


@dataclass(frozen=True)
class Geometry:
    """A square convolution that keeps the size of the map, but for its stride."""

    channels: int
    outputs: int
    size: int
    kernel: int
    stride: int = 1
    groups: int = 1

    def layer(self) -> Convolution:
        pad, shape = self.kernel // 2, (self.outputs, self.channels // self.groups, self.kernel, self.kernel)
        window = Window((self.kernel,) * 2, (self.stride,) * 2, (1, 1), ((pad, pad),) * 2)
        return Convolution(numbers(*shape) * np.float32(0.05), None, window, self.groups)

    @property
    def is_tiled(self) -> bool:
        """Whether Winograd's algorithm computes it too."""
        return self.kernel == 3 and self.stride == self.groups == 1

    def flops(self) -> int:
        """By definition, whatever the algorithm saves."""
        outputs = self.outputs * ceil(self.size / self.stride) ** 2
        return 2 * outputs * (self.channels // self.groups) * self.kernel**2

    def __str__(self) -> str:
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        kind = "depthwise " if self.groups > 1 else ""
        return f"{kind}{self.kernel}x{self.kernel}, {self.channels} to {self.outputs}, {self.size}x{self.size}{stride}"


CONVOLUTIONS = (
    Geometry(64, 64, 112, 3),
    Geometry(256, 256, 28, 3),
    Geometry(512, 512, 14, 3),
    Geometry(256, 64, 56, 1),
    Geometry(128, 128, 56, 3, stride=2),
    Geometry(144, 144, 56, 3, groups=144),
)

MAP: Shape = (64, 112, 112)


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.fixture(scope="module")
def bench(results: Results) -> Bench:
    return Bench(results.threads)


def into(target: core.Tensor) -> core.Activation:
    """Values are stored as they are."""
    return core.Activation(target.samples, target.channels, target.size, IDENTITY, y=target)


def matrix_product() -> Callable[[], object]:
    """NumPy's product of two large matrices, for a measure of what the machine can do."""
    a, b = numbers(PRODUCT_SIZE, PRODUCT_SIZE), numbers(PRODUCT_SIZE, PRODUCT_SIZE, seed=1)
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def agree(found: Floats, expected: Floats) -> None:
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def compare(
    benchmark: Any,
    results: Results,
    name: str,
    native: Callable[[], object],
    slow: Callable[[], object],
    flops: int = 0,
) -> None:
    """Time both and leave a row; with `flops`, measure them by NumPy's matrix product too."""
    benchmark.group = "kernels"
    times = in_turns(benchmark, native, {"product": matrix_product()} if flops else {})
    speed = 2 * PRODUCT_SIZE**3 / times["product"].median if flops else 0.0
    results.kernels.append(KernelRow(name, times["native"], a_few_times(slow), flops, speed))


@dataclass(frozen=True)
class Case:
    """A convolution in one direction, by definition or by Winograd's algorithm."""

    geometry: Geometry
    adjoint: bool
    winograd: bool

    def step(self, layer: Convolution, source: core.Tensor, target: core.Tensor) -> core.Step:
        weight = layer.weight.reshape(*layer.weight.shape[:2], -1)
        if self.winograd:
            before = 2 - self.geometry.kernel // 2 if self.adjoint else self.geometry.kernel // 2
            return core.winograd(core.WinogradWeights(weight, self.adjoint), (before, before), source, into(target))
        packed = core.PackedWeights(weight, self.geometry.groups, self.adjoint)
        return core.convolve(packed, window3(layer.window, (self.geometry.size,) * 2), source, into(target))

    def __str__(self) -> str:
        return f"{'adjoint' if self.adjoint else 'forward'} {self.geometry}{', Winograd' if self.winograd else ''}"


#: Winograd's algorithm right behind the definition
CASES = [
    Case(geometry, adjoint, winograd)
    for geometry in CONVOLUTIONS
    for adjoint in (False, True)
    for winograd in ((False, True) if geometry.is_tiled else (False,))
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution(benchmark: Any, results: Results, bench: Bench, case: Case) -> None:
    geometry, layer, spatial = case.geometry, case.geometry.layer(), (case.geometry.size,) * 2
    linear = ConvolutionMap(layer, spatial, np.dtype(np.float32))
    inner, outer = (geometry.channels, *spatial), (geometry.outputs, *linear.out)
    given, made = (outer, inner) if case.adjoint else (inner, outer)
    values = numbers(1, *given)
    halo = Halo() if case.winograd else (adjoint_halo if case.adjoint else forward_halo)(layer.window, spatial)
    source, target = bench.loaded(values, halo), bench.tensor(1, made)
    step = case.step(layer, source, target)

    def native() -> None:
        step.run(bench.threads)

    def slow() -> Floats:
        return linear.adjoint(AS_IS, values) if case.adjoint else linear.forward(AS_IS, values)

    native()
    agree(stored(target, made, bench.threads), slow())
    compare(benchmark, results, str(case), native, slow, geometry.flops())


@pytest.mark.parametrize("back", [False, True], ids=["pool", "pool and unpool"])
def test_max_pool(benchmark: Any, results: Results, bench: Bench, back: bool) -> None:
    layer = MaxPool(Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))))
    values, small = numbers(1, *MAP), (MAP[0], MAP[1] // 2, MAP[2] // 2)
    relevance = numbers(1, *small, seed=1)
    window, x, r = window3(layer.window, MAP[1:]), bench.loaded(values), bench.loaded(relevance)
    y, winners, out = bench.tensor(1, small), bench.tensor(1, small), bench.tensor(1, MAP)

    steps = [core.max_pool(window, x, y, winners)] + [core.max_unpool(window, r, winners, out)] * back

    def native() -> None:
        for step in steps:
            step.run(bench.threads)

    def slow() -> Floats:
        return (
            reference.unpooled(Gradient(), layer, values, relevance) if back else reference.max_pool(layer, values)[0]
        )

    native()
    agree(stored(out, MAP, bench.threads) if back else stored(y, small, bench.threads), slow())
    name = f"max {'pool and unpool' if back else 'pool'} 2x2, {MAP[0]}, {MAP[1]}x{MAP[2]}"
    compare(benchmark, results, name, native, slow)


def test_quotient(benchmark: Any, results: Results, bench: Bench) -> None:
    r, z = numbers(1, *MAP), numbers(1, *MAP, seed=1)
    native_r, native_z, s = bench.loaded(r), bench.loaded(z), bench.tensor(1, MAP)

    step = core.take_up([native_z], core.Quotient(1, native_r, s, [(core.Gate.open, 1.0)], STABILIZER))

    def native() -> None:
        step.run(bench.threads)

    def slow() -> Floats:
        found, stabilized = reference.quotient(r, z, STABILIZER)
        reference.per_sample(found * (stabilized - z))  # the audit's sums are part of the kernel
        reference.per_sample(found * stabilized)
        return found

    native()
    agree(stored(s, MAP, bench.threads), slow())
    compare(benchmark, results, f"quotient with its audit, {MAP[0]}, {MAP[1]}x{MAP[2]}", native, slow)


def test_contribute(benchmark: Any, results: Results, bench: Bench) -> None:
    a, c = numbers(1, *MAP), numbers(1, *MAP, seed=1)
    native_a, native_c, out = bench.loaded(a, Halo((0, 1, 1), (0, 1, 1))), bench.loaded(c), bench.tensor(1, MAP)
    total = np.zeros_like(a)

    first, added = (
        core.take_up([native_c], core.Contribution(native_a, out, more, [(1, 0, None)])) for more in (False, True)
    )

    def native() -> None:
        added.run(bench.threads)

    def slow() -> None:
        np.add(total, modified(a, POSITIVE) * c, out=total)

    first.run(bench.threads)
    slow()
    agree(stored(out, MAP, bench.threads), total)
    compare(benchmark, results, f"contribute x+ . c, {MAP[0]}, {MAP[1]}x{MAP[2]}", native, slow)
