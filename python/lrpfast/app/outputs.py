"""Where pictures are written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from lrpfast.errors import FileError, InputError
from lrpfast.view.files import check_writable
from lrpfast.view.pictures import picture_format


def plan_outputs(
    images: Sequence[Path], out: Path | None, composite: str, sources: Iterable[Path], suffix: str = ".png"
) -> list[Path]:
    """One file per image, checked to be writable as far as that is possible without writing.

    Parameters
    ----------
    images : sequence of Path
        Pictures to be explained.
    out : Path, optional
        A file, for one image only, or a folder, which need not exist; None is the current folder.
    composite : str
        Part of the names that are made up.
    sources : iterable of Path
        Files that must not be overwritten.
    suffix : str
        That of names that are made up; ".html" where reports are written in place of pictures.
    """
    folder = Path() if out is None else out
    if out is not None and not out.is_dir() and out.suffix:
        if len(images) > 1:
            raise FileError(f"Cannot write {len(images)} files to the one file '{out}'. Give a folder: -o FOLDER.")
        files = [out]
        if suffix != ".html":
            picture_format(out)
        elif out.suffix.lower() not in (".html", ".htm"):
            raise InputError(
                f"Cannot write a report to '{out}': its name ends in .html. Leave out --html for a picture."
            )
        check_writable(out)
    else:
        _check_folder(folder)
        files = [folder / name for name in _names(images, composite, suffix)]
        if folder.is_dir():
            for file in files:
                check_writable(file)
    kept = {os.path.realpath(source) for source in (*images, *sources)}
    for file in files:
        if os.path.realpath(file) in kept:
            raise FileError(f"Writing '{file}' would overwrite a file that is read here. Give another name with -o.")
    return files


def _names(images: Sequence[Path], composite: str, suffix: str) -> list[str]:
    """File names after the images; equal ones are numbered, also where only some file systems take them as equal."""
    names: dict[str, str] = {}
    for image in images:
        stem, number = f"{image.stem}_{composite}", 1
        while (name := f"{stem}{suffix}" if number == 1 else f"{stem}_{number}{suffix}").casefold() in names:
            number += 1
        names[name.casefold()] = name
    return list(names.values())


def _check_folder(folder: Path) -> None:
    """Raise FileError where `folder` is no folder and cannot be made one."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise FileError(f"Cannot write into '{folder}': '{existing}' is a file. Give a folder.")
    if not os.access(existing, os.W_OK):
        raise FileError(f"Cannot write into '{folder}': no permission to write in '{existing}'. Give another folder.")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there yet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"Cannot make the folder '{folder}': {error.strerror}.") from error
