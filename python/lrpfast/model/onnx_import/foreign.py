"""What people give in place of an ONNX model, and the way from there."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

CHECKPOINT = "build its module, load the weights into it, and pass it to lrpfast.from_torch(module, example)"
KERAS_MODEL = "lrpfast.from_keras(keras.models.load_model(path)) reads it"

#: members that tell what a ZIP archive is
MEMBERS = {
    "constants.pkl": "a TorchScript module; lrpfast.from_torch(torch.jit.load(path), example) reads it",
    "data.pkl": f"a checkpoint of PyTorch; {CHECKPOINT}",
    "config.json": f"a Keras model; {KERAS_MODEL}",
}

#: packages whose objects are models, and what reads them; models of Keras may be modules of torch, too
FRONT_ENDS = {
    "keras": "lrpfast.from_keras(model)",
    "torch": "lrpfast.from_torch(module, example)",
    "sklearn": "lrpfast.from_sklearn(estimator)",
}


def file_kind(content: bytes) -> str:
    """What a file of another kind is, and what to do with it; empty where nothing tells."""
    if content.startswith(b"PK\x03\x04"):
        return _archive(content)
    if content.startswith(b"\x89HDF"):
        return f"an HDF5 file, such as a Keras model; {KERAS_MODEL}"
    if content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            f"a Python pickle. If it is a checkpoint of PyTorch, {CHECKPOINT}; if it is an estimator of scikit-learn, "
            f"unpickle it and pass it to lrpfast.from_sklearn"
        )
    if content.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "a picture; give the model's .onnx file here"
    if content[4:8] == b"TFL3":
        return "a TensorFlow Lite model; convert it: python -m tf2onnx.convert --tflite FILE --output model.onnx"
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < len(content):
        return f"a file of weights alone (safetensors); {CHECKPOINT}"
    return ""


def folder_kind(path: Path) -> str:
    """What a folder is, and what to do with it; empty where nothing tells."""
    if (path / "saved_model.pb").is_file():
        return "a TensorFlow SavedModel; convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
    return ""


def object_kind(given: object) -> str:
    """What to do with a model of another library, or with its weights; empty where nothing tells."""
    if isinstance(given, Mapping):
        return f"; if these are the weights of a network of PyTorch, {CHECKPOINT}"
    packages = {base.__module__.partition(".")[0] for base in type(given).__mro__}
    reader = next((reader for package, reader in FRONT_ENDS.items() if package in packages), None)
    return f"; {reader} reads it" if reader else ""


def _archive(content: bytes) -> str:
    try:
        names = [Path(name).name for name in zipfile.ZipFile(BytesIO(content)).namelist()]
    except zipfile.BadZipFile:
        names = []
    return next(
        (what for member, what in MEMBERS.items() if member in names),
        f"a ZIP archive, such as a checkpoint of PyTorch. If it is one, {CHECKPOINT}",
    )
