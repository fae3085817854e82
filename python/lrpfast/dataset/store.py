"""The store: a Zarr group (format 2) that may be cut off at any moment and is never wrong.

Every array is chunked by image, so that chunk k of each holds the same images. A chunk is written file by file, each
under another name first, flushed to the disk and renamed; only then, in the same way, its element of the array
``committed``, a file of its own. What has that file is whole, and is never touched again. What has not is worth
nothing: it is computed anew and replaced, whatever is there of it. So neither a killed process, nor a full disk, nor
two processes that do the same chunk can leave a store that says more than it holds, and none has to know of another.

The files are written here rather than by zarr, which promises no order of them and does not flush.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lrpfast.errors import FileError
from lrpfast.view.extras import optional
from lrpfast.view.files import write_whole

#: Version of the layout.
FORMAT = 1

#: The array that says which chunks are there: how many of its images were explained, or `MISSING`.
COMMITTED = "committed"
MISSING = -1


@dataclass(frozen=True)
class Column:
    """An array of the store with one element of `shape` for each image; dtype None is text."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    fill: float | str
    """What it holds where there is nothing."""

    def filled(self, count: int) -> npt.NDArray[Any]:
        """Nothing for so many images."""
        return np.full((count, *self.shape), self.fill, dtype=object if self.dtype is None else self.dtype)


@dataclass(frozen=True)
class Store:
    """A store on disk: how many images, how many of them a chunk, and what is kept of each."""

    path: Path
    count: int
    chunk: int
    columns: tuple[Column, ...]

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.count // self.chunk)

    def images(self, chunk: int) -> tuple[int, int]:
        """The first image of a chunk, and the one behind its last."""
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.count)

    def create(self, attributes: Mapping[str, Any]) -> None:
        """Make an empty store; it is there as a whole, or not at all."""
        partial = self.path.with_name(f".{self.path.name}.part")
        with _writing(self.path):
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _write(partial / ".zgroup", _json({"zarr_format": 2}))
            _write(partial / ".zattrs", _json(attributes))
            for column in self.columns:
                self._describe(partial, column, self.count, self.chunk)
            self._describe(partial, Column(COMMITTED, (), np.dtype("<i4"), MISSING), self.chunks, 1)
            os.rename(partial, self.path)
            _flush_folder(self.path.absolute().parent)

    def committed(self) -> npt.NDArray[np.int32]:
        """How many images of each chunk were explained, `MISSING` for chunks that are not there yet."""
        found = np.full(self.chunks, MISSING, np.int32)
        for entry in os.scandir(self.path / COMMITTED):
            if entry.name.isdigit():
                found[int(entry.name)] = np.frombuffer(Path(entry.path).read_bytes(), "<i4")[0]
        return found

    def commit(self, chunk: int, rows: Mapping[str, npt.NDArray[Any]], explained: int) -> None:
        """Write the rows of a chunk, and when all of them are on the disk, that they are there."""
        with _writing(self.path):
            for column in self.columns:
                name = ".".join(map(str, (chunk, *(0 for _ in column.shape))))
                _write(self.path / column.name / name, self._encoded(column, rows[column.name]))
            for column in self.columns:
                _flush_folder(self.path / column.name)
            _write(self.path / COMMITTED / str(chunk), struct.pack("<i", explained))
            _flush_folder(self.path / COMMITTED)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other calls from working on the store, and `clean` it."""
        import fcntl  # which not every system has

        with open(self.path / ".zgroup", "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process ends
            except BlockingIOError:
                raise FileError(
                    f"Another process is writing to the store '{self.path}'. Wait for it, or write to another one."
                ) from None
            self.clean()
            yield

    def clean(self) -> None:
        """Remove what killed processes left half written."""
        for leftover in self.path.glob("*/.*.part"):
            leftover.unlink(missing_ok=True)

    def problems(self) -> Iterator[tuple[str, str]]:
        """Name of each image that could not be explained, and why."""
        with optional("Reading a store"):
            import zarr
        group: Any = zarr.open_group(str(self.path), mode="r")
        for chunk, explained in enumerate(self.committed()):
            first, end = self.images(chunk)
            if 0 <= explained < end - first:
                names, errors = group["names"][first:end], group["errors"][first:end]
                yield from ((str(name), str(error)) for name, error in zip(names, errors, strict=True) if error)

    def _describe(self, root: Path, column: Column, count: int, chunk: int) -> None:
        """Write what Zarr has to know of an array."""
        (root / column.name).mkdir()
        text = column.dtype is None
        fill = "NaN" if isinstance(column.fill, float) and np.isnan(column.fill) else column.fill
        entry = {
            "zarr_format": 2,
            "shape": [count, *column.shape],
            "chunks": [chunk, *column.shape],
            "dtype": "|O" if column.dtype is None else column.dtype.str,
            "fill_value": fill,
            "order": "C",
            "filters": [{"id": "vlen-utf8"}] if text else None,
            "compressor": None if column.name == COMMITTED else self._codec.get_config(),
        }
        _write(root / column.name / ".zarray", _json(entry))

    def _encoded(self, column: Column, rows: npt.NDArray[Any]) -> bytes:
        """The file of a chunk; Zarr's chunks are whole, the last one too."""
        if len(rows) < self.chunk:
            rows = np.concatenate([rows, column.filled(self.chunk - len(rows))])
        if column.dtype is None:
            texts = [text.encode("utf-8", "backslashreplace") for text in rows]
            parts = (struct.pack("<I", len(text)) + text for text in texts)
            return bytes(self._codec.encode(struct.pack("<I", len(texts)) + b"".join(parts)))
        return bytes(self._codec.encode(np.ascontiguousarray(rows, column.dtype)))

    @cached_property
    def _codec(self) -> Any:
        """Faster than the disk, in blocks that hold several channels: those that get the same relevance cost one."""
        with optional("Writing a store"):
            from numcodecs import Blosc
        return Blosc("lz4", clevel=7, shuffle=Blosc.SHUFFLE)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say of what fails while a store is written that nothing is lost."""
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        full = cause.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full. Make room" if full else f"{cause.strerror or cause}. Put that right"
        raise FileError(
            f"Cannot write to the store '{path}': {what}, then run the same again: it goes on where it stopped."
        ) from error


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole, also after a power cut, or not at all."""

    def write(file: BinaryIO) -> None:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # a store would fill the memory for files, in place of what is read again
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    write_whole(path, write)


def _flush_folder(path: Path) -> None:
    """Bring the names of a folder's files to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
