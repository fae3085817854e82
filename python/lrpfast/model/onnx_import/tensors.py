"""The tensors of a file, wherever they are in it, and the elements that they keep in other files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from lrpfast.errors import ModelError

MOST_SHARED = 4  # times that the bytes of a file may be read, for tensors that share them


def subgraphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    """The graph, the local functions, and the graphs in the attributes of their nodes."""
    waiting: list[onnx.GraphProto | onnx.FunctionProto] = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """All of them: weights, and attributes of nodes."""
    for graph in subgraphs(model):
        if isinstance(graph, onnx.GraphProto):
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from ([attribute.t] if attribute.HasField("t") else [])
                yield from attribute.tensors
                for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                    yield from (sparse.values, sparse.indices)


def external(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Those that keep their elements in other files."""
    return [tensor for tensor in tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]


def load_external(model: onnx.ModelProto, folder: Path) -> None:
    """Take into the model what its tensors keep in other files, which lie in the folder or below it.

    Raises
    ------
    ModelError
        One of the files is not there, is too short, or lies elsewhere, or tensors ask for more than files hold.
    """
    sizes: dict[Path, int] = {}
    asked = 0
    for tensor in external(model):
        given = {entry.key: entry.value for entry in tensor.external_data}
        path = _place(given.get("location", ""), folder)
        offset, length = (_number(given, key, tensor.name) for key in ("offset", "length"))
        try:
            asked += _take(tensor, path, offset or 0, length, sizes)
        except OSError as error:
            raise ModelError(f"'{path.name}' of '{tensor.name}' cannot be read: {error.strerror}") from error
        if asked > MOST_SHARED * sum(sizes.values()):
            raise ModelError(f"its tensors ask for {asked:,} bytes of files that hold {sum(sizes.values()):,}")


def _place(location: str, folder: Path) -> Path:
    """The file of that name; ModelError if that is not in the folder."""
    written = (PurePosixPath(location), PureWindowsPath(location))
    leaves = any(path.is_absolute() or path.drive or ".." in path.parts for path in written)
    if not location or leaves or "\0" in location:
        raise ModelError(f"it names {location[:200]!r}, which is no file in its own folder")
    path = folder / location
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise ModelError(f"'{location[:200]}' is a link that leads out of its folder; put the file itself there")
    return path


def _number(given: dict[str, str], key: str, name: str) -> int | None:
    """A number of bytes, None if it is left out."""
    text = given.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(f"the {key} of '{name}' is {text[:50]!r}, where a number of bytes is needed")
    return int(text)


def _take(tensor: onnx.TensorProto, path: Path, offset: int, length: int | None, sizes: dict[Path, int]) -> int:
    """Read the elements of one tensor; how many bytes they are."""
    # A pipe would wait for somebody to write to it; whether it is one shows only once it is open.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"'{path.name}' is no plain file")
        sizes[path] = status.st_size
        length = max(status.st_size - offset, 0) if length is None else length
        if offset + length > status.st_size:
            raise ModelError(
                f"'{tensor.name}' is at bytes {offset:,} to {offset + length:,} of '{path.name}', which has "
                f"{status.st_size:,}"
            )
        file.seek(offset)
        content = file.read(length)
    tensor.raw_data = content
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]
    return length
