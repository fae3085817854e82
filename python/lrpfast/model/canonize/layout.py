"""Transposes and reshapes: merged, moved to where they vanish, or turned into an order of weights."""

from __future__ import annotations

from dataclasses import replace

from lrpfast.model.canonize.rewrite import Rule, bypass, exhaust, only_reader, substitute
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import (
    Activation,
    Affine,
    Array,
    Concat,
    Dense,
    Gate,
    Gather,
    Layer,
    Pad,
    Reshape,
    Shape,
    Sum,
    Transpose,
)


def simplify_layout(graph: Graph) -> Graph:
    """Remove the transposes and reshapes that need no neighbour to move. Exact: all of it only renames positions."""
    return exhaust(graph, *RULES)


def sink_transposes(graph: Graph) -> Graph:
    """Move transposes behind the elementwise layers that read them, if fewer remain. Exact: those ignore the order."""
    lowered = exhaust(graph, *RULES, _sink)
    return lowered if _transposes(lowered) < _transposes(graph) else graph


def _transposes(graph: Graph) -> int:
    return sum(isinstance(node.layer, Transpose) for node in graph.nodes)


def inverse(permutation: Shape) -> Shape:
    """The order of axes that undoes a permutation."""
    return tuple(permutation.index(axis) for axis in range(len(permutation)))


def permuted_array(array: Array, permutation: Shape) -> Array:
    """An array that broadcasts against a sample, for the same sample with its axes permuted."""
    if array.size == 1:
        return array
    return array.reshape((1,) * (len(permutation) - array.ndim) + array.shape).transpose(permutation)


def _compose(graph: Graph, node: Node) -> Graph | None:
    """Two transposes in a row are one."""
    source = graph.producers.get(node.inputs[0])
    if not isinstance(node.layer, Transpose) or source is None or not isinstance(source.layer, Transpose):
        return None
    permutation = tuple(source.layer.permutation[axis] for axis in node.layer.permutation)
    return substitute(graph, {node.output: (replace(node, layer=Transpose(permutation), inputs=source.inputs),)})


def _drop_identity(graph: Graph, node: Node) -> Graph | None:
    """A transpose that keeps the order, and a reshape that keeps the shape, do nothing."""
    layer = node.layer
    if node.inputs[0] == graph.input and node.output == graph.output:
        return None
    if isinstance(layer, Transpose):
        return bypass(graph, node) if layer.permutation == tuple(range(len(layer.permutation))) else None
    if isinstance(layer, Reshape):
        shapes = graph.known_shapes
        return bypass(graph, node) if shapes and shapes[node.inputs[0]] == shapes[node.output] else None
    return None


def _absorb_at_input(graph: Graph, node: Node) -> Graph | None:
    """A transpose that alone reads the input becomes the order in which the graph takes the caller's axes.

    So does a reshape that only puts the one channel of grey pictures first.
    """
    if only_reader(graph, graph.input) is not node or node.output == graph.output:
        return None
    if isinstance(node.layer, Transpose):
        permutation = node.layer.permutation
    elif isinstance(node.layer, Reshape) and graph.known_shapes and _puts_channel_first(graph, node):
        permutation = (2, 0, 1)
    else:
        return None
    if graph.input_permutation:
        permutation = tuple(graph.input_permutation[axis] for axis in permutation)
    kept = () if permutation == tuple(range(len(permutation))) else permutation
    return replace(bypass(graph, node), input_permutation=kept)


def _puts_channel_first(graph: Graph, node: Node) -> bool:
    """Whether a reshape makes (1, H, W) of (H, W, 1)."""
    shapes = graph.known_shapes
    assert shapes is not None
    before, after = shapes[node.inputs[0]], shapes[node.output]
    return len(before) == 3 and before[2] == 1 and before[0] != 1 and after == (1, *before[:2])


def _transpose_as_reshape(graph: Graph, node: Node) -> Graph | None:
    """A transpose that moves no axis but those of size 1 is a reshape."""
    shapes = graph.known_shapes
    if not isinstance(node.layer, Transpose) or shapes is None:
        return None
    before = shapes[node.inputs[0]]
    moving = [axis for axis in node.layer.permutation if before[axis] != 1]
    if moving != sorted(moving):
        return None
    return substitute(graph, {node.output: (replace(node, layer=Reshape(shapes[node.output])),)})


def _merge_reshapes(graph: Graph, node: Node) -> Graph | None:
    """Of two reshapes in a row, the second is enough."""
    source = graph.producers.get(node.inputs[0])
    if not isinstance(node.layer, Reshape) or source is None or not isinstance(source.layer, Reshape):
        return None
    return substitute(graph, {node.output: (replace(node, inputs=source.inputs),)})


def _fold_into_dense(graph: Graph, node: Node) -> Graph | None:
    """A transpose in front of a flattening becomes the order of the columns of the Dense layers that read it."""
    flattening, shapes = only_reader(graph, node.output), graph.known_shapes
    if not isinstance(node.layer, Transpose) or shapes is None or flattening is None:
        return None
    readers = graph.consumers[flattening.output]
    if not isinstance(flattening.layer, Reshape) or flattening.output == graph.output:
        return None
    if not all(isinstance(reader.layer, Dense) for reader in readers):
        return None
    changes: dict[str, tuple[Node, ...]] = {node.output: ()}
    order = (0, *(axis + 1 for axis in inverse(node.layer.permutation)))
    for reader in readers:
        dense = reader.layer
        assert isinstance(dense, Dense)
        columns = dense.weight.reshape(-1, *shapes[node.output]).transpose(order)
        weight = columns.reshape(dense.weight.shape)
        changes[reader.output] = (replace(reader, layer=Dense(weight, dense.bias)),)
    return substitute(graph, changes, {node.output: node.inputs[0]})


def _hoist(graph: Graph, node: Node) -> Graph | None:
    """A transpose behind a layer that alone reads the input goes in front of it, where the input takes it in."""
    source = graph.producers.get(node.inputs[0])
    if not isinstance(node.layer, Transpose) or source is None or source.inputs != (graph.input,):
        return None
    if only_reader(graph, graph.input) is not source or only_reader(graph, source.output) is not node:
        return None
    layer = _carried(source.layer, inverse(node.layer.permutation))
    if layer is None:
        return None
    first = replace(node, inputs=source.inputs, output=f"{node.output}#first")
    second = replace(source, layer=layer, inputs=(first.output,), output=node.output)
    return substitute(graph, {source.output: (first, second), node.output: ()})


def _sink(graph: Graph, node: Node) -> Graph | None:
    """A layer that reads nothing but transposes of one order reads what they read, and one follows it."""
    sources = [graph.producers.get(name) for name in node.inputs]
    transposes = [source for source in sources if source is not None and isinstance(source.layer, Transpose)]
    orders = {source.layer.permutation for source in transposes if isinstance(source.layer, Transpose)}
    if len(transposes) != len(node.inputs) or len(orders) != 1:
        return None
    layer = _carried(node.layer, orders.pop())
    if layer is None:
        return None
    inputs = tuple(source.inputs[0] for source in transposes)
    first = replace(node, layer=layer, inputs=inputs, output=f"{node.output}#first")
    name = f"{node.name}#transpose"  # the transposes that are read here may have other readers and remain
    second = replace(transposes[0], name=name, inputs=(first.output,), output=node.output)
    return substitute(graph, {node.output: (first, second)})


def _carried(layer: Layer, permutation: Shape) -> Layer | None:
    """What gives, when transposed, the same as `layer` of the transposed input; None for layers that know axes."""
    back = inverse(permutation)
    if isinstance(layer, (Sum, Gate)):
        return layer
    if isinstance(layer, Activation):
        return replace(layer, slope=permuted_array(layer.slope, back))
    if isinstance(layer, Affine):
        return Affine(permuted_array(layer.scale, back), permuted_array(layer.shift, back))
    if isinstance(layer, Concat):
        return Concat(permutation[layer.axis])
    if isinstance(layer, Gather):
        return replace(layer, axis=permutation[layer.axis])
    if isinstance(layer, Pad):
        return replace(layer, pads=tuple(layer.pads[axis] for axis in back))
    return None


RULES: tuple[Rule, ...] = (
    _compose,
    _drop_identity,
    _hoist,
    _absorb_at_input,
    _transpose_as_reshape,
    _merge_reshapes,
    _fold_into_dense,
)
