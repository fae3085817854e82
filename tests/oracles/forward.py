"""What a graph computes, said as plainly as possible: one sample at a time, in float64, tap by tap.

The independent statement that the tests hold everything else against; it shares no code with the package but
the layers' own parameters.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Gate,
    Gather,
    Interpolation,
    MaxPool,
    Moves,
    Nearest,
    Pad,
    Reshape,
    Sum,
    Transpose,
    TransposedConvolution,
)
from oracles.rules import linear


def forward(graph, batch):
    """Output for a batch in the caller's layout."""
    return np.stack([values(graph, sample)[graph.output] for sample in batch])


def values(graph, sample):
    """Every value of the graph for one sample in the caller's layout."""
    sample = np.asarray(sample, np.float64)
    if graph.input_table is not None:
        sample = np.stack([graph.input_table[int(place)] for place in sample]).astype(np.float64)
    if graph.input_permutation:
        sample = sample.transpose(graph.input_permutation)
    computed = {graph.input: sample}
    for node in graph.nodes:
        computed[node.output] = apply(node.layer, *(computed[name] for name in node.inputs))
    return computed


def apply(layer, *inputs):
    """One layer on its inputs."""
    x = inputs[0]
    if isinstance(layer, Convolution):
        return convolve(layer, x)
    if isinstance(layer, Dense):
        assert x.ndim == 1
        return add_bias(layer.weight.astype(np.float64) @ x, layer.bias)
    if isinstance(layer, Affine):
        y = layer.scale.astype(np.float64) * x + layer.shift.astype(np.float64)
        assert y.shape == x.shape
        return y
    if isinstance(layer, Activation):
        return ACTIVATIONS[layer.function](layer, x)
    if isinstance(layer, (MaxPool, AveragePool)):
        return pool(layer, x)
    if isinstance(layer, Sum):
        assert len({branch.shape for branch in inputs}) == 1
        return np.sum(inputs, axis=0)
    if isinstance(layer, Concat):
        return np.concatenate(inputs, axis=layer.axis)
    if isinstance(layer, Reshape):
        return x.reshape(layer.shape)
    if isinstance(layer, Transpose):
        return x.transpose(layer.permutation)
    if isinstance(layer, Pad):
        return pad(x, layer.pads, layer.value)
    if isinstance(layer, (TransposedConvolution, Interpolation)):
        m = linear(layer, x.shape)
        return (m.matrix @ x.ravel() + m.bias).reshape(layer.output_shape(x.shape))
    if isinstance(layer, Nearest):
        for axis, sampling in enumerate(layer.samplings):
            x = x if sampling is None else x.take(sampling.indices(x.shape[axis]), axis)
        return x
    if isinstance(layer, Gate):
        signal, gate = inputs
        assert signal.shape == gate.shape
        return signal * gate if layer.operation == "times" else signal + gate
    if isinstance(layer, Gather):
        return np.stack([x.take(index, layer.axis) for index in layer.indices], layer.axis)
    if isinstance(layer, Moves):
        for one in layer.layers:
            x = apply(one, x)
        return x
    raise AssertionError(f"no statement for {layer}")


ACTIVATIONS = {
    "relu": lambda layer, x: np.maximum(x, 0),
    "leaky_relu": lambda layer, x: np.where(x >= 0, x, x * layer.slope.astype(np.float64)),
    "clip": lambda layer, x: np.minimum(np.maximum(x, layer.low), layer.high),
    "sigmoid": lambda layer, x: 1 / (1 + np.exp(-x)),
    "tanh": lambda layer, x: np.tanh(x),
    "elu": lambda layer, x: np.where(x >= 0, x, layer.alpha * (np.exp(np.minimum(x, 0)) - 1)),
    "hard_sigmoid": lambda layer, x: np.clip(layer.alpha * x + layer.beta, 0, 1),
    "hard_swish": lambda layer, x: x * np.clip(x / 6 + 0.5, 0, 1),
    "softplus": lambda layer, x: np.logaddexp(0, x),
    "softsign": lambda layer, x: x / (1 + np.abs(x)),
    "silu": lambda layer, x: x / (1 + np.exp(-x)),
    "mish": lambda layer, x: x * np.tanh(np.logaddexp(0, x)),
    "gelu": lambda layer, x: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2,
    "gelu_tanh": lambda layer, x: x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "erf": lambda layer, x: np.vectorize(math.erf)(x),
    "exp": lambda layer, x: np.exp(x),
    "log": lambda layer, x: np.log(x),
    "square": lambda layer, x: x**2,
    "sqrt": lambda layer, x: np.sqrt(x),
    "power": lambda layer, x: x**layer.alpha,
    "reciprocal": lambda layer, x: 1 / x,
    "abs": lambda layer, x: np.abs(x),
}


def add_bias(z, bias):
    return z if bias is None else z + bias.astype(np.float64).reshape(-1, *(1,) * (z.ndim - 1))


def convolve(layer, x):
    weight = layer.weight.astype(np.float64)
    counts, views = windows(x, layer.window, 0.0)
    per_group_in, per_group_out = weight.shape[1], weight.shape[0] // layer.groups
    z = np.zeros((weight.shape[0], *counts))
    for group in range(layer.groups):
        rows = slice(group * per_group_out, (group + 1) * per_group_out)
        channels = slice(group * per_group_in, (group + 1) * per_group_in)
        for tap, view in views:
            z[rows] += np.tensordot(weight[(rows, slice(None), *tap)], view[channels], 1)
    return add_bias(z, layer.bias)


def pool(layer, x):
    window, spatial = layer.window, x.shape[1:]
    if 0 in window.kernel:
        axes = tuple(range(1, x.ndim))
        return x.max(axes, keepdims=True) if isinstance(layer, MaxPool) else x.mean(axes, keepdims=True)
    if isinstance(layer, MaxPool):
        return np.max([view for _, view in windows(x, window, -np.inf)[1]], axis=0)
    counted = np.ones((1, *spatial))
    total = sum(view for _, view in windows(x, window, 0.0)[1])
    if layer.count_include_pad:  # the declared padding counts, what the last window hangs over it does not
        declared = window.pads_for(spatial) if window.auto_pad else window.pads
        overhang = [after - end for (_, after), (_, end) in zip(window.pads_for(spatial), declared, strict=True)]
        counted = pad(pad(counted, ((0, 0), *declared), 1.0), ((0, 0), *((0, more) for more in overhang)), 0.0)
        return total / sum(view for _, view in taps(counted, window, total.shape[1:]))
    return total / sum(view for _, view in windows(counted, window, 0.0)[1])


def windows(x, window, fill):
    """Number of windows per axis, and for each tap of the kernel what lies under it in all windows."""
    spatial = x.shape[1:]
    counts = window.output_size(spatial)
    padded = pad(x, ((0, 0), *window.pads_for(spatial)), fill)
    return counts, list(taps(padded, window, counts))


def taps(padded, window, counts):
    for tap in product(*map(range, window.kernel)):
        places = [
            slice(index * dilation, index * dilation + (count - 1) * stride + 1, stride)
            for index, dilation, count, stride in zip(tap, window.dilations, counts, window.strides, strict=True)
        ]
        yield tap, padded[(slice(None), *places)]


def pad(x, pads, fill):
    """A border of `fill`; negative amounts crop."""
    grown = np.pad(x, [(max(before, 0), max(after, 0)) for before, after in pads], constant_values=fill)
    crop = [
        slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in zip(grown.shape, pads, strict=True)
    ]
    return grown[tuple(crop)]
