"""Rounding at the end of all folding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Array, Weighted


def rounded(graph: Graph, raw: Graph) -> Graph:
    """Weights in the type that the file has them in: folding computes in double precision and rounds once.

    Affines that remain stay as precise as they are.
    """
    types = {node.name: node.layer.weight.dtype for node in raw.nodes if isinstance(node.layer, Weighted)}
    return graph.rewritten(_rounded(node, types) for node in graph.nodes)


def _rounded(node: Node, types: Mapping[str, npt.DTypeLike]) -> Node:
    layer = node.layer
    if not isinstance(layer, Weighted):
        return node
    dtype = types[node.name]
    bias = None if layer.bias is None else _as(layer.bias, dtype)
    return replace(node, layer=replace(layer, weight=_as(layer.weight, dtype), bias=bias))


def _as(array: Array, dtype: npt.DTypeLike) -> Array:
    converted: Array = np.asarray(array, dtype)
    return converted
