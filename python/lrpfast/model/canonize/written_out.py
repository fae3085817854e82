"""Activation functions that files write out as arithmetic, such as ``x * sigmoid(x)``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from lrpfast.model.canonize.rewrite import exhaust, only_reader, substitute
from lrpfast.model.functions import value
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Activation, ActivationName, Affine, Gate, Layer, Sum

Values = npt.NDArray[np.float64]

#: functions without parameters, of which a file may write a multiple
PLAIN: tuple[ActivationName, ...] = ("relu", "silu", "hard_swish", "gelu", "gelu_tanh", "mish")

#: arguments where functions are compared, close together about 0, and the share of the largest value by which equal
#: ones may differ
NEAR = np.array(sorted({*np.linspace(-8, 8, 1601), *(sign * 2.0**-k for sign in (-1, 1) for k in range(1, 31))}))
ROUNDING = 1e-6

#: arguments where functions are compared by their own size, if they are finite there
FAR = np.array([-1e5, -1e3, -80, -40, -20.5, -12, 12, 20.5, 40, 80, 1e3, 1e5])
POINTS = np.concatenate([NEAR, FAR])
ZERO, LOWEST, HIGHEST = int(np.flatnonzero(POINTS == 0)[0]), 0, len(NEAR) - 1

#: how many values behind one another are looked at
DEPTH = 24


def join_written_out(graph: Graph) -> Graph:
    """One activation, with its factors, in the place of gates that a signal makes of itself.

    It does not matter how it is written: what counts is that its values are those of the function.
    """
    return exhaust(graph, _join)


def _join(graph: Graph, node: Node) -> Graph | None:
    if not _is_gate(node) and not (isinstance(node.layer, Sum) and _reads_gate(graph, node)):
        return None
    last = _with_factor_behind(graph, node)
    for root in _arguments(graph, node):
        found = _values(graph, last.output, root)
        if found is None or not np.isfinite(found[: len(NEAR)]).all():
            continue
        for layers in _candidates(found):
            if _equal(found, _through(layers, POINTS)):
                return _replaced(graph, node, last, root, layers)
    return None


def _is_gate(node: Node | None) -> bool:
    return node is not None and isinstance(node.layer, Gate)


def _reads_gate(graph: Graph, node: Node) -> bool:
    return any(_is_gate(graph.producers.get(name)) for name in node.inputs)


def _with_factor_behind(graph: Graph, node: Node) -> Node:
    """The node, or a scale behind it that alone reads it."""
    reader = only_reader(graph, node.output)
    if reader is None or not isinstance(reader.layer, Affine) or reader.layer.shift.any():
        return node
    return reader if _is_elementwise(reader) else node


def _arguments(graph: Graph, node: Node) -> list[str]:
    """What the node may be a function of, the nearest first."""
    found = list(dict.fromkeys(node.inputs))
    for name in found:
        producer = graph.producers.get(name)
        if producer is not None and _is_elementwise(producer) and len(found) < DEPTH:
            found += [source for source in producer.inputs if source not in found]
    return found


def _is_elementwise(node: Node) -> bool:
    """Whether the node computes the same function of each element."""
    match node.layer:
        case Affine(scale=scale, shift=shift):
            return bool(scale.size == shift.size == 1)
        case Activation(slope=slope):
            return bool(slope.size == 1)
    return isinstance(node.layer, (Gate, Sum))


def _values(graph: Graph, name: str, root: str) -> Values | None:
    """A value as a function of another, element by element; None if it is something else."""
    known = {root: POINTS}
    with np.errstate(all="ignore"):  # not every function is defined everywhere
        return known[name] if _know(graph, name, known, DEPTH) else None


def _know(graph: Graph, name: str, known: dict[str, Values], depth: int) -> bool:
    """Add a value, and those that it is made of, to the known ones; whether that could be done."""
    if name in known:
        return True
    node = graph.producers.get(name)
    if node is None or not depth or not _is_elementwise(node):
        return False
    if not all(_know(graph, source, known, depth - 1) for source in node.inputs):
        return False
    inputs = [known[source] for source in node.inputs]
    match node.layer:
        case Gate(operation="times"):
            known[name] = inputs[0] * inputs[1]
        case Gate() | Sum():
            known[name] = np.asarray(np.sum(inputs, axis=0))
        case _:
            known[name] = _through((node.layer,), inputs[0])
    return True


def _through(layers: tuple[Layer, ...], x: Values) -> Values:
    """What scalar layers make of numbers."""
    for layer in layers:
        if isinstance(layer, Affine):
            x = x * float(layer.scale.reshape(())) + float(layer.shift.reshape(()))
        else:
            assert isinstance(layer, Activation)
            x = np.asarray(value(layer, x), np.float64)
    return x


def _candidates(found: Values) -> Iterator[tuple[Layer, ...]]:
    """Layers that may compute the values: functions, with factors and parameters that fit."""
    near, largest = found[: len(NEAR)], np.abs(found[: len(NEAR)]).max()
    if not largest:
        return
    for function in PLAIN:
        expected = _plain(function)[: len(NEAR)]
        yield Activation(function), *_times(float(near @ expected / (expected @ expected)))
    rise, low, high = found[HIGHEST] / POINTS[HIGHEST], float(near.min()), float(near.max())
    if rise:
        slope = found[LOWEST] / POINTS[LOWEST] / rise
        straight = abs(slope - 1) <= ROUNDING
        yield _times(float(rise)) if straight else (_leaky(slope), *_times(float(rise)))
    if low < high:
        yield (Activation("clip", low=low, high=high),)
    if found[ZERO] > 0:
        sharpness = float(np.log(2) / found[ZERO])
        yield *_times(sharpness), Activation("softplus"), *_times(1 / sharpness)


@cache
def _plain(function: ActivationName) -> Values:
    return np.asarray(value(Activation(function), POINTS), np.float64)


def _leaky(slope: float) -> Activation:
    return Activation("leaky_relu", slope=np.asarray(slope, np.float32))


def _times(factor: float) -> tuple[Layer, ...]:
    return () if abs(factor - 1) <= ROUNDING else (Affine(np.asarray(factor), np.zeros(())),)


def _equal(found: Values, expected: Values) -> bool:
    near, far = slice(len(NEAR)), slice(len(NEAR), None)
    if np.abs(found[near] - expected[near]).max() > ROUNDING * np.abs(found[near]).max():
        return False
    finite = np.isfinite(found[far])
    return np.allclose(found[far][finite], expected[far][finite], rtol=ROUNDING, atol=ROUNDING)


def _replaced(graph: Graph, node: Node, last: Node, root: str, layers: tuple[Layer, ...]) -> Graph:
    operator = node.operator if last is node else f"{node.operator}+{last.operator}"
    nodes, source = [], root
    for step, layer in enumerate(layers or (Affine(np.ones(()), np.zeros(())),)):
        working = isinstance(layer, Activation) or len(layers) < 2
        name = node.name if working else f"{node.name}#factor{step}"
        output = last.output if step == max(len(layers), 1) - 1 else f"{last.output}#{step}"
        nodes.append(replace(node, name=name, operator=operator, layer=layer, inputs=(source,), output=output))
        source = output
    return substitute(graph, {last.output: tuple(nodes)})
