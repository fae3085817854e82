"""Layers that only move values, in NumPy: exact for every backend, since no arithmetic happens."""

from __future__ import annotations

import numpy as np

from lrpfast.engine.reference.maps import padded
from lrpfast.model.layers import Array, Concat, Layer, Pad, Reshape, Transpose


def moved(layer: Layer, inputs: list[Array]) -> Array:
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
        case _:
            raise NotImplementedError(type(layer).__name__)


def moved_back(layer: Layer, inputs: list[Array], r: Array) -> list[Array]:
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
        case _:
            raise NotImplementedError(type(layer).__name__)
