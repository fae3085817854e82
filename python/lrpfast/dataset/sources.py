"""Where inputs come from: files of pictures, lists of them, NumPy and Zarr arrays, Parquet; read by slices only.

A source knows how many inputs it holds and gives any range of them, again in another process if need be. What it opens
stays behind when it is pickled.
"""

from __future__ import annotations

import os
import zipfile
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from glob import glob, has_magic
from itertools import groupby, islice
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.dataset.digest import digest, file_state
from lrpfast.dataset.preparation import Item, Items
from lrpfast.errors import FileError, InputError, LRPError
from lrpfast.model import Model
from lrpfast.view.extras import optional

#: Names of inputs, and the inputs.
Read: TypeAlias = tuple[list[str], Items]

#: Suffixes of files that hold many inputs.
HOLDS_MANY = (".npy", ".npz", ".parquet", ".txt", ".zarr")

#: What a folder holds that is a Zarr array or group.
ZARR = (".zarray", ".zgroup", "zarr.json")


class Source(ABC):
    """Inputs in a fixed order."""

    title: str
    """What a person calls them."""
    count: int
    """How many there are."""
    kind: tuple[tuple[int, ...], np.dtype[Any]] | None = None
    """Shape and type of each, where they are arrays; None where they are pictures."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Read:
        """The inputs from `start` to `stop`, and their names."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What tells these inputs from others, to be kept as JSON."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "opened"}


class PictureFiles(Source):
    """Files of pictures, by their names; a million of them take as much memory as their names in a file would."""

    def __init__(self, title: str, names: Iterable[str | os.PathLike[str]]) -> None:
        self.title = title
        self.text, self.ends = bytearray(), array("q", [0])
        for name in names:
            self.text += os.fsencode(name)
            self.ends.append(len(self.text))
        self.count = len(self.ends) - 1
        self.folder = Path.cwd()

    def name(self, index: int) -> str:
        """Name of a file, as it was given."""
        return os.fsdecode(bytes(self.text[self.ends[index] : self.ends[index + 1]]))

    def read(self, start: int, stop: int) -> Read:
        names = [self.name(index) for index in range(start, stop)]
        return names, [self.folder / name for name in names]

    def identity(self) -> dict[str, Any]:
        names = map(self.name, range(self.count))
        files = digest((name, file_state(self.folder / name)) for name in names)
        return {"inputs": self.title, "count": self.count, "names, sizes and times": files}


class Rows(Source):
    """What sources have in common that are one file, or one folder, of many inputs."""

    def __init__(self, path: Path) -> None:
        self.title = str(path)
        self.path = path.absolute()

    def names(self, start: int, stop: int) -> list[str]:
        """The name of the file, and the number in it."""
        return [f"{self.title}[{index}]" for index in range(start, stop)]

    def identity(self) -> dict[str, Any]:
        found: dict[str, Any] = {"inputs": self.title, "count": self.count}
        if self.kind is not None:
            shape, dtype = self.kind
            found |= {"shape": list(shape), "dtype": dtype.str}
        return found | {"size and time": file_state(self.path)}


class ArrayFile(Rows):
    """An array in a .npy file, mapped into memory."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count, self.kind = _rows_of(self.opened, path)

    @cached_property
    def opened(self) -> npt.NDArray[Any]:
        try:
            return np.load(self.path, mmap_mode="r")  # type: ignore[no-any-return]
        except (OSError, ValueError, EOFError) as error:
            raise _unreadable(self.path, error) from error

    def read(self, start: int, stop: int) -> Read:
        return self.names(start, stop), np.array(self.opened[start:stop])


class ArchivedArray(Rows):
    """An array in a .npz file, unpacked as far as it is read; in order that is once."""

    def __init__(self, path: Path, model: Model) -> None:
        super().__init__(path)
        self.lock = Lock()
        try:
            with zipfile.ZipFile(path) as archive:
                heads = {name: _npy_head(archive, name) for name in archive.namelist() if name.endswith(".npy")}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise _unreadable(path, error) from error
        self.member = _fitting({name: shape for name, (shape, _, _) in heads.items()}, path, model)
        shape, dtype, self.begin = heads[self.member]
        self.count, self.kind = shape[0], (shape[1:], dtype)

    @cached_property
    def opened(self) -> Any:
        return zipfile.ZipFile(self.path).open(self.member)

    def read(self, start: int, stop: int) -> Read:
        assert self.kind is not None
        shape, dtype = self.kind
        each = int(np.prod(shape)) * dtype.itemsize
        with self.lock:
            self.opened.seek(self.begin + start * each)
            content = self.opened.read((stop - start) * each)
        return self.names(start, stop), np.frombuffer(content, dtype).reshape(stop - start, *shape)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=Lock())


class ZarrArray(Rows):
    """A Zarr array, or the only one of a group that the model takes."""

    def __init__(self, path: Path, model: Model) -> None:
        super().__init__(path)
        self.member = ""
        opened = self._open()
        if not hasattr(opened, "shape"):
            self.member = _fitting({name: each.shape for name, each in opened.arrays()}, path, model)
        self.count, self.kind = _rows_of(self.opened, path)

    def _open(self) -> Any:
        with optional("Reading a Zarr array"):
            import zarr
        try:
            return zarr.open(str(self.path), mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise _unreadable(self.path, error) from error

    @cached_property
    def opened(self) -> Any:
        return self._open()[self.member] if self.member else self._open()

    def read(self, start: int, stop: int) -> Read:
        return self.names(start, stop), np.asarray(self.opened[start:stop])

    def identity(self) -> dict[str, Any]:
        folder = self.path / self.member
        return super().identity() | {"size and time": [file_state(folder / name) for name in ZARR]}


class Table(Rows):
    """A column of a Parquet file: encoded pictures, or the paths of their files; read row by row, in order once."""

    def __init__(self, path: Path, column: str | None) -> None:
        super().__init__(path)
        self.lock = Lock()
        self.count = self.opened.metadata.num_rows
        self.column = _picture_column(self.opened.schema_arrow, path, column)
        self.folder = Path.cwd()
        self.position = -1
        self.rows: Iterator[Any] = iter(())

    @cached_property
    def opened(self) -> Any:
        with optional("Reading Parquet"):
            import pyarrow
            import pyarrow.parquet as parquet
        try:
            return parquet.ParquetFile(self.path, memory_map=True)
        except (OSError, pyarrow.ArrowInvalid) as error:
            raise _unreadable(self.path, error) from error

    def read(self, start: int, stop: int) -> Read:
        with self.lock:
            if start != self.position:
                self.rows = self._from(start)
            values = list(islice(self.rows, stop - start))
            self.position = stop
        names = self.names(start, stop)
        items: list[Item] = []
        for place, value in enumerate(values):
            path = value.get("path") if isinstance(value, dict) else value if isinstance(value, str) else None
            content = value.get("bytes") if isinstance(value, dict) else value
            names[place] = path or names[place]
            if isinstance(content, bytes):
                items.append(content)
            else:
                items.append(
                    self.folder / path if path else FileError(f"'{names[place]}' is empty: it holds no picture.")
                )
        return names, items

    def _from(self, start: int) -> Iterator[Any]:
        """The values of the column from a row on."""
        metadata, group, skipped = self.opened.metadata, 0, start
        while group < metadata.num_row_groups and skipped >= metadata.row_group(group).num_rows:
            skipped -= metadata.row_group(group).num_rows
            group += 1
        groups = range(group, metadata.num_row_groups)
        for batch in self.opened.iter_batches(batch_size=64, row_groups=groups, columns=[self.column]):
            yield from (value.as_py() for value in batch.column(0)[skipped:])
            skipped = max(skipped - len(batch), 0)

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"column": self.column}

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"lock": None, "rows": None, "position": -1}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=Lock(), rows=iter(()))


class Joined(Source):
    """Several sources behind one another."""

    def __init__(self, parts: Sequence[Source]) -> None:
        self.title = ", ".join(part.title for part in parts)
        self.parts = parts
        self.count = sum(part.count for part in parts)
        self.has_pictures = any(part.kind is None for part in parts)

    def read(self, start: int, stop: int) -> Read:
        names: list[str] = []
        items: list[Item] = []
        first = 0
        for part in self.parts:
            here = max(start - first, 0), min(stop - first, part.count)
            if here[0] < here[1]:
                some, found = self._part(part, *here)
                if here[1] - here[0] == stop - start:
                    return some, found
                names.extend(some)
                items.extend(found)
            first += part.count
        return names, items

    @staticmethod
    def _part(part: Source, start: int, stop: int) -> Read:
        try:
            return part.read(start, stop)
        except LRPError:
            raise
        except Exception as error:  # what unpacks damaged files raises many kinds
            raise _unreadable(part.title, error) from error

    def identity(self) -> dict[str, Any]:
        return {"parts": [part.identity() for part in self.parts]}


def find_inputs(arguments: Sequence[str], model: Model, column: str | None = None) -> tuple[Joined, list[str]]:
    """What the arguments mean, in their order, and what of them was left out, in words.

    Raises
    ------
    FileError
        A file cannot be read, or an argument means nothing.
    InputError
        A file holds several arrays or columns, or none, that the model takes.
    """
    parts: list[Source] = []
    notes: list[str] = []
    for many, group in groupby(_expanded(arguments), key=_holds_many):
        if not many:
            with optional("Reading pictures"):
                from lrpfast.app.inputs import find_pictures
            given = list(group)
            pictures = find_pictures(given)
            title = given[0] if len(given) == 1 else f"{given[0]} and {len(given) - 1} more"
            parts.append(PictureFiles(title, pictures.files))
            notes += pictures.notes()
        else:
            parts += [_open(Path(argument), model, column) for argument in group]
    source = Joined(parts)
    if not source.count:
        raise InputError("There is nothing to explain: the inputs are empty.")
    return source, notes


def _expanded(arguments: Sequence[str]) -> Iterator[str]:
    """The arguments, with patterns of files that hold many inputs in place of what they match."""
    for argument in arguments:
        if has_magic(argument) and not os.path.exists(argument) and argument.lower().endswith(HOLDS_MANY):
            found = sorted(glob(argument, recursive=True))
            if not found:
                raise FileError(f"The pattern '{argument}' matches nothing (the current folder is '{Path.cwd()}').")
            yield from found
        else:
            yield argument


def _holds_many(argument: str) -> bool:
    """Whether an argument names one thing that holds many inputs, rather than pictures."""
    if os.path.isdir(argument):
        return any(os.path.exists(os.path.join(argument, name)) for name in ZARR)
    return argument.lower().endswith(HOLDS_MANY)


def _open(path: Path, model: Model, column: str | None) -> Source:
    match path.suffix.lower():
        case ".txt":
            return _listed(path)
        case ".npy":
            return ArrayFile(path)
        case ".npz":
            return ArchivedArray(path, model)
        case ".parquet":
            return Table(path, column)
    return ZarrArray(path, model)


def _listed(path: Path) -> PictureFiles:
    """The pictures that a file names, one a line."""
    try:
        with open(path, "rb") as lines:
            names = (os.fsdecode(line.strip()) for line in lines)
            return PictureFiles(str(path), (name for name in names if name))
    except OSError as error:
        raise _unreadable(path, error) from error


def _rows_of(opened: Any, path: Path) -> tuple[int, tuple[tuple[int, ...], np.dtype[Any]]]:
    """How many samples an array holds, and their shape and type."""
    if not opened.shape:
        raise InputError(f"'{path}' holds a single number, no batch of inputs.")
    return opened.shape[0], (tuple(opened.shape[1:]), np.dtype(opened.dtype))


def _npy_head(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and type of an array in an archive, and where its numbers begin."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if by_columns and len(shape) > 1:
            raise ValueError(f"the array {name} is stored by columns; save np.ascontiguousarray of it")
        return shape, dtype, file.tell()


def _fitting(shapes: dict[str, tuple[int, ...]], path: Path, model: Model) -> str:
    """The only array, or the only one that the model or its pictures can be made of."""
    rank = len(model.sample_shape) + 1
    found = list(shapes) if len(shapes) == 1 else [name for name, shape in shapes.items() if len(shape) == rank]
    if len(found) != 1:
        held = ", ".join(f"{name.removesuffix('.npy')} {shape}" for name, shape in shapes.items()) or "nothing"
        raise InputError(
            f"'{path}' has {len(found) or 'no'} arrays that a batch for the model may be ({held}). Save the one that "
            f"is meant by itself, as a .npy file or a Zarr array."
        )
    return found[0]


def _picture_column(schema: Any, path: Path, wanted: str | None) -> str:
    """The column of encoded pictures, else that of paths, if there is no other."""
    import pyarrow

    is_text = {
        name: pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) for name, kind in _kinds(schema)
    }
    encoded = [name for name, kind in _kinds(schema) if _is_encoded(kind)]
    candidates = encoded or [name for name, text in is_text.items() if text]
    if wanted is not None:
        candidates = [name for name in is_text if name == wanted and (name in encoded or is_text[name])]
    if len(candidates) != 1:
        held = ", ".join(f"{name} ({kind})" for name, kind in _kinds(schema))
        raise InputError(
            f"'{path}' has {'no' if not candidates else 'several'} columns of pictures or of paths to choose from: it "
            f"holds {held}. Name one of binary or text values with --column."
        )
    return candidates[0]


def _kinds(schema: Any) -> list[tuple[str, Any]]:
    return list(zip(schema.names, schema.types, strict=True))


def _is_encoded(kind: Any) -> bool:
    """Whether values are files of pictures, as they are or in a structure beside their path."""
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _unreadable(path: str | Path, error: Exception) -> FileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return FileError(f"Cannot read '{path}': {reason}.")
