"""Packages that only pictures, the command line, the live page, datasets and clusters need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lrpfast.errors import MissingExtraError

#: The extra of lrpfast that brings each.
EXTRAS = {
    "PIL": "cli",
    "matplotlib": "cli",
    "rich": "cli",
    "typer": "cli",
    "starlette": "web",
    "uvicorn": "web",
    "cloudpickle": "dask",
    "dask": "dask",
    "distributed": "dask",
    "numcodecs": "batch",
    "pyarrow": "batch",
    "zarr": "batch",
}


@contextmanager
def optional(purpose: str) -> Iterator[None]:
    """Say how to install an optional package where an import inside the block fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        name = "pillow" if package == "PIL" else package
        install = f'pip install "lrpfast[{EXTRAS[package]}]"'
        raise MissingExtraError(f"{purpose} needs the package {name}, which is not installed: {install}") from error
