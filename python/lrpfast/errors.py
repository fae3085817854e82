"""Errors of the package: each names the node, its operator, the shapes and what to do."""

from __future__ import annotations


class LRPError(Exception):
    """Base of every error that lrpfast raises on purpose."""


class ModelError(LRPError, ValueError):
    """A model that cannot be read: no ONNX file, truncated, inconsistent, or of an unusable form."""


class UnsupportedError(ModelError):
    """A model that is valid, but holds nodes that lrpfast cannot explain."""


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
