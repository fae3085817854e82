"""Rounding at the end of all folding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Affine, Array, Convolution, Dense


def rounded(graph: Graph, raw: Graph) -> Graph:
    """Weights in the type that the file has them in; folding computes in double precision and is rounded
    once, here.

    Affines that remain take the widest type among the weights of the file.
    """
    types = {
        node.name: node.layer.weight.dtype
        for node in raw.nodes
        if isinstance(node.layer, (Convolution, Dense))
    }
    widest = np.result_type(*types.values()) if types else np.dtype(np.float32)
    return graph.rewritten(_rounded(node, types.get(node.name, widest)) for node in graph.nodes)


def _rounded(node: Node, dtype: npt.DTypeLike) -> Node:
    layer = node.layer
    if isinstance(layer, (Convolution, Dense)):
        bias = None if layer.bias is None else _as(layer.bias, dtype)
        return replace(node, layer=replace(layer, weight=_as(layer.weight, dtype), bias=bias))
    if isinstance(layer, Affine):
        return replace(
            node, layer=replace(layer, scale=_as(layer.scale, dtype), shift=_as(layer.shift, dtype))
        )
    return node


def _as(array: Array, dtype: npt.DTypeLike) -> Array:
    converted: Array = np.asarray(array, dtype)
    return converted
