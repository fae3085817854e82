"""Images held in planes: loading and storing them, and relevance that arrives there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lrpfast import _native as core
from lrpfast.engine.native.layout import Halo, halo_in_planes, in_planes, planes
from test_kernels import ONES, THREADS, Array, Geometry, empty, loaded, numbers, stored, window


def image(values: Array) -> core.Tensor:
    """Images (N, C, H, W) in planes."""
    return loaded(in_planes(values))


def stored_image(tensor: core.Tensor) -> Array:
    _, rows, columns = tensor.size
    return tensor.store(THREADS).transpose(0, 2, 3, 4, 1).reshape(tensor.samples, -1, rows, 16 * columns)


def test_an_image_in_planes_lies_as_callers_have_it():
    x = numbers(2, 3, 5, 32)
    tensor = image(x)
    assert (tensor.channels, *tensor.size) == planes((3, 5, 32)) == (16, 3, 5, 2)
    np.testing.assert_array_equal(stored_image(tensor), x)
    found = np.full_like(x, np.nan)
    tensor.store_to(in_planes(found), THREADS)
    np.testing.assert_array_equal(found, x)


def test_values_are_loaded_and_stored_with_any_strides():
    x = numbers(2, 5, 6, 19, 1)
    as_given, found = np.asfortranarray(x), np.full(x.shape[::-1], np.nan, np.float32)
    loaded(as_given).store_to(found.transpose(), THREADS)
    np.testing.assert_array_equal(found.transpose(), x)


@pytest.mark.parametrize(
    "values",
    [np.zeros((1, 16, 3, 5, 3), np.float32), np.zeros((16, 3, 5, 2), np.float32)],
    ids=["another size", "fewer axes"],
)
def test_values_of_another_shape_are_refused(values: Array):
    with pytest.raises(ValueError, match="values of a tensor"):
        image(numbers(1, 3, 5, 32)).store_to(values, THREADS)


def test_values_of_another_type_are_not_written_to_a_copy():
    with pytest.raises(TypeError):
        image(numbers(1, 3, 5, 32)).store_to(np.zeros((1, 16, 3, 5, 2)), THREADS)


SIZES = {"strips": (45, 48), "one row": (1, 16), "samples together": (3, 16)}
KERNELS = {"3x3": (3, 1), "stride": (3, 2), "5x5, stride": (5, 2), "stride beyond the kernel": (2, 3)}


@pytest.mark.parametrize("method", ["convolve", "patch"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_contributions_in_planes_are_those_in_blocks(method: str, size: str, kernel: str, parts: int, channels: int):
    unused = 1  # a channel without weights has a plane all the same
    samples, explanations, (rows, columns), (side, stride) = 2, 3, SIZES[size], KERNELS[kernel]
    pads = (0, side // 2, side // 2)
    stacked = channels if parts == 1 else 16 * parts
    g = Geometry(
        40,
        stacked,
        1,
        (1, rows, columns),
        (1, side, side),
        (1, stride, stride),
        ONES,
        pads,
        pads,
        samples * explanations,
    )
    _, w, s = g.operands()
    w[:, [channel for channel in range(stacked) if channel % 16 >= channels or channel % 16 == unused]] = 0
    a, before = numbers(samples, channels, rows, columns), numbers(len(s), channels, rows, columns, seed=3)
    fixed = [numbers(1, channels, fixed_rows, columns, seed=fixed_rows) for fixed_rows in (1, rows)]

    def handed(as_tensor: Callable[[Array], core.Tensor], layout: bool) -> tuple[core.Tensor, core.Contribution]:
        out = as_tensor(before)
        taken = [(1.0, 1.0, as_tensor(fixed[0])), (2.0, 0.5, as_tensor(fixed[1]))][:parts]
        to = core.Contribution(as_tensor(a), out, True, taken, in_planes=layout)
        kernel, weights = window(g.kernel, g.strides, g.dilations, g.before), w.reshape(40, stacked, -1)
        if method == "patch":
            step: core.Step = core.patch(core.PatchWeights(weights, side, side), kernel, loaded(s), to)
        else:
            step = core.convolve(core.PackedWeights(weights, 1, True), kernel, loaded(s, *g.halo(True)), to)
        step.run(THREADS)
        return out, to

    out, to = handed(image, True)
    blocks, same = handed(lambda values: loaded(values[:, :, np.newaxis]), False)
    np.testing.assert_array_equal(stored_image(out), blocks.store(THREADS)[:, :, 0])
    np.testing.assert_allclose(to.read(), same.read(), atol=1e-6 * np.abs(stored_image(out)).sum())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("outputs", [16, 70])
def test_a_convolution_of_an_image_in_planes_is_that_of_one_in_blocks(
    size: str, kernel: str, channels: int, outputs: int
):
    samples, (rows, columns), (side, stride) = 3, SIZES[size], KERNELS[kernel]
    pads = side // 2, side - 1 - side // 2
    x, w = numbers(samples, channels, rows, columns), numbers(outputs, channels, side, side, seed=1)
    out = (1, *((n + sum(pads) - side) // stride + 1 for n in (rows, columns)))
    found, wanted = empty(samples, outputs, out), empty(samples, outputs, out)

    def step(
        source: core.Tensor, inputs: int, kernel: tuple[int, int, int], to: core.Tensor, layout: bool
    ) -> core.Step:
        packed = core.PackedWeights(w.reshape(outputs, inputs, -1), 1, False)
        return core.convolve(
            packed, window(kernel, (1, stride, stride), ONES, (0, pads[0], pads[0])), source, stored(to), layout
        )

    halo = halo_in_planes(Halo((0, pads[0], pads[0]), (0, pads[1], pads[1])))
    image_with_halo = loaded(in_planes(x), halo.before, halo.after)
    step(image_with_halo, 1, (channels, side, side), found, True).run(THREADS)
    blocks = loaded(x[:, :, np.newaxis], (0, pads[0], pads[0]), (0, pads[1], pads[1]))
    step(blocks, channels, (1, side, side), wanted, False).run(THREADS)
    expected = wanted.store(THREADS)
    np.testing.assert_allclose(found.store(THREADS), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def contribution(size: tuple[int, int, int] = (3, 5, 2)) -> core.Contribution:
    a, out = empty(1, 16, size), empty(1, 16, size)
    return core.Contribution(a, out, False, in_planes=True)


def read(image: core.Tensor, kernel: core.Window, taps: int) -> core.Step:
    packed = core.PackedWeights(np.ones((16, 1, taps), np.float32), 1, False)
    return core.convolve(packed, kernel, image, stored(empty(1, 16, (1, 5, 32))), True)


def back(channels: int, to: core.Epilogue) -> core.Step:
    packed = core.PackedWeights(np.ones((16, channels, 1), np.float32), 1, True)
    return core.convolve(packed, window(), empty(1, 16, (1, 5, 32)), to)


WRONG: dict[str, tuple[str, Callable[[], object]]] = {
    "another layout": ("planes", lambda: core.Contribution(empty(1, 3), empty(1, 3), False, in_planes=True)),
    "more channels than a block": ("planes", lambda: contribution((17, 5, 2))),
    "a dense map": ("planes", lambda: back(16, contribution((16, 5, 2)))),
    "other channels": ("channels", lambda: back(3, contribution((4, 5, 2)))),
    "no map": ("planes", lambda: core.take_up([empty(1, 3, (1, 5, 32))], contribution())),
    "blocks read as planes": ("lanes", lambda: read(empty(1, 3, (1, 5, 32)), window(), 1)),
    "a halo narrower than the taps": (
        "beyond its halo",
        lambda: read(empty(1, 16, (3, 5, 2), (0, 1, 0), (0, 1, 0)), window((3, 3, 3), before=(0, 1, 1)), 27),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_planes_is_refused(case: str):
    message, make = WRONG[case]
    with pytest.raises(ValueError, match=message):
        make()
