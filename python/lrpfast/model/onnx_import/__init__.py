"""Reading ONNX: a registry of operator importers and the walk over the file that calls them.

An importer turns one node into layers; those of one family share a file. To read a further operator that an
existing layer can express, write one function there.
"""

from lrpfast.model.onnx_import.reader import Reading, read
from lrpfast.model.onnx_import.source import model_proto

__all__ = ["Reading", "model_proto", "read"]
