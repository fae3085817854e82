"""Scales and shifts folded into the linear layers around them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lrpfast.model.canonize.layout import inverse, permuted_array
from lrpfast.model.canonize.rewrite import exhaust, only_reader, substitute
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import (
    Affine,
    Array,
    AveragePool,
    Convolution,
    Dense,
    MaxPool,
    Reshape,
    Shape,
    Transpose,
    TransposedConvolution,
    Weighted,
    Window,
)

Changes = dict[str, tuple[Node, ...]]

LARGEST = 2**22  # elements of a sample for which scales and shifts are written out one by one
DEPTH = 100  # layers behind one another that one may pass through


def fold_affines(graph: Graph) -> Graph:
    """Fold each Affine into the linear layer that it reads, else into those that read it, where either is exact."""
    return exhaust(exhaust(graph, _fold_back), _fold_forward)


def _fold_back(graph: Graph, node: Node) -> Graph | None:
    """Scale and shift the outputs of a layer with weights, straight or in front of changes of shape.

    Exact if both are constant over each output channel and nothing else reads the layer.
    """
    if not isinstance(node.layer, Affine):
        return None
    found = _in_front(graph, node, node.layer)
    if found is None:
        return None
    source, affine = found
    layer = source.layer
    assert isinstance(layer, Weighted)
    scale, shift = (per_channel(array, layer.outputs, _rank(layer)) for array in _arrays(affine))
    if scale is None or shift is None:
        return None
    weight = layer.weight * _per_output(layer, scale)
    bias = shift if layer.bias is None else layer.bias * scale + shift
    folded = replace(layer, weight=weight, bias=bias if bias.any() or layer.bias is not None else None)
    merged = replace(source, operator=f"{source.operator}+{node.operator}", layer=folded)
    if source.output == node.inputs[0]:
        return substitute(graph, {source.output: (replace(merged, output=node.output),), node.output: ()})
    return substitute(graph, {source.output: (merged,), node.output: ()}, {node.output: node.inputs[0]})


def _in_front(graph: Graph, node: Node, affine: Affine, depth: int = DEPTH) -> tuple[Node, Affine] | None:
    """The layer with weights that a node reads alone, maybe through changes of shape, and what `affine` is there."""
    source = graph.producers.get(node.inputs[0])
    if source is None or only_reader(graph, source.output) is not node or not depth:
        return None
    if isinstance(source.layer, Weighted):
        return source, affine
    scale, shift = _arrays(affine)
    if isinstance(source.layer, Transpose):
        order = inverse(source.layer.permutation)
        return _in_front(graph, source, Affine(permuted_array(scale, order), permuted_array(shift, order)), depth - 1)
    shapes = graph.known_shapes
    if not isinstance(source.layer, Reshape) or shapes is None:
        return None
    before, after = shapes[source.inputs[0]], shapes[source.output]
    moved = _reshaped(affine, after, before)
    if moved is None:
        return None
    return _in_front(graph, source, Affine(_narrowed(moved.scale), _narrowed(moved.shift)), depth - 1)


def _reshaped(affine: Affine, before: Shape, after: Shape) -> Affine | None:
    """The same for a sample that is reshaped; None if it is too large for all its elements to be written out."""
    arrays = _arrays(affine)
    if math.prod(before) > LARGEST and any(array.size > 1 for array in arrays):
        return None
    return Affine(
        *(np.broadcast_to(array, before).reshape(after) if array.size > 1 else array.reshape(()) for array in arrays)
    )


def _narrowed(array: Array) -> Array:
    """The array with one number for each place along its first axis, if it is constant over the others."""
    if array.size == 1:
        return array
    columns = array.reshape(len(array), -1)
    if (columns != columns[:, :1]).any():
        return array
    return columns[:, 0].reshape(-1, *(1,) * (array.ndim - 1))


def _fold_forward(graph: Graph, node: Node) -> Graph | None:
    """Scale the inputs of the linear layers that read an Affine, and put its shift into their biases.

    Exact if every reader can take all of it, straight or behind pools and changes of shape (see `_into`).
    """
    if not isinstance(node.layer, Affine):
        return None
    changes = _readers(graph, node.output, node.layer, node.operator)
    if changes is None:
        return None
    return substitute(graph, {**changes, node.output: ()}, {node.output: node.inputs[0]})


def _readers(graph: Graph, value: str, affine: Affine, operator: str, depth: int = DEPTH) -> Changes | None:
    """All readers of a value with `affine` put into them, None if one of them cannot take it."""
    if value == graph.output or not depth:
        return None
    changes: Changes = {}
    for reader in graph.consumers[value]:
        changed = _into(graph, reader, affine, operator, depth)
        if changed is None:
            return None
        changes.update(changed)
    return changes


def _into(graph: Graph, reader: Node, affine: Affine, operator: str, depth: int) -> Changes | None:
    """One reader, or what is behind it, with `affine` put into it, None where that would not be exact."""
    layer = reader.layer
    folded: Affine | Weighted | None = None
    if isinstance(layer, Convolution):
        folded = _into_convolution(layer, affine)
    elif isinstance(layer, TransposedConvolution):
        folded = _into_transposed(layer, affine)
    elif isinstance(layer, Dense):
        folded = _into_dense(layer, affine)
    elif isinstance(layer, Affine):
        (scale, shift), (outer_scale, outer_shift) = _arrays(affine), _arrays(layer)
        folded = Affine(outer_scale * scale, outer_scale * shift + outer_shift)
    else:
        passed = _through(graph, reader, affine)
        return None if passed is None else _readers(graph, reader.output, passed, operator, depth - 1)
    if folded is None:
        return None
    return {reader.output: (replace(reader, operator=f"{operator}+{reader.operator}", layer=folded),)}


def _into_convolution(layer: Convolution, affine: Affine) -> Convolution | None:
    """Exact if constant per input channel, and the shift is zero or never meets padding, which it would not reach."""
    outputs, inputs = layer.weight.shape[:2]
    channels = inputs * layer.groups
    scale, shift = (per_channel(array, channels, _rank(layer)) for array in _arrays(affine))
    if scale is None or shift is None or (shift.any() and _is_padded(layer.window)):
        return None

    def per_weight(array: Array) -> Array:
        rows = np.repeat(array.reshape(layer.groups, inputs), outputs // layer.groups, axis=0)
        return rows.reshape(outputs, inputs, *(1,) * (layer.weight.ndim - 2))

    added = (layer.weight * per_weight(shift)).sum(axis=tuple(range(1, layer.weight.ndim)))
    return replace(layer, weight=layer.weight * per_weight(scale), bias=_added_bias(layer.bias, added))


def _into_transposed(layer: TransposedConvolution, affine: Affine) -> TransposedConvolution | None:
    """Exact if constant per input channel, and there is no shift: fewer inputs reach the border of the output."""
    scale, shift = (per_channel(array, len(layer.weight), _rank(layer)) for array in _arrays(affine))
    if scale is None or shift is None or shift.any():
        return None
    return replace(layer, weight=layer.weight * scale.reshape(-1, *(1,) * (layer.weight.ndim - 1)))


def _into_dense(layer: Dense, affine: Affine) -> Dense | None:
    """Exact always."""
    scale, shift = (per_channel(array, layer.weight.shape[1], 1) for array in _arrays(affine))
    if scale is None or shift is None:
        return None
    return Dense(layer.weight * scale, _added_bias(layer.bias, layer.weight @ shift))


def _added_bias(bias: Array | None, added: Array) -> Array | None:
    if bias is None:
        return added if added.any() else None
    return bias + added


def _through(graph: Graph, node: Node, affine: Affine) -> Affine | None:
    """What an Affine in front of a layer becomes behind it, None where the two do not commute.

    A maximum commutes with a shift and a scale >= 0 per channel, because its padding never wins. A mean of
    elements of the map does so with any scale; one that counts padding does not, for a shift does not reach
    that padding.
    """
    layer, (scale, shift) = node.layer, _arrays(affine)
    if isinstance(layer, Transpose):
        return Affine(permuted_array(scale, layer.permutation), permuted_array(shift, layer.permutation))
    if isinstance(layer, Reshape):
        shapes = graph.known_shapes
        if shapes is None:
            return None
        return _reshaped(affine, shapes[node.inputs[0]], shapes[node.output])
    if isinstance(layer, (MaxPool, AveragePool)):
        if not all(_is_per_channel(array, len(layer.window.kernel) + 1) for array in (scale, shift)):
            return None
        if isinstance(layer, MaxPool):
            return affine if (scale >= 0).all() else None
        counts_padding = layer.count_include_pad and (_is_padded(layer.window) or layer.window.ceil)
        return affine if not counts_padding or not shift.any() else None
    return None


def _arrays(affine: Affine) -> tuple[Array, Array]:
    """Scale and shift in double precision."""
    return affine.scale.astype(np.float64), affine.shift.astype(np.float64)


def _per_output(layer: Weighted, scale: Array) -> Array:
    """A factor for each output channel, as it broadcasts against the weights."""
    taps = (1,) * (layer.weight.ndim - 2)
    if not isinstance(layer, TransposedConvolution):
        return scale.reshape(-1, 1, *taps)
    rows = np.repeat(scale.reshape(layer.groups, -1), len(layer.weight) // layer.groups, axis=0)
    return rows.reshape(*layer.weight.shape[:2], *taps)


def _rank(layer: Weighted) -> int:
    """Number of axes of a sample that the layer reads or makes."""
    return 1 if isinstance(layer, Dense) else layer.weight.ndim - 1


def _is_per_channel(array: Array, rank: int) -> bool:
    """Whether an array that broadcasts against a sample is constant but for its first axis."""
    return array.size == 1 or (array.ndim == rank and array.size == array.shape[0])


def per_channel(array: Array, channels: int, rank: int) -> Array | None:
    """The array as one number a channel, None if it is not constant over each."""
    return np.broadcast_to(array.reshape(-1), (channels,)) if _is_per_channel(array, rank) else None


def _is_padded(window: Window) -> bool:
    return bool(window.auto_pad) or any(map(any, window.pads))
