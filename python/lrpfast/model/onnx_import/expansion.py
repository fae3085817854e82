"""Local functions written out in the place of their calls, if that does not make too much of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import onnx
from onnx.inliner import inline_local_functions

from lrpfast.errors import ModelError

#: bytes that a model may have with its functions written out: as many, or so many times those of the file
LARGEST, TIMES = 2**24, 16

Key: TypeAlias = tuple[str, str, str]


def expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without local functions.

    Raises
    ------
    ModelError
        Functions call one another in a circle, or become far more nodes than the file has.
    """
    if not model.functions:
        return model
    size, limit = _size(model), max(LARGEST, TIMES * model.ByteSize())
    if size > limit:
        raise ModelError(f"its local functions stand for {size:,} bytes of nodes, where {limit:,} are the most")
    try:
        return inline_local_functions(model)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        raise ModelError(f"its local functions do not fit their calls ({str(error).strip()})") from error


def _size(model: onnx.ModelProto) -> int:
    """Bytes of the graph with functions written out."""
    own: dict[Key, int] = {}
    calls: dict[Key, list[Key]] = {}
    for entry in model.functions:
        key = entry.domain, entry.name, entry.overload
        own[key] = own.get(key, 1) + entry.ByteSize()
        calls.setdefault(key, []).extend(_called(entry.node))
    sizes: dict[Key, int] = {}
    for key in calls:
        _add(key, own, calls, sizes)
    return int(model.graph.ByteSize()) + sum(sizes.get(key, 0) for key in _called(model.graph.node))


def _add(key: Key, own: dict[Key, int], calls: dict[Key, list[Key]], sizes: dict[Key, int]) -> None:
    """Find the size of a function written out, after those of the functions that it calls."""
    waiting, begun = [key], set[Key]()
    while waiting:
        current = waiting[-1]
        missing = [name for name in set(calls[current]) if name in own and name not in sizes]
        if current in sizes:
            waiting.pop()
        elif not missing:
            sizes[current] = own[current] + sum(sizes.get(name, 0) for name in calls[current])
        elif current in begun:
            raise ModelError(f"its local function '{current[1]}' calls itself")
        else:
            begun.add(current)
            waiting += missing


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterator[Key]:
    """What the nodes call, and those in their branches, if they are functions."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node.domain, node.op_type, node.overload
        for attribute in node.attribute:
            waiting += attribute.g.node
            for graph in attribute.graphs:
                waiting += graph.node
