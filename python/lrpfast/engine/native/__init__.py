"""The C++ backend: Python only says which step comes next, every loop runs in the compiled core, in float32."""

from lrpfast.engine.native.engine import NativeEngine

__all__ = ["NativeEngine"]
