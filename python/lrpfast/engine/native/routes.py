"""Layers that only move values, as a list of places: which element of the sources each element of the output gets.

Elements of a sample are numbered in the order channel, plane, row, column; those of several sources go on where the
source before them ends.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.engine.routing import moved
from lrpfast.model.layers import Layer, Pad, Shape

Places = npt.NDArray[np.int64]

NONE = -1  # gets the filling


def places(layer: Layer, shapes: tuple[Shape, ...]) -> tuple[Places, float]:
    """Where a layer's output takes its values from, and the filling."""
    numbers = [
        np.arange(first, first + math.prod(shape), dtype=np.int64).reshape(1, *shape)
        for first, shape in zip(starts(shapes), shapes, strict=True)
    ]
    if isinstance(layer, Pad):
        return moved(replace(layer, value=NONE), numbers).ravel(), layer.value
    return moved(layer, numbers).ravel(), 0.0


def starts(shapes: tuple[Shape, ...]) -> list[int]:
    """The number of each source's first element."""
    return [sum(math.prod(shape) for shape in shapes[:index]) for index in range(len(shapes))]
