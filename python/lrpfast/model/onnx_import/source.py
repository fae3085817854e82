"""From whatever the caller has to a checked ONNX model in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from lrpfast.errors import InputTypeError, ModelError
from lrpfast.model.onnx_import.expansion import expanded
from lrpfast.model.onnx_import.foreign import file_kind, folder_kind, object_kind
from lrpfast.model.onnx_import.tensors import external, load_external

OLDEST_OPSET = 7


def model_proto(source: str | os.PathLike[str] | bytes | onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model, and the name to call it by."""
    if isinstance(source, onnx.ModelProto):
        return _checked(source, "the model"), source.graph.name or "model"
    if isinstance(source, bytes):
        model = _parsed(source, "the given bytes")
        return _checked(model, "the given model"), model.graph.name or "model"
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return _checked(_from_file(path), f"'{path}'"), path.stem
    raise InputTypeError(
        f"A model is loaded from a path, bytes or an onnx.ModelProto, not from {type(source).__name__}"
        f"{object_kind(source)}."
    )


def _from_file(path: Path) -> onnx.ModelProto:
    try:
        is_folder, is_other = path.is_dir(), path.exists() and not path.is_file()
        content = b"" if is_other else path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"There is no file '{path}'; check the path (the current folder is '{Path.cwd()}').") from None
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error.strerror}; check its permissions.") from error
    except ValueError:
        raise ModelError(f"{str(path)!r} cannot be the path of a file; check it.") from None
    if is_folder:
        what = folder_kind(path) or "a folder; give the path of the .onnx file itself"
        raise ModelError(f"'{path}' is not an ONNX file but {what}.")
    if is_other:  # a pipe may wait for ever, a device never end
        raise ModelError(f"'{path}' is no plain file; read it yourself, and load its bytes.")
    model = _parsed(content, f"'{path}'")
    try:
        load_external(model, path.parent)
    except ModelError as error:
        raise ModelError(
            f"'{path}' keeps its weights in other files, and one of them cannot be read: {error}. Put them beside it."
        ) from error
    return model


def _parsed(content: bytes, origin: str) -> onnx.ModelProto:
    if not content:
        raise ModelError(f"{_sentence(origin)} is empty; export or download the model again.")
    if what := file_kind(content):
        raise ModelError(f"{_sentence(origin)} is not an ONNX file but {what}.")
    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        raise ModelError(
            f"{_sentence(origin)} ({len(content):,} bytes) is no ONNX model, or a truncated one; export or "
            f"download it again."
        ) from None


def _checked(model: onnx.ModelProto, origin: str) -> onnx.ModelProto:
    """The model with local functions written out, if it keeps to the standard as far as lrpfast relies on it."""
    if not model.graph.node:
        raise ModelError(f"{_sentence(origin)} is no ONNX model, or one without nodes; export or download it again.")
    if external(model):
        raise ModelError(f"{_sentence(origin)} keeps its weights in other files; load it by the path of its file.")
    versions = {opset.domain: opset.version for opset in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    if version and version < OLDEST_OPSET:
        raise ModelError(
            f"{_sentence(origin)} uses ONNX operator set {version}, and lrpfast reads {OLDEST_OPSET} and "
            f"later; convert it with onnx.version_converter."
        )
    names = (name for node in model.graph.node for name in (node.name, node.op_type, *node.input, *node.output))
    if not all(isinstance(name, str) for name in names):
        raise ModelError(
            f"{_sentence(origin)} is damaged: it holds names that are no text. Export or download it again."
        )
    try:
        onnx.checker.check_model(_skeleton(model))
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        lines = str(error).strip().splitlines() or ["the ONNX checker refuses it"]
        reason = lines[0].rstrip(".")
        raise ModelError(f"{_sentence(origin)} is not a valid ONNX model: {reason}. Export it again.") from error
    try:
        return expanded(model)
    except ModelError as error:
        raise ModelError(f"{_sentence(origin)} cannot be read: {error}. Export it without functions.") from error


def _skeleton(model: onnx.ModelProto) -> onnx.ModelProto:
    """The nodes alone, for the checker.

    Weights would only be copied, and the types of the model's ends, on which the checker is stricter than any
    runtime, do not matter here.
    """
    graph = model.graph
    sources = [*graph.input, *graph.initializer, *(tensor.values for tensor in graph.sparse_initializer)]

    def ends(names: Iterable[str]) -> list[onnx.ValueInfoProto]:
        return [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ()) for name in names]

    return onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.node,
            graph.name or "graph",
            ends(dict.fromkeys(source.name for source in sources)),
            ends(value.name for value in graph.output),
        ),
        opset_imports=model.opset_import,
        functions=model.functions,
        ir_version=model.ir_version,
    )


def _sentence(origin: str) -> str:
    return origin[0].upper() + origin[1:]
