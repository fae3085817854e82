"""The way back to an image of few channels by patches, from relevance that is mostly zero."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import numpy as np
import pytest

from lrpfast import _native as core
from test_kernels import (
    ONES,
    THREADS,
    Array,
    Geometry,
    Size3,
    each_isa,
    empty,
    found_with_isa,
    loaded,
    numbers,
    oracle,
    stored,
    thinned,
    window,
)


def geometry(
    outputs: int, kernel: tuple[int, int], strides: tuple[int, int] = (1, 1), pads: int = 0, size: Size3 = (1, 23, 21)
) -> Geometry:
    """A convolution from 3 channels, of two samples."""
    before = (0, pads, pads)
    return Geometry(outputs, 3, 1, size, (1, *kernel), (1, *strides), ONES, before, before)


GEOMETRIES = {
    "7x7 stride 2": geometry(24, (7, 7), (2, 2)),
    "7x7 stride 2, padded": geometry(64, (7, 7), (2, 2), pads=3),
    "more channels than one visit takes": geometry(150, (5, 5), pads=2),
    "one row": geometry(16, (1, 5)),
    "one column": geometry(16, (5, 1)),
    "not square": geometry(20, (3, 6), (2, 1), pads=1),
    "stride with leftovers": geometry(17, (5, 5), (3, 4)),
    "stride beyond the kernel": geometry(16, (2, 2), (3, 3)),
    "1x1": geometry(16, (1, 1)),
    "many strips": geometry(16, (11, 11), (4, 4), pads=2, size=(1, 67, 45)),
    "a small image": geometry(16, (5, 5), pads=2, size=(1, 5, 5)),
}


def back(g: Geometry, w: Array, s: Array, threads: int = THREADS) -> Array:
    weights = core.PatchWeights(w.reshape(g.outputs, g.channels, -1), *g.kernel[1:])
    found = empty(len(s), g.channels, g.size)
    core.patch(weights, window(g.kernel, g.strides, g.dilations, g.before), loaded(s), stored(found)).run(threads)
    return found.store(THREADS)


def errors() -> dict[str, float]:
    """Largest difference from float64, as a share of the largest sum of magnitudes."""
    found = {}
    for name, g in GEOMETRIES.items():
        for density in (0, 0.1, 1):
            x, w, s = g.operands()
            s = thinned(s, density)
            scale = oracle(g, np.abs(x), np.abs(w), np.abs(s))[1].max() or 1
            found[f"{name}, {density}"] = float(np.abs(back(g, w, s) - oracle(g, x, w, s)[1]).max() / scale)
    return found


@each_isa
def test_patches_add_up_to_the_adjoint(isa: str):
    assert max(found_with_isa(isa, "errors", __file__).values()) < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_images_of_other_channels_and_parts_of_one_are_patched(channels: int):
    g = Geometry(40, 40, 1, (1, 15, 14), (1, 5, 5), (1, 2, 2), ONES, (0, 2, 2), (0, 2, 2))
    x, w, s = g.operands()
    used = [0, 1, 17, 18, 33, 39][:channels]
    w[:, [channel for channel in range(40) if channel not in used]] = 0
    found, expected = back(g, w, s), oracle(g, x, w, s)[1]
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()


def test_bits_are_the_same_for_any_threads_and_batch():
    g = GEOMETRIES["many strips"]
    _, w, s = g.operands()
    s = thinned(s, 0.2)
    whole = back(g, w, s, 1)
    for threads in (2, 3):
        np.testing.assert_array_equal(back(g, w, s, threads), whole)
    for n in range(len(s)):
        np.testing.assert_array_equal(back(g, w, s[n : n + 1]), whole[n : n + 1])


def patched(
    weights: core.PatchWeights | None = None,
    kernel: core.Window | None = None,
    source: core.Tensor | None = None,
    image: core.Tensor | None = None,
) -> None:
    five = core.PatchWeights(numbers(16, 3, 25), 5, 5) if weights is None else weights
    core.patch(
        five, kernel or window((1, 5, 5)), source or empty(1, 16, (1, 4, 4)), stored(image or empty(1, 3, (1, 8, 8)))
    )


REFUSED: dict[str, tuple[str, Callable[[], object]]] = {
    "weights for nobody": ("for 0 channels", lambda: core.PatchWeights(np.zeros((16, 3, 25), np.float32), 5, 5)),
    "weights for many": ("for 7 channels", lambda: core.PatchWeights(numbers(16, 7, 25), 5, 5)),
    "weights of other taps": ("weights must be", lambda: core.PatchWeights(numbers(16, 3, 25), 5, 4)),
    "another kernel": ("not that of the weights", lambda: patched(kernel=window((1, 5, 4)))),
    "dilations": ("dilated", lambda: patched(kernel=window((1, 5, 5), ONES, (1, 2, 1)))),
    "several planes": ("planes", lambda: patched(source=empty(1, 16, (2, 4, 4)), image=empty(1, 3, (2, 8, 8)))),
    "padding of a whole kernel": ("window", lambda: patched(kernel=window((1, 5, 5), before=(0, 5, 0)))),
    "channels": ("channels", lambda: patched(source=empty(1, 17, (1, 4, 4)))),
    "samples": ("samples", lambda: patched(source=empty(2, 16, (1, 4, 4)))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str):
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


if __name__ == "__main__":
    print(json.dumps([core.isa(), {"errors": errors}[sys.argv[1]]()]))
