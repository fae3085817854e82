"""Parallel convolutions of one value, whose sum is one convolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lrpfast.model.canonize.affine import per_channel
from lrpfast.model.canonize.rewrite import exhaust, only_reader, substitute
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Affine, Array, Convolution, Layer, Sum, Window


def merge_parallel(graph: Graph) -> Graph:
    """Add up the kernels of convolutions that read the same value and are summed, an Affine among them as a diagonal.

    Exact where the kernel of one covers those of the others, and nothing else reads the branches. Branches that
    cancel each other, as those of RepVGG and ACNet do before they are fused, then no longer share relevance in
    proportion to their differences.
    """
    return exhaust(graph, _merge)


def _merge(graph: Graph, node: Node) -> Graph | None:
    branches = [graph.producers[name] for name in node.inputs if name in graph.producers]
    if not isinstance(node.layer, Sum) or len(branches) < len(node.inputs):
        return None
    if len({branch.inputs for branch in branches}) > 1:
        return None
    if not all(only_reader(graph, branch.output) is node for branch in branches):
        return None
    convolutions = [(branch, branch.layer) for branch in branches if isinstance(branch.layer, Convolution)]
    if not convolutions:
        return None
    widest, frame = max(convolutions, key=lambda pair: pair[1].weight[0, 0].size)
    kernels = [kernel for branch in branches if (kernel := _kernel(branch.layer, frame)) is not None]
    if len(kernels) < len(branches):
        return None
    weights, biases = zip(*kernels, strict=True)
    bias = np.sum(biases, axis=0)
    merged = replace(frame, weight=np.sum(weights, axis=0), bias=bias if bias.any() else None)
    operator = f"{widest.operator}+{node.operator}"
    return substitute(graph, {node.output: (replace(widest, operator=operator, layer=merged, output=node.output),)})


def _kernel(branch: Layer, frame: Convolution) -> tuple[Array, Array] | None:
    """Weights and bias of a layer as those of a convolution with the window of `frame`, None where it has none."""
    layer = branch if isinstance(branch, Convolution) else _pointwise(branch, frame)
    if layer is None or layer.weight.shape[:2] != frame.weight.shape[:2] or layer.groups != frame.groups:
        return None
    room = _room(layer.window, frame.window)
    if room is None:
        return None
    bias = np.zeros(layer.outputs) if layer.bias is None else layer.bias.astype(np.float64)
    return np.pad(layer.weight.astype(np.float64), [(0, 0), (0, 0), *room]), bias


def _pointwise(layer: Layer, frame: Convolution) -> Convolution | None:
    """A scale and a shift for each channel as a convolution with a kernel of size 1."""
    outputs, inputs = frame.weight.shape[:2]
    rank = frame.weight.ndim - 2
    if not isinstance(layer, Affine) or outputs != inputs * frame.groups:
        return None
    scale, shift = (per_channel(array.astype(np.float64), outputs, rank + 1) for array in (layer.scale, layer.shift))
    if scale is None or shift is None:
        return None
    weight = np.zeros((outputs, inputs, *(1,) * rank))
    channel = np.arange(outputs)
    weight[channel, channel % inputs] = scale.reshape(-1, *(1,) * rank)
    ones = (1,) * rank
    return Convolution(weight, shift, Window(ones, ones, ones, ((0, 0),) * rank), frame.groups)


def _room(inner: Window, outer: Window) -> list[tuple[int, int]] | None:
    """Zeros before and after a kernel that give it the window `outer`, None if it is not the same then."""
    if inner.auto_pad or outer.auto_pad or inner.strides != outer.strides:
        return None
    room = []
    for axis, size in enumerate(inner.kernel):
        if (inner.dilations[axis] > 1 and size > 1) or (outer.dilations[axis] > 1 and outer.kernel[axis] > 1):
            return None
        (before, after), (outer_before, outer_after) = inner.pads[axis], outer.pads[axis]
        room.append((outer_before - before, outer_after - after))
        if min(room[-1]) < 0 or size + sum(room[-1]) != outer.kernel[axis]:
            return None
    return room
