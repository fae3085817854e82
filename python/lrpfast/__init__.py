"""lrpfast: Layer-wise Relevance Propagation for trained ONNX models, on CPU."""

from importlib.metadata import version

from lrpfast import baselines, composites, rules
from lrpfast.attribution import Attribution
from lrpfast.check import Report, check
from lrpfast.composites import Composite
from lrpfast.errors import (
    CompositeError,
    FileError,
    InputError,
    InputTypeError,
    LRPError,
    MissingExtraError,
    ModelError,
    UnsupportedError,
)
from lrpfast.frontends import from_keras, from_sklearn, from_torch
from lrpfast.grid import grid
from lrpfast.lrp import LRP
from lrpfast.model import Model, load

__version__ = version("lrpfast")

__all__ = [
    "LRP",
    "Attribution",
    "Composite",
    "CompositeError",
    "FileError",
    "InputError",
    "InputTypeError",
    "LRPError",
    "MissingExtraError",
    "Model",
    "ModelError",
    "Report",
    "UnsupportedError",
    "baselines",
    "check",
    "composites",
    "from_keras",
    "from_sklearn",
    "from_torch",
    "grid",
    "load",
    "rules",
]
