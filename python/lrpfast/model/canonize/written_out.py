"""Activation functions that files write out as arithmetic, such as ``x * sigmoid(x)``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.model.canonize.rewrite import exhaust, only_reader, substitute
from lrpfast.model.functions import value
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Activation, ActivationName, Affine, Gate, Sum

#: functions with a gate in them
GATED: tuple[ActivationName, ...] = ("silu", "hard_swish", "gelu", "gelu_tanh", "mish")

#: arguments where functions are compared, and the share of the largest value by which equal ones may differ
POINTS = np.linspace(-8, 8, 321)
ROUNDING = 1e-6


def join_written_out(graph: Graph) -> Graph:
    """One activation, and a factor if there is one, in the place of a gate that a signal makes of itself.

    It does not matter how it is written: what counts is that its values are those of the function.
    """
    return exhaust(graph, _join)


def _join(graph: Graph, node: Node) -> Graph | None:
    if not isinstance(node.layer, Gate):
        return None
    last = _with_factor_behind(graph, node)
    for root in _arguments(graph, node):
        found = _values(graph, last.output, root)
        if found is None:
            continue
        if not np.isfinite(found).all():
            continue
        for function in GATED:
            expected = value(Activation(function), POINTS)
            factor = float(found @ expected / (expected @ expected))
            if np.abs(found - factor * expected).max() <= ROUNDING * np.abs(found).max():
                return _replaced(graph, node, last, root, function, factor)
    return None


def _with_factor_behind(graph: Graph, node: Node) -> Node:
    """The node, or a scale behind it that alone reads it."""
    reader = only_reader(graph, node.output)
    if reader is None or not isinstance(reader.layer, Affine) or reader.layer.shift.any():
        return node
    return reader if _is_scalar(reader) else node


def _arguments(graph: Graph, node: Node) -> list[str]:
    """What the product may be a function of: one of its factors, or what that is a multiple of."""
    found = []
    for name in node.inputs:
        producer = graph.producers.get(name)
        found += [name, *(producer.inputs if producer is not None and _is_scalar(producer) else ())]
    return found


def _is_scalar(node: Node) -> bool:
    return isinstance(node.layer, Affine) and node.layer.scale.size == node.layer.shift.size == 1


def _values(graph: Graph, name: str, root: str) -> npt.NDArray[np.float64] | None:
    """A value as a function of another, element by element; None if it is something else."""
    if name == root:
        return POINTS
    node = graph.producers.get(name)
    if node is None or not (_is_scalar(node) or isinstance(node.layer, (Activation, Gate, Sum))):
        return None
    if isinstance(node.layer, Activation) and node.layer.slope.size != 1:
        return None
    inputs = [_values(graph, source, root) for source in node.inputs]
    known = [array for array in inputs if array is not None]
    if len(known) < len(inputs):
        return None
    with np.errstate(all="ignore"):  # not every function is defined everywhere
        match node.layer:
            case Activation():
                return np.asarray(value(node.layer, known[0]), np.float64)
            case Affine(scale=scale, shift=shift):
                return known[0] * float(scale.reshape(())) + float(shift.reshape(()))
            case Gate(operation="times"):
                return known[0] * known[1]
            case _:
                return np.asarray(np.sum(known, axis=0))


def _replaced(graph: Graph, gate: Node, last: Node, root: str, function: ActivationName, factor: float) -> Graph:
    operator = gate.operator if last is gate else f"{gate.operator}+{last.operator}"
    plain = abs(factor - 1) <= ROUNDING
    output = last.output if plain else f"{last.output}#{function}"
    nodes = [replace(gate, operator=operator, layer=Activation(function), inputs=(root,), output=output)]
    if not plain:
        scale = Affine(np.asarray(factor), np.zeros(()))
        nodes.append(replace(last, name=f"{gate.name}#factor", layer=scale, inputs=(output,)))
    return substitute(graph, {last.output: tuple(nodes)})
