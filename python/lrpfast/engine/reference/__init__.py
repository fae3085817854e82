"""The NumPy backend: every step spelled out, in any float type. It is the specification of the other
backends.
"""

from lrpfast.engine.reference.engine import ReferenceEngine

__all__ = ["ReferenceEngine"]
