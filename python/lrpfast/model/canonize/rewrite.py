"""Tools to change a graph: small rules, applied until none fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from lrpfast.model.graph import Graph, Node

Rule: TypeAlias = Callable[[Graph, Node], Graph | None]


def exhaust(graph: Graph, *rules: Rule) -> Graph:
    """Offer every node to every rule until none changes the graph any more."""
    before = None
    while graph is not before:
        before = graph
        for value in [node.output for node in graph.nodes]:
            for rule in rules:
                node = graph.producers.get(value)
                if node is not None:
                    graph = rule(graph, node) or graph
    return graph


def substitute(
    graph: Graph, changes: Mapping[str, tuple[Node, ...]], renames: Mapping[str, str] | None = None
) -> Graph:
    """Other nodes in the place of those that compute the values `changes`, and other names for values that
    are read.

    Nodes that nothing reads afterwards are dropped.
    """
    renames = renames or {}
    nodes = [new for node in graph.nodes for new in changes.get(node.output, (node,))]
    renamed = [
        replace(node, inputs=tuple(renames.get(name, name) for name in node.inputs))
        if renames.keys() & set(node.inputs)
        else node
        for node in nodes
    ]
    output = renames.get(graph.output, graph.output)
    wanted, kept = {output}, []
    for node in reversed(renamed):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return replace(graph, nodes=tuple(reversed(kept)), output=output)


def bypass(graph: Graph, node: Node) -> Graph:
    """The graph without a node, whose readers read its input instead."""
    return substitute(graph, {node.output: ()}, {node.output: node.inputs[0]})


def only_reader(graph: Graph, value: str) -> Node | None:
    """The node that alone reads a value; None if there are others, or if the value is the output."""
    readers = graph.consumers[value]
    return readers[0] if len(readers) == 1 and value != graph.output else None
