"""Benchmarks: the compiled core against the NumPy reference and against onnxruntime's forward pass, in one run."""
