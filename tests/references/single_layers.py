"""Single linear layers of every kind and geometry, and the rules that are asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .sketch import Sketch

Rules: TypeAlias = dict[str, dict[str, Any]]
Shape: TypeAlias = tuple[int, ...]
Drawing: TypeAlias = Callable[[Sketch], object]

#: name of a case: rule and parameters, by lrpfast's names
RULES: Rules = {
    "epsilon": {"rule": "Epsilon"},
    "epsilon 0.25": {"rule": "Epsilon", "epsilon": 0.25},
    "epsilon, zero bias": {"rule": "Epsilon", "zero_bias": True},
    "zplus": {"rule": "ZPlus"},
    "zplus, zero bias": {"rule": "ZPlus", "zero_bias": True},
    "alpha2 beta1": {"rule": "AlphaBeta", "alpha": 2.0, "beta": 1.0},
    "alpha2 beta1, zero bias": {"rule": "AlphaBeta", "alpha": 2.0, "beta": 1.0, "zero_bias": True},
    "alpha1.5 beta0.5": {"rule": "AlphaBeta", "alpha": 1.5, "beta": 0.5},
    "gamma": {"rule": "Gamma"},
    "gamma 1, zero bias, stabilizer 0.1": {"rule": "Gamma", "gamma": 1.0, "zero_bias": True, "stabilizer": 0.1},
    "zbox": {"rule": "ZBox"},
    "wsquare": {"rule": "WSquare"},
    "wsquare, zero bias": {"rule": "WSquare", "zero_bias": True},
    "flat": {"rule": "Flat"},
}

#: the same for normalisation, which is no place for the rules of first layers
BY_CONTRIBUTION: Rules = {
    case: given for case, given in RULES.items() if given["rule"] in ("Epsilon", "ZPlus", "AlphaBeta", "Gamma")
}

#: the same for layers without weights
NORM: Rules = {"norm": {"rule": "Norm"}, "norm, stabilizer 0.1": {"rule": "Norm", "stabilizer": 0.1}}

#: name: shape of a sample, the layer
WEIGHTED: dict[str, tuple[Shape, Drawing]] = {
    "dense": ((20,), lambda s: s.dense("x", 17)),
    "dense without bias": ((33,), lambda s: s.dense("x", 5, bias=False)),
    "conv 3x3": ((5, 5, 4), lambda s: s.conv("x", 17, 3, pads=1)),
    "conv 3x3 without bias": ((3, 4, 4), lambda s: s.conv("x", 5, 3, pads=1, bias=False)),
    "conv 1x1": ((33, 2, 3), lambda s: s.conv("x", 20, 1)),
    "conv 1x1 with stride": ((17, 3, 3), lambda s: s.conv("x", 5, 1, strides=2)),
    "conv of 16 channels": ((16, 3, 3), lambda s: s.conv("x", 32, 3, pads=1)),
    "conv of the whole map": ((3, 4, 3), lambda s: s.conv("x", 20, (4, 3))),
    "conv with rows left over": ((3, 6, 8), lambda s: s.conv("x", 5, 3, strides=2)),
    "conv with stride above kernel": ((3, 8, 7), lambda s: s.conv("x", 17, 2, strides=3)),
    "conv with stride below kernel": ((3, 7, 8), lambda s: s.conv("x", 5, 5, strides=(2, 3), pads=2)),
    "conv with uneven pads": ((3, 4, 5), lambda s: s.conv("x", 5, 3, pads=((0, 2), (1, 0)))),
    "conv with uneven pads and stride": (
        (5, 6, 5),
        lambda s: s.conv("x", 3, (4, 3), strides=2, pads=((1, 2), (2, 0))),
    ),
    "conv with dilation": ((3, 6, 6), lambda s: s.conv("x", 5, (3, 2), dilations=(2, 3), pads=1)),
    "conv with dilation and stride": (
        (5, 7, 6),
        lambda s: s.conv("x", 3, (2, 3), dilations=(3, 2), strides=(2, 3), pads=2),
    ),
    "conv with groups": ((6, 4, 4), lambda s: s.conv("x", 20, 3, pads=1, groups=2)),
    "conv with groups of 16": ((32, 3, 2), lambda s: s.conv("x", 32, (2, 1), groups=2)),
    "depthwise": ((20, 4, 3), lambda s: s.conv("x", 20, 3, strides=(2, 1), pads=1, groups=20)),
    "depthwise, doubled": ((17, 3, 4), lambda s: s.conv("x", 34, (3, 2), pads=1, groups=17)),
    "conv 1-D": ((3, 11), lambda s: s.conv("x", 20, 4, strides=2, pads=((1, 2),))),
    "depthwise 1-D, dilated": ((5, 7), lambda s: s.conv("x", 5, 3, dilations=2, pads=2, groups=5)),
    "conv 3-D": (
        (3, 3, 4, 3),
        lambda s: s.conv("x", 5, (2, 3, 2), strides=(1, 2, 1), pads=((0, 1), (1, 1), (1, 0))),
    ),
    "conv 3-D with groups": ((4, 3, 3, 3), lambda s: s.conv("x", 6, 2, dilations=(1, 2, 1), groups=2)),
    "transposed": ((5, 4, 3), lambda s: s.transposed("x", 17, 3, pads=1)),
    "transposed with stride": ((17, 3, 4), lambda s: s.transposed("x", 5, 3, strides=2, pads=1, extra=1)),
    "transposed with gaps": ((3, 4, 3), lambda s: s.transposed("x", 5, 2, strides=3, extra=(1, 0))),
    "transposed with dilation": (
        (3, 4, 5),
        lambda s: s.transposed("x", 5, (3, 2), strides=(1, 2), dilations=(2, 3), pads=((1, 1), (2, 2))),
    ),
    "transposed with groups": ((6, 3, 4), lambda s: s.transposed("x", 20, 4, strides=2, pads=1, groups=2)),
    "transposed 1-D": ((5, 6), lambda s: s.transposed("x", 3, 4, strides=2, pads=1)),
    "transposed, depthwise": ((20, 3, 2), lambda s: s.transposed("x", 20, 4, strides=2, pads=1, groups=20)),
    "transposed 1-D with groups": (
        (6, 5),
        lambda s: s.transposed("x", 4, 3, strides=3, pads=1, dilations=2, groups=2, extra=1),
    ),
    "transposed 3-D with groups": (
        (4, 2, 3, 2),
        lambda s: s.transposed(
            "x", 6, (2, 3, 2), strides=(1, 2, 2), pads=1, dilations=(2, 1, 2), groups=2, extra=(0, 1, 1)
        ),
    ),
    "transposed 3-D": ((3, 2, 3, 2), lambda s: s.transposed("x", 5, 2, strides=(2, 1, 2), extra=(1, 0, 0))),
}

NORMALISATION: dict[str, tuple[Shape, Drawing]] = {
    "affine": ((17, 3, 4), lambda s: s.affine("x")),
}

UNWEIGHTED: dict[str, tuple[Shape, Drawing]] = {
    "average": ((5, 5, 4), lambda s: s.average_pool("x", 2, 2)),
    "average, overlapping": ((17, 5, 6), lambda s: s.average_pool("x", 3, 2, pads=1)),
    "average, padding counts": ((3, 5, 6), lambda s: s.average_pool("x", 3, 2, pads=1, count_include_pad=True)),
    "average, ceil": ((3, 6, 5), lambda s: s.average_pool("x", (3, 2), 2, pads=1, ceil=True)),
    "average, ceil, padding counts": (
        (3, 6, 5),
        lambda s: s.average_pool("x", (3, 2), (3, 2), pads=1, ceil=True, count_include_pad=True),
    ),
    "average, global": ((20, 4, 3), lambda s: s.global_average("x")),
    "average 1-D": ((5, 8), lambda s: s.average_pool("x", 3, 2, pads=1)),
    "average 3-D": ((3, 4, 3, 4), lambda s: s.average_pool("x", 2, (2, 1, 2))),
    "sum of 2": ((5, 3, 4), lambda s: s.sum("x", s.relu("x"))),
    "sum of 3": ((5, 3, 4), lambda s: s.sum(s.max_pool("x", 3, 1, pads=1), "x", s.relu("x"))),
    "linear 1-D": ((5, 6), lambda s: s.interpolation("x", "linear", (6,), (13,))),
    "linear": ((17, 3, 4), lambda s: s.interpolation("x", "bilinear", (3, 4), (6, 8))),
    "linear, corners aligned": (
        (3, 3, 4),
        lambda s: s.interpolation("x", "bilinear", (3, 4), (7, 5), align_corners=True),
    ),
    "linear, smaller": ((5, 7, 6), lambda s: s.interpolation("x", "bilinear", (7, 6), (4, 9))),
    "linear 3-D": ((3, 2, 3, 2), lambda s: s.interpolation("x", "trilinear", (2, 3, 2), (4, 3, 5))),
    "cubic": ((5, 4, 3), lambda s: s.interpolation("x", "bicubic", (4, 3), (8, 6))),
    "cubic, corners aligned": (
        (3, 5, 4),
        lambda s: s.interpolation("x", "bicubic", (5, 4), (7, 3), align_corners=True),
    ),
}

#: the same of small integers alone, which float32 computes without rounding: pools tie, denominators are zero
TIED: dict[str, tuple[Shape, Drawing]] = {
    "tied dense": ((4,), lambda s: s.dense("x", 17)),
    "tied pool 1-D": ((2, 15), lambda s: s.conv(s.max_pool("x", 3, 2, pads=1), 5, 2)),
    "tied pool 2-D": ((2, 7, 6), lambda s: s.conv(s.max_pool("x", 3, 2, pads=1), 5, 2)),
    "tied pool 3-D": ((1, 5, 4, 5), lambda s: s.conv(s.max_pool("x", (3, 2, 3), 2), 5, 2)),
}
