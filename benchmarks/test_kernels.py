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
from lrpfast.engine.native.layout import Halo, Workshop, adjoint_halo, forward_halo, window3
from lrpfast.engine.reference import engine as reference
from lrpfast.engine.reference.maps import ConvolutionMap, modified
from lrpfast.model.layers import Convolution, MaxPool, Shape, Window
from lrpfast.rules.terms import AS_IS, POSITIVE

from .models import Floats
from .tables import KernelRow, Results
from .timing import a_few_times, in_turns

STABILIZER = 1e-6

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

    def flops(self) -> int:
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
def shop(results: Results) -> Workshop:
    return Workshop(core.Pool(), results.threads)


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


@pytest.mark.parametrize("direction", ["forward", "adjoint"])
@pytest.mark.parametrize("geometry", CONVOLUTIONS, ids=str)
def test_convolution(benchmark: Any, results: Results, shop: Workshop, geometry: Geometry, direction: str) -> None:
    layer, spatial = geometry.layer(), (geometry.size,) * 2
    linear, backward = ConvolutionMap(layer, spatial, np.dtype(np.float32)), direction == "adjoint"
    inner, outer = (geometry.channels, *spatial), (geometry.outputs, *linear.out)
    weight = core.PackedWeights(layer.weight.reshape(*layer.weight.shape[:2], -1), geometry.groups, backward)
    values = numbers(1, *(outer if backward else inner))
    source = shop.loaded(values, (adjoint_halo if backward else forward_halo)(layer.window, spatial))
    target, window = shop.tensor(1, inner if backward else outer), window3(layer.window, spatial)

    def native() -> None:
        core.convolve(weight, window, source, target, None, False, shop.threads)

    def slow() -> Floats:
        return linear.adjoint(AS_IS, values) if backward else linear.forward(AS_IS, values)

    native()
    agree(shop.stored(target, inner if backward else outer), slow())
    compare(benchmark, results, f"{direction} {geometry}", native, slow, geometry.flops())


@pytest.mark.parametrize("back", [False, True], ids=["pool", "pool and unpool"])
def test_max_pool(benchmark: Any, results: Results, shop: Workshop, back: bool) -> None:
    layer = MaxPool(Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0))))
    values, small = numbers(1, *MAP), (MAP[0], MAP[1] // 2, MAP[2] // 2)
    relevance = numbers(1, *small, seed=1)
    window, x, r = window3(layer.window, MAP[1:]), shop.loaded(values), shop.loaded(relevance)
    y, winners, out = shop.tensor(1, small), shop.tensor(1, small), shop.tensor(1, MAP)

    def native() -> None:
        core.max_pool(window, x, y, winners, shop.threads)
        if back:
            core.max_unpool(window, r, winners, out, shop.threads)

    def slow() -> Floats:
        return reference.to_winners(layer, values, relevance) if back else reference.max_pool(layer, values)[0]

    native()
    agree(shop.stored(out, MAP) if back else shop.stored(y, small), slow())
    name = f"max {'pool and unpool' if back else 'pool'} 2x2, {MAP[0]}, {MAP[1]}x{MAP[2]}"
    compare(benchmark, results, name, native, slow)


def test_quotient(benchmark: Any, results: Results, shop: Workshop) -> None:
    r, z = numbers(1, *MAP), numbers(1, *MAP, seed=1)
    native_r, native_z, s = shop.loaded(r), shop.loaded(z), shop.tensor(1, MAP)

    def native() -> None:
        core.quotient(native_r, native_z, None, None, core.Gate.open, 1.0, STABILIZER, s, shop.threads)

    def slow() -> Floats:
        found, stabilized = reference.quotient(r, z, STABILIZER)
        reference.per_sample(found * (stabilized - z))  # the audit's sums are part of the kernel
        reference.per_sample(found * stabilized)
        return found

    native()
    agree(shop.stored(s, MAP), slow())
    compare(benchmark, results, f"quotient with its audit, {MAP[0]}, {MAP[1]}x{MAP[2]}", native, slow)


def test_contribute(benchmark: Any, results: Results, shop: Workshop) -> None:
    a, c = numbers(1, *MAP), numbers(1, *MAP, seed=1)
    native_a, native_c, out = shop.loaded(a, Halo((0, 1, 1), (0, 1, 1))), shop.loaded(c), shop.tensor(1, MAP)
    total = np.zeros_like(a)

    def native(accumulate: bool = True) -> None:
        core.contribute(1, 0, 1, native_a, native_c, accumulate, out, shop.threads)

    def slow() -> None:
        np.add(total, modified(a, POSITIVE) * c, out=total)

    native(accumulate=False)
    slow()
    agree(shop.stored(out, MAP), total)
    compare(benchmark, results, f"contribute x+ . c, {MAP[0]}, {MAP[1]}x{MAP[2]}", native, slow)
