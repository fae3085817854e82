"""What the graph proves about values and relevance, whatever the input."""

from __future__ import annotations

from lrpfast.model.graph import Graph
from lrpfast.model.layers import Activation, Affine, Interpolation, Layer, Pad

#: functions that give no negative value, and that do not map zero to zero
FLOOR = {"relu", "sigmoid", "hard_sigmoid", "softplus", "exp", "square", "sqrt", "abs"}
NOT_ZERO = {"sigmoid", "hard_sigmoid", "softplus", "exp", "log", "power", "reciprocal"}


def nonnegative_values(graph: Graph) -> set[str]:
    """Names of the values that cannot be negative, whatever the input."""
    known: set[str] = set()
    for node in graph.nodes:
        if _is_nonnegative(node.layer, all(name in known for name in node.inputs)):
            known.add(node.output)
    return known


def _is_nonnegative(layer: Layer, inputs: bool) -> bool:
    if isinstance(layer, Activation):
        floor = layer.function in FLOOR or (layer.function == "clip" and layer.low >= 0)
        keeps_sign = layer.function != "log" and layer.high >= 0
        return floor or (inputs and keeps_sign)
    if isinstance(layer, Affine):
        return inputs and bool((layer.scale >= 0).all() and (layer.shift >= 0).all())
    if isinstance(layer, Pad):
        return inputs and layer.value >= 0
    if isinstance(layer, Interpolation):
        return inputs and layer.is_convex
    return inputs and layer.kind not in ("conv", "dense")


def zero_at_zero(graph: Graph, proportional: set[str]) -> set[str]:
    """Names of the values whose relevance is zero wherever the value itself is zero.

    `proportional` names the nodes whose rule multiplies by the input. Max pooling and routing hand zero on where they
    received zero, and so do activations that pass relevance and map zero to zero.
    """
    known = {graph.input, *graph.producers} - {graph.output}  # a seed may be anything
    for node in reversed(graph.nodes):
        moves = node.layer.kind in ("max", "routing") or (node.layer.kind == "activation" and _keeps_zero(node.layer))
        if node.name not in proportional and not (moves and node.output in known):
            known.difference_update(node.inputs)
    return known


def zero_below_zero(graph: Graph, proportional: set[str], passing: set[str]) -> set[str]:
    """Names of the values whose relevance is zero wherever the value is not positive.

    Only activations with a floor of zero read them, and hand down unchanged (`passing`) what is zero at zero.
    """
    known = zero_at_zero(graph, proportional)
    return {
        value
        for value, readers in graph.consumers.items()
        if value != graph.output
        and readers
        and all(node.name in passing and floors_at_zero(node.layer) and node.output in known for node in readers)
    }


def _keeps_zero(layer: Layer) -> bool:
    if not isinstance(layer, Activation):
        return False
    return layer.function not in NOT_ZERO and layer.low <= 0 <= layer.high


def floors_at_zero(layer: Layer) -> bool:
    """Whether a layer sets what is negative to zero and hands on what is positive, as ReLU does."""
    return isinstance(layer, Activation) and (
        layer.function == "relu" or (layer.function == "clip" and layer.low == 0 and layer.high > 0)
    )
