"""lrpfast: Layer-wise Relevance Propagation for trained ONNX models, on CPU."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from lrpfast.dataset import explain_dataset

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
    "explain_dataset",
    "from_keras",
    "from_sklearn",
    "from_torch",
    "grid",
    "load",
    "rules",
]


def __getattr__(name: str) -> Any:
    """What is imported where it is used: datasets take a tenth of the time that all the rest does."""
    if name == "explain_dataset":
        from lrpfast.dataset import explain_dataset

        return explain_dataset
    raise AttributeError(f"module 'lrpfast' has no attribute {name!r}")
