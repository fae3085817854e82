"""Explanations as a whole: both backends say the same, and every part of the score is accounted for."""

from __future__ import annotations

import numpy as np

from lrpfast import LRP
from oracles.onnx_models import relative_difference


def balanced(model, x, composite="epsilon", tolerance=1e-4):
    """Explain a batch by both backends; what arrives and what was absorbed must be the score. The reference's."""
    expected = LRP(model, composite, "reference").attribute(np.asarray(x, np.float64))
    found = LRP(model, composite).attribute(x)
    assert relative_difference(found.relevance, expected.relevance) < tolerance
    absorbed = sum(layer.bias + layer.stabilizer + layer.rule for layer in expected.audit)
    arrived = expected.relevance.reshape(len(x), -1).sum(axis=1)
    np.testing.assert_allclose(arrived + absorbed, expected.output.reshape(len(x), -1).max(axis=1), rtol=1e-9)
    return expected
