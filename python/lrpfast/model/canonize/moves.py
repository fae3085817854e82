"""Values moved about by way of more axes than a map has."""

from __future__ import annotations

from dataclasses import replace

from lrpfast.model.canonize.rewrite import exhaust, only_reader, substitute
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Gather, Moves, Reshape, Transpose

MOST_AXES = 4  # of channels, planes, rows and columns


def join_moves(graph: Graph) -> Graph:
    """One layer in the place of those between which values have more axes, as blocks of pixels have.

    Exact, for it is the same layers; what lies between them is never made.
    """
    return exhaust(graph, _join)


def _join(graph: Graph, node: Node) -> Graph | None:
    if not isinstance(node.layer, Reshape) or len(node.layer.shape) <= MOST_AXES:
        return None
    chain = [node]
    while _rank(chain) > MOST_AXES:
        reader = only_reader(graph, chain[-1].output)
        if reader is None or not isinstance(reader.layer, (Gather, Reshape, Transpose)):
            return None
        chain.append(reader)
    moves = Moves(tuple(link.layer for link in chain))
    changes: dict[str, tuple[Node, ...]] = {link.output: () for link in chain}
    changes[chain[-1].output] = (replace(node, layer=moves, output=chain[-1].output),)
    return substitute(graph, changes)


def _rank(chain: list[Node]) -> int:
    """Number of axes of a sample behind the last layer."""
    shapes = [link.layer.shape for link in chain if isinstance(link.layer, Reshape)]
    return len(shapes[-1])
