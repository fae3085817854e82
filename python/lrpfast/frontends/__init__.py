"""Models of other frameworks: one file a framework, each of which is imported only where it is used."""

from lrpfast.frontends.keras import from_keras
from lrpfast.frontends.sklearn import from_sklearn
from lrpfast.frontends.torch import from_torch

__all__ = ["from_keras", "from_sklearn", "from_torch"]
