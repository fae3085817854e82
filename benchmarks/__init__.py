"""Benchmarks: lrpfast against its NumPy reference, onnxruntime's forward pass, and other LRP libraries, in one run."""
