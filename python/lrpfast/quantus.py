"""Explanations for Quantus, which measures explanations; nothing of it is needed to import this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution
from lrpfast.composites import Composite
from lrpfast.errors import InputTypeError
from lrpfast.lrp import LRP
from lrpfast.model import Model


def explain_func(
    model: object,
    inputs: npt.ArrayLike,
    targets: npt.ArrayLike | None,
    *,
    composite: str | Composite = "epsilon_plus_flat",
    attribute: Callable[[npt.ArrayLike, npt.ArrayLike | None], Attribution] | None = None,
    device: object = None,
) -> npt.NDArray[np.floating[Any]]:
    """Explain a batch the way that metrics of Quantus call their ``explain_func``.

    Parameters
    ----------
    model : Model
        The network. Quantus hands over what it was given, which may be None, or another framework's model: then
        `attribute` has to say what is explained, and `model` is not looked at.
    inputs, targets : array_like
        The batch, in the model's own layout, and the classes to explain.
    composite : str or Composite
        The rules, as for `LRP`.
    attribute : callable, optional
        What explains in place of an `LRP` that is made anew for each call: ``lrp.attribute``, or a function of
        `lrpfast.baselines` with its model filled in by `functools.partial`.
    device : object
        Quantus passes it on; the computation runs on the CPU.

    Returns
    -------
    ndarray
        Relevance, of the shape of `inputs`.

    Raises
    ------
    InputTypeError
        The model is none of lrpfast's and `attribute` is missing.

    Examples
    --------
    >>> lrp = lrpfast.LRP("model.onnx")
    >>> options = {"attribute": lrp.attribute}
    >>> metric(model=net, x_batch=x, y_batch=y, explain_func=explain_func, explain_func_kwargs=options)
    """
    if attribute is None:
        if not isinstance(model, Model):
            raise InputTypeError(
                f"Quantus handed over a model of type {type(model).__name__}, which lrpfast does not explain; say what "
                f"it does: explain_func_kwargs={{'attribute': lrpfast.LRP('model.onnx').attribute}}."
            )
        attribute = LRP(model, composite).attribute
    return attribute(inputs, targets).relevance
