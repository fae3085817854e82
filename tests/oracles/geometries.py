"""Linear layers of every kind and geometry, by name, with seeded weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from lrpfast.model.layers import (
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Interpolation,
    Layer,
    Shape,
    Sum,
    TransposedConvolution,
)
from lrpfast.model.sampling import Sampling
from oracles.graphs import bias, weights, window
from oracles.rules import Linear, linear

#: name: (channels in, out, groups), window, size of the map
CONVOLUTIONS: dict[str, tuple[tuple[int, int, int], dict[str, Any], Shape]] = {
    "3x3 same": ((5, 17, 1), {"kernel": (3, 3), "pads": 1}, (5, 4)),
    "1x1": ((33, 20, 1), {"kernel": (1, 1)}, (3, 4)),
    "one channel": ((1, 1, 1), {"kernel": (3, 2)}, (4, 4)),
    "whole vectors": ((16, 32, 1), {"kernel": (3, 3), "pads": 1}, (3, 3)),
    "whole map": ((3, 20, 1), {"kernel": (4, 3)}, (4, 3)),
    "stride, rows left over": ((3, 5, 1), {"kernel": (3, 3), "strides": (2, 2)}, (6, 8)),
    "stride above kernel": ((3, 17, 1), {"kernel": (2, 2), "strides": (3, 3)}, (8, 7)),
    "stride below kernel": ((3, 5, 1), {"kernel": (5, 5), "strides": (2, 3), "pads": 2}, (7, 8)),
    "1x1 with stride": ((17, 5, 1), {"kernel": (1, 1), "strides": (2, 2)}, (5, 4)),
    "uneven pads": ((3, 5, 1), {"kernel": (3, 3), "pads": ((0, 2), (1, 0))}, (4, 5)),
    "uneven pads and stride": ((5, 3, 1), {"kernel": (4, 3), "strides": (2, 2), "pads": ((1, 2), (2, 0))}, (6, 5)),
    "same, upper": ((3, 5, 1), {"kernel": (4, 3), "strides": (2, 2), "auto_pad": "upper"}, (5, 6)),
    "same, lower": ((3, 5, 1), {"kernel": (4, 3), "strides": (2, 2), "auto_pad": "lower"}, (5, 6)),
    "dilation": ((3, 5, 1), {"kernel": (3, 2), "dilations": (2, 3), "pads": 1}, (6, 6)),
    "dilation and stride": ((5, 3, 1), {"kernel": (2, 3), "dilations": (3, 2), "strides": (2, 3), "pads": 2}, (7, 6)),
    "groups": ((6, 20, 2), {"kernel": (3, 3), "pads": 1}, (4, 4)),
    "groups of vectors": ((32, 32, 2), {"kernel": (2, 1)}, (3, 2)),
    "depthwise": ((20, 20, 20), {"kernel": (3, 3), "strides": (2, 1), "pads": 1}, (5, 4)),
    "depthwise, large": ((3, 3, 3), {"kernel": (5, 5), "pads": 2}, (6, 5)),
    "depthwise, doubled": ((17, 34, 17), {"kernel": (3, 2), "pads": 1}, (3, 4)),
    "1-D": ((3, 20, 1), {"kernel": (4,), "strides": (2,), "pads": ((1, 2),)}, (11,)),
    "1-D, dilated, depthwise": ((5, 5, 5), {"kernel": (3,), "dilations": (2,), "pads": 2}, (7,)),
    "3-D": ((3, 5, 1), {"kernel": (2, 3, 2), "strides": (1, 2, 1), "pads": ((0, 1), (1, 1), (1, 0))}, (3, 4, 3)),
    "3-D, grouped": ((4, 6, 2), {"kernel": (2, 2, 2), "dilations": (1, 2, 1)}, (3, 3, 3)),
}

#: name: (channels in, out, groups), extra elements at the end, window, size of the map
TRANSPOSED: dict[str, tuple[tuple[int, int, int], Shape, dict[str, Any], Shape]] = {
    "transposed": ((5, 17, 1), (0, 0), {"kernel": (2, 2), "strides": (2, 2)}, (4, 3)),
    "transposed, overlapping": ((17, 3, 1), (1, 0), {"kernel": (3, 4), "strides": (2, 2), "pads": 1}, (4, 3)),
    "transposed, gaps": ((3, 5, 1), (0, 1), {"kernel": (2, 1), "strides": (3, 2)}, (3, 4)),
    "transposed, uneven crop": ((16, 16, 1), (0, 0), {"kernel": (3, 3), "pads": ((0, 2), (1, 0))}, (4, 4)),
    "transposed and dilated": ((3, 20, 1), (0, 0), {"kernel": (2, 3), "dilations": (3, 2), "strides": (2, 1)}, (3, 3)),
    "transposed, groups": ((6, 10, 2), (0, 0), {"kernel": (3, 3), "strides": (2, 2), "pads": 1}, (3, 3)),
    "transposed, depthwise": ((20, 20, 20), (0, 0), {"kernel": (4, 4), "strides": (2, 2), "pads": 1}, (3, 2)),
    "transposed, 1-D": ((3, 5, 1), (1,), {"kernel": (4,), "strides": (2,), "pads": 1}, (6,)),
    "transposed, 3-D": ((3, 2, 1), (0, 0, 0), {"kernel": (2, 2, 2), "strides": (2, 2, 2)}, (2, 3, 2)),
}

LINEAR = Sampling("linear", "half_pixel", scale=2.0)
INTERPOLATIONS: dict[str, tuple[Interpolation, Shape]] = {
    "interpolation": (Interpolation((LINEAR, LINEAR)), (5, 3, 4)),
    "interpolation, one axis": (Interpolation((None, Sampling("linear", "align_corners", size=7))), (17, 3, 4)),
    "interpolation, smaller": (Interpolation((Sampling("linear", "asymmetric", scale=0.6), LINEAR)), (3, 5, 3)),
    "interpolation, 1-D": (Interpolation((LINEAR,)), (20, 6)),
    "interpolation, 3-D": (Interpolation((LINEAR, None, LINEAR)), (3, 2, 3, 2)),
}

#: with negative weights
CUBIC: dict[str, tuple[Interpolation, Shape]] = {
    "interpolation, cubic": (Interpolation((Sampling("cubic", "half_pixel", scale=2.0),) * 2), (3, 4, 3)),
    "interpolation, cubic, inside": (
        Interpolation((Sampling("cubic", "half_pixel", scale=2.0, exclude_outside=True),) * 2),
        (3, 4, 3),
    ),
}

AVERAGES: dict[str, tuple[AveragePool, Shape]] = {
    "average": (AveragePool(window((2, 2), (2, 2))), (5, 5, 4)),
    "average, overlapping": (AveragePool(window((3, 3), (2, 2), 1)), (17, 5, 6)),
    "average, padding counts": (AveragePool(window((3, 3), (2, 2), 1), count_include_pad=True), (3, 5, 6)),
    "average, ceil": (AveragePool(window((3, 2), (2, 2), 1, ceil=True)), (3, 6, 5)),
    "average, ceil, padding counts": (AveragePool(window((3, 2), (3, 2), 1, ceil=True), True), (3, 6, 5)),
    "average, same": (AveragePool(window((3, 3), (2, 2), auto_pad="upper")), (3, 6, 5)),
    "average, global": (AveragePool(window((0, 0))), (20, 4, 3)),
    "average, 1-D": (AveragePool(window((3,), (2,), ((0, 1),))), (5, 8)),
    "average, 3-D": (AveragePool(window((2, 2, 2), (2, 1, 2))), (3, 4, 3, 4)),
}


@cache
def case(name: str, biased: bool = True) -> tuple[Layer, Shape, Linear]:
    """Layer, shape of one input sample and matrix of a geometry (of a sum: the shape of one branch)."""
    rng = np.random.default_rng(sum(map(ord, name)))
    branches = int(name[-1]) if name.startswith("sum of") else 1
    layer, shape = _layer(name, rng, biased)
    return layer, shape, linear(layer, shape, branches)


def _layer(name: str, rng: np.random.Generator, biased: bool) -> tuple[Layer, Shape]:
    if name in AVERAGES:
        return AVERAGES[name]
    if name in INTERPOLATIONS | CUBIC:
        return (INTERPOLATIONS | CUBIC)[name]
    if name in TRANSPOSED:
        (channels, outputs, groups), extra, geometry, spatial = TRANSPOSED[name]
        weight = weights(rng, channels, outputs // groups, *geometry["kernel"])
        shift = bias(rng, outputs) if biased else None
        return TransposedConvolution(weight, shift, window(**geometry), groups, extra), (channels, *spatial)
    if name in CONVOLUTIONS:
        (channels, outputs, groups), geometry, spatial = CONVOLUTIONS[name]
        weight = weights(rng, outputs, channels // groups, *geometry["kernel"])
        return Convolution(weight, bias(rng, outputs) if biased else None, window(**geometry), groups), (
            channels,
            *spatial,
        )
    if name.startswith("dense"):
        inputs, outputs = map(int, name.removeprefix("dense ").split(" to "))
        return Dense(weights(rng, outputs, inputs), bias(rng, outputs) if biased else None), (inputs,)
    if name == "affine":
        return Affine(bias(rng, 17).reshape(17, 1, 1) * 2, bias(rng, 17).reshape(17, 1, 1)), (17, 3, 2)
    if name == "affine, elementwise":
        return Affine(bias(rng, 12).reshape(3, 4), bias(rng, 4)), (3, 4)
    return Sum(), (5, 3, 2)


DENSE = ("dense 20 to 17", "dense 1 to 1", "dense 33 to 5", "dense 3 to 64")
AFFINE = ("affine", "affine, elementwise")
SUMS = ("sum of 2", "sum of 3")
WEIGHTED = (*CONVOLUTIONS, *TRANSPOSED, *DENSE)
