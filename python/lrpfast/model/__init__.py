"""What a network is: layers, the graph that joins them, and how both are read from an ONNX file.

Data takes one way: file -> raw graph (`onnx_import`) -> canonical graph (`canonize`) -> `Model`.
"""

from lrpfast.model.model import Model, Source, load

__all__ = ["Model", "Source", "load"]
