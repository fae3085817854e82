"""Errors of the package: each names the node, its operator, the shapes and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LRPError(Exception):
    """Base of every error that lrpfast raises on purpose."""


class ModelError(LRPError, ValueError):
    """A model that cannot be read: no ONNX file, truncated, inconsistent, or of an unusable form."""


@dataclass(frozen=True)
class Refusal:
    """A node of a file that lrpfast cannot explain.

    Attributes
    ----------
    name, operator : str
        What the file calls it.
    node : str
        Both in words, with the shapes of its inputs.
    reason : str
        Why it cannot be explained, and what to do.
    """

    name: str
    operator: str
    node: str
    reason: str

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}"


class UnsupportedError(ModelError):
    """A model that is valid, but holds nodes that lrpfast cannot explain; `refusals` are all of them."""

    def __init__(self, message: str, refusals: Sequence[Refusal] = ()) -> None:
        super().__init__(message)
        self.refusals = tuple(refusals)


class InputError(LRPError, ValueError):
    """An input, a target or an option that does not fit the model."""


class InputTypeError(LRPError, TypeError):
    """An argument of a type that the function does not take."""


class CompositeError(LRPError, ValueError):
    """A composite or a rule that is unknown, incomplete, or does not fit a layer."""


class MissingExtraError(LRPError, ImportError):
    """A function that needs an optional package that is not installed."""


class FileError(LRPError, OSError):
    """A file that cannot be read or written."""
