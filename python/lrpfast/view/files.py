"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from lrpfast.errors import FileError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """The file that `path` stands for, links followed; FileError where no file can be written there."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise FileError(f"Cannot write '{path}': it is a folder. Give the name of a file.")
    if not target.parent.is_dir():
        raise FileError(
            f"Cannot write '{path}': there is no folder '{target.parent}'. Make it first, or write elsewhere."
        )
    if target.exists() and not target.is_file():
        raise FileError(f"Cannot write '{path}': it is not a regular file. Give the name of a file.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise FileError(f"Cannot write '{path}': no permission. Write elsewhere, or ask for the right to write there.")
    return target


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill a temporary file in the folder of `path`, then rename it.

    Readers see the old file or the new one, and a failure leaves nothing behind.
    """
    target = check_writable(path)
    partial = target.with_name(f".{os.urandom(8).hex()}.part")
    try:
        with open(partial, "xb") as file:
            write(file)
        os.replace(partial, target)
    except OSError as error:
        raise FileError(f"Cannot write '{path}': {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return Path(path)
