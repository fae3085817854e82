"""Is LRP applicable to a model? Layer by layer, and measured."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lrpfast.check.findings import Account, LayerReport, Proof
from lrpfast.check.probe import probe
from lrpfast.check.report import Report
from lrpfast.check.verdicts import layer_report
from lrpfast.composites import Composite
from lrpfast.errors import UnsupportedError
from lrpfast.lrp import LRP
from lrpfast.model import Model, Source, load

__all__ = ["Account", "LayerReport", "Proof", "Report", "check"]

#: Share of the score from which on what biases absorb is measured against rules that leave them out.
MOST = 0.5

#: What was measured on where no input was given.
RANDOM = "random numbers"


def check(
    model: Model | Source,
    x: npt.ArrayLike | None = None,
    composite: str | Composite = "epsilon_plus_flat",
) -> Report:
    """Tell whether LRP is applicable to a model, layer by layer, and measure what becomes of relevance.

    Each layer gets a verdict: ``exact`` (relevance is conserved, or every absorbed part is accounted for),
    ``heuristic`` (a convention decides) or ``unsupported``. Two passes are measured, for each input's highest
    score: one under the composite; and one, in double precision, with relevance in proportion to contributions,
    which shows what ReLU and max pooling do to relevance.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network. One that `load` would refuse gives a report that says why.
    x : array_like, shape (N, ...), optional
        Inputs in the model's own layout, batch first, scaled as in its training. The double-precision pass takes
        them one by one, each some seconds for a large network. None takes a sample of random numbers.
    composite : str or Composite
        Which rule each layer gets, as for `LRP`.

    Returns
    -------
    Report
        ``print(report)`` shows all of it; ``report.applicable`` and ``report.verdict`` are the answer.

    Raises
    ------
    ModelError
        The model cannot be read.
    CompositeError
        An unknown preset, or layers that no rule fits.
    InputError
        The shape of `x` does not fit the model, or `x` is empty or holds NaN or infinity.

    Examples
    --------
    >>> report = lrpfast.check("model.onnx", x)
    >>> print(report)
    """
    try:
        return _measured(model if isinstance(model, Model) else load(model), x, composite)
    except UnsupportedError as error:
        name = model.name if isinstance(model, Model) else "model"
        if isinstance(model, (str, os.PathLike)):
            name = Path(model).stem
        return Report.refused(name, composite if isinstance(composite, str) else composite.name, error)


def _measured(model: Model, x: npt.ArrayLike | None, composite: str | Composite) -> Report:
    """The report on a model that could be loaded."""
    # What measures takes time to import that a first explanation should not wait for.
    from lrpfast.check.measure import accounts_of, arrived_without_biases, audit_of, prove

    lrp = LRP(model, composite)
    attribution = lrp.attribute(probe(model)[np.newaxis] if x is None else x)
    whole, accounts = accounts_of(model.graph, attribution) if lrp.composite.seed == "score" else (None, {})
    without_biases = None
    if whole is not None and whole.bias > MOST:
        without_biases = arrived_without_biases(model, attribution.input)
    reached = {layer.name for layer in audit_of(attribution)}
    return Report(
        model=model.name,
        composite=lrp.composite.name,
        inputs=RANDOM if x is None else "given inputs",
        samples=len(attribution.input),
        layers=tuple(
            layer_report(step, step.node.name in reached, accounts.get(step.node.name))
            for step in reversed(lrp.plan.steps)
        ),
        account=whole,
        without_biases=without_biases,
        proof=prove(model.graph, attribution.input),
    )
