"""Which pictures a command line means: files, folders, and patterns for shells that do not expand them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from PIL import Image

from lrpfast.composites import PRESETS
from lrpfast.errors import FileError


@dataclass(frozen=True)
class Pictures:
    """The pictures that were meant, each once, and how many files of folders and patterns were left out."""

    files: tuple[Path, ...]
    others: int = 0
    """Files that are hidden or no pictures, by their names."""
    earlier: int = 0
    """Explanations that an earlier call wrote beside the pictures."""
    repeated: int = 0
    """Pictures that were meant more than once."""

    def notes(self) -> list[str]:
        """What was left out, in words."""
        counted = (
            (self.others, "hidden or no picture"),
            (self.earlier, "named as explanations of others"),
            (self.repeated, "given more than once"),
        )
        left_out = [f"{count} {reason}" for count, reason in counted if count]
        return [f"Left out: {', '.join(left_out)}."] if left_out else []


def find_pictures(arguments: Sequence[str]) -> Pictures:
    """The pictures that the arguments mean, in their order, those of one argument sorted.

    A folder means the pictures in it, not those of folders inside. A pattern means the pictures that it matches;
    ``**`` stands for any number of folders. What is neither, or exists under that very name, is a file.

    Raises
    ------
    FileError
        A folder or a pattern means no picture.
    """
    files: list[Path] = []
    others = earlier = 0
    for argument in arguments:
        folder = os.path.isdir(argument)
        if folder:
            found = files_in(Path(argument))
        elif has_magic(argument) and not os.path.exists(argument):
            found = sorted(Path(entry) for entry in set(glob(argument, recursive=True)) if not os.path.isdir(entry))
        else:
            files.append(Path(argument))
            continue
        pictures = [file for file in found if is_picture(file)]
        originals = without_explanations(pictures)
        if not originals:
            raise FileError(_nothing(argument, folder, len(found)))
        files += originals
        others += len(found) - len(pictures)
        earlier += len(pictures) - len(originals)
    unique: dict[str, Path] = {}
    for file in files:
        unique.setdefault(os.path.abspath(file), file)
    return Pictures(tuple(unique.values()), others, earlier, len(files) - len(unique))


def files_in(folder: Path) -> list[Path]:
    """The files of a folder, sorted."""
    try:
        return sorted(entry for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise FileError(f"Cannot read the folder '{folder}': {error.strerror}.") from error


def is_picture(file: Path) -> bool:
    """Whether a file has a name that pictures have."""
    format_name = Image.registered_extensions().get(file.suffix.lower(), "")
    known = format_name in Image.OPEN and Image.MIME.get(format_name, "").startswith("image/")
    return known and not file.name.startswith(".")


def without_explanations(pictures: Iterable[Path]) -> list[Path]:
    """The pictures without those that `explain` named after another one of them."""
    pictures = list(pictures)
    stems = {(picture.parent, picture.stem) for picture in pictures}

    def explains_another(picture: Path) -> bool:
        stem = picture.stem
        cuts = (stem.find(f"_{name}") for name in PRESETS)
        return any(cut > 0 and (picture.parent, stem[:cut]) in stems for cut in cuts)

    return [picture for picture in pictures if not explains_another(picture)]


def _nothing(argument: str, folder: bool, count: int) -> str:
    if folder:
        held = f"it holds {count} files, but" if count else "it is empty:"
        return (
            f"There is no picture to explain in the folder '{argument}': {held} none with the name of a picture. "
            f"For folders inside it, give a pattern: '{Path(argument) / '**' / '*.jpg'}'."
        )
    matched = f"{count} files, but no picture" if count else "nothing"
    return (
        f"The pattern '{argument}' matches {matched} (the current folder is '{Path.cwd()}'). Check its spelling; "
        f"** stands for any number of folders."
    )
