"""A network that is worth several threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrpfast import Model
from lrpfast.model.layers import Activation, Convolution, Dense, Layer, Reshape
from oracles.graphs import chain, model_of, weights, window


def wide_net(size: int = 32, channels: int = 32, depth: int = 3) -> Model:
    """Convolutions 3 x 3 one after the other, each enough work for several threads, and five classes."""
    rng, layers, inputs = np.random.default_rng(0), list[Layer](), 3
    for _ in range(depth):
        layers += [Convolution(weights(rng, channels, inputs, 3, 3), None, window((3, 3), pads=1)), Activation("relu")]
        inputs = channels
    layers += [Reshape((channels * size * size,)), Dense(weights(rng, 5, channels * size * size), None)]
    return model_of(chain(layers, (3, size, size)))


def pictures(count: int, size: int = 32, seed: int = 1) -> Any:
    """Inputs of `wide_net`."""
    return np.random.default_rng(seed).standard_normal((count, 3, size, size)).astype(np.float32)
