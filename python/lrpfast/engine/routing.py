"""Layers that only move values, in NumPy, on arrays of any type: relevance, or the numbers of places."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.model.layers import Concat, Gather, Layer, Moves, Nearest, Pad, Pads, Reshape, Transpose

Values: TypeAlias = npt.NDArray[Any]


def moved(layer: Layer, inputs: list[Values]) -> Values:
    """Values in other places."""
    a = inputs[0]
    match layer:
        case Concat(axis=axis):
            return np.concatenate(inputs, axis=axis + 1)
        case Reshape():
            return a.reshape(len(a), *layer.output_shape(a.shape[1:]))
        case Transpose(permutation=permutation):
            return a.transpose(0, *(axis + 1 for axis in permutation))
        case Pad(pads=pads, value=value):
            return padded(a[:, np.newaxis], pads, value)[:, 0]
        case Gather(axis=axis, indices=indices):
            return a.take(indices, axis=axis + 1)
        case Nearest(samplings=samplings):
            for axis, sampling in enumerate(samplings, 1):
                a = a if sampling is None else a.take(sampling.indices(a.shape[axis]), axis=axis)
            return a
        case Moves(layers=layers):
            for one in layers:
                a = moved(one, [a])
            return a
        case _:
            raise NotImplementedError(type(layer).__name__)


def moved_back(layer: Layer, inputs: list[Values], r: Values) -> list[Values]:
    """Relevance back to where each value came from."""
    match layer:
        case Concat(axis=axis):
            ends = np.cumsum([a.shape[axis + 1] for a in inputs])[:-1]
            return list(np.split(r, ends, axis=axis + 1))
        case Reshape():
            return [r.reshape(inputs[0].shape)]
        case Transpose(permutation=permutation):
            return [r.transpose(0, *(1 + axis for axis in np.argsort(permutation)))]
        case Pad(pads=pads):
            opposite = tuple((-before, -after) for before, after in pads)
            return [padded(r[:, np.newaxis], opposite)[:, 0]]
        case Gather(axis=axis, indices=indices):
            return [_put_back(r, axis + 1, np.asarray(indices), inputs[0].shape[axis + 1])]
        case Nearest(samplings=samplings):
            for axis, sampling in enumerate(samplings, 1):
                if sampling is not None:
                    size = inputs[0].shape[axis]
                    r = _put_back(r, axis, sampling.indices(size), size)
            return [r]
        case Moves(layers=layers):
            shapes = [inputs[0].shape[1:]]
            for one in layers:
                shapes.append(one.output_shape(shapes[-1]))
            for one, shape in zip(reversed(layers), reversed(shapes[:-1]), strict=True):
                (r,) = moved_back(one, [np.empty((len(r), *shape), r.dtype)], r)
            return [r]
        case _:
            raise NotImplementedError(type(layer).__name__)


def _put_back(r: Values, axis: int, indices: npt.NDArray[np.int64], size: int) -> Values:
    """The sum of what was taken from each of the `size` places along an axis."""
    found = np.zeros((*r.shape[:axis], size, *r.shape[axis + 1 :]), r.dtype)
    np.add.at(np.moveaxis(found, axis, 0), indices, np.moveaxis(r, axis, 0))
    return found


def padded(a: Values, pads: Pads, value: float = 0.0) -> Values:
    """`a` with `value` around its spatial axes; a negative amount crops."""
    before_after = [(max(before, 0), max(after, 0)) for before, after in pads]
    a = np.pad(a, [(0, 0), (0, 0), *before_after], constant_values=value)
    crop = (
        slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in zip(a.shape[2:], pads, strict=True)
    )
    cropped: Values = a[inside(*crop)]
    return cropped


def inside(*spatial: slice) -> tuple[Any, ...]:
    """Index of a part of the spatial axes, all before them whole."""
    return (..., *spatial)
