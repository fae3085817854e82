"""Layers that only move values, as lists of places: which element of the source each element of the target gets.

Elements of a sample are numbered in the order channel, plane, row, column.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.engine.routing import moved, moved_back
from lrpfast.model.layers import Layer, Pad, Shape

Places = npt.NDArray[np.int64]

NONE, ELSEWHERE = -1, -2  # gets the filling; is filled from another source


def forward_places(layer: Layer, shapes: tuple[Shape, ...], branch: int) -> tuple[Places, float]:
    """Where the layer's output takes the values of a branch from, and the filling."""
    if isinstance(layer, Pad):
        return moved(replace(layer, value=NONE), [_numbers(shapes[0])]).ravel(), layer.value
    sources = [
        _numbers(shape) if index == branch else np.full((1, *shape), ELSEWHERE, np.int64)
        for index, shape in enumerate(shapes)
    ]
    return moved(layer, sources).ravel(), 0.0


def backward_places(layer: Layer, shapes: tuple[Shape, ...], out_shape: Shape) -> list[Places]:
    """Where relevance of each branch comes from."""
    like = [np.empty((1, *shape), np.int64) for shape in shapes]
    one_more = _numbers(out_shape) + 1  # so that the zeros around a cropped map are no place
    return [back.ravel() - 1 for back in moved_back(layer, like, one_more)]


def _numbers(shape: Shape) -> Places:
    return np.arange(np.prod(shape), dtype=np.int64).reshape(1, *shape)
