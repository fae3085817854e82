"""Pads in front of convolutions."""

from __future__ import annotations

from dataclasses import replace

from lrpfast.model.canonize.rewrite import exhaust, substitute
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Convolution, Pad, Pads


def merge_pads(graph: Graph) -> Graph:
    """Move a Pad into the convolutions that read it.

    Exact for zeros around the spatial axes, because those are what a convolution's own padding consists of. A
    pool treats its padding differently, and automatic padding depends on the size of the map in front of it.
    """
    return exhaust(graph, _merge_pad)


def _merge_pad(graph: Graph, node: Node) -> Graph | None:
    pad = node.layer
    if not isinstance(pad, Pad) or pad.value != 0 or any(pad.pads[0]) or min(map(min, pad.pads)) < 0:
        return None
    if node.output == graph.output:
        return None
    changes: dict[str, tuple[Node, ...]] = {node.output: ()}
    for reader in graph.consumers[node.output]:
        layer = reader.layer
        if not isinstance(layer, Convolution) or layer.window.auto_pad:
            return None
        window = replace(layer.window, pads=_added(layer.window.pads, pad.pads[1:]))
        operator = f"{node.operator}+{reader.operator}"
        changes[reader.output] = (replace(reader, operator=operator, layer=replace(layer, window=window)),)
    return substitute(graph, changes, {node.output: node.inputs[0]})


def _added(first: Pads, second: Pads) -> Pads:
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(first, second, strict=True))
