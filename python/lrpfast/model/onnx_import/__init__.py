"""Reading ONNX: a registry of operator importers and the walk over the file that calls them.

An importer turns one node into layers; those of one family share a file. To read a further operator that an
existing layer can express, write one function there.
"""

from lrpfast.model.onnx_import import (  # noqa: F401 - importing the families fills the registry
    activations,
    arithmetic,
    convolution,
    linear,
    logic,
    normalization,
    pooling,
    quantization,
    resizing,
    shaping,
    sklearn,
)
from lrpfast.model.onnx_import.reader import Reading, read
from lrpfast.model.onnx_import.source import model_proto

__all__ = ["Reading", "model_proto", "read"]
