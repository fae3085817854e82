"""What models, composites and files are recognised by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def digest(value: object) -> str:
    """SHA-256 of plain data: numbers, texts, arrays, and what dataclasses and containers hold of them."""
    sha = hashlib.sha256()
    for part in _parts(value):
        sha.update(part)
    return sha.hexdigest()


def file_state(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Size and time of a file's last change, None where there is no such file."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _parts(value: object) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif is_dataclass(value):
        yield f"{type(value).__qualname__} ".encode()
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from _parts([(key, value[key]) for key in sorted(value)])
    elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        yield b"["
        for element in value:
            yield from _parts(element)
        yield b"]"
    else:
        yield f"{_plain(value)} ".encode("utf-8", "surrogateescape")


def _plain(value: Any) -> str:
    """A value in text; functions by their names, as those of conditions are."""
    if isinstance(value, np.generic):
        value = value.item()  # whose text does not depend on the version of NumPy
    return getattr(value, "__qualname__", None) or repr(value)
