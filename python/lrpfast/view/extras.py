"""Packages that only pictures and the command line need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lrpfast.errors import MissingExtraError

OPTIONAL = ("PIL", "matplotlib", "rich", "typer")
INSTALL = 'pip install "lrpfast[cli]"'


@contextmanager
def optional(purpose: str) -> Iterator[None]:
    """Say how to install an optional package where an import inside the block fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in OPTIONAL:
            raise
        name = "pillow" if package == "PIL" else package
        raise MissingExtraError(f"{purpose} needs the package {name}, which is not installed: {INSTALL}") from error
