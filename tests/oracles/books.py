"""Accounts of relevance: made by hand, and of explanations as a whole."""

from __future__ import annotations

import numpy as np

from lrpfast import LRP
from lrpfast.engine.audit import FIGURES, Audit, Entry
from oracles.onnx_models import relative_difference


def audit_of(layers, shape):
    """An account by hand, of dense layers: by name the figures that are not zero, (N,) or (N, T) or one for all."""
    figures = [[np.broadcast_to(given.get(figure, 0.0), shape) for figure in FIGURES] for given in layers.values()]
    return Audit([Entry(name, "Gemm", "Epsilon()") for name in layers], np.array(figures, np.float64))


def balanced(model, x, composite="epsilon", tolerance=1e-4):
    """Explain a batch by both backends; what arrives and what was absorbed must be the score. The reference's."""
    expected = LRP(model, composite, "reference").attribute(np.asarray(x, np.float64))
    found = LRP(model, composite).attribute(x)
    assert relative_difference(found.relevance, expected.relevance) < tolerance
    absorbed = sum(layer.bias + layer.stabilizer + layer.rule for layer in expected.audit)
    arrived = expected.relevance.reshape(len(x), -1).sum(axis=1)
    np.testing.assert_allclose(arrived + absorbed, expected.output.reshape(len(x), -1).max(axis=1), rtol=1e-9)
    return expected
