"""A model of Keras 3, through the exporter that Keras brings along."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import onnx

from lrpfast.errors import InputTypeError, MissingExtraError, ModelError
from lrpfast.model import Model, load

if TYPE_CHECKING:
    import keras


def from_keras(
    model: keras.Model, output: str | None = None, *, fixed: Mapping[str, npt.ArrayLike] | None = None
) -> Model:
    """Read a model of Keras 3, by way of ONNX.

    Keras exports it, with the package that its backend needs: torch nothing more, TensorFlow tf2onnx, JAX jax2onnx.
    Inputs and relevance keep the layout of the Keras model, which mostly is channels last.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional, or a subclass that has been called once.
    output, fixed
        As for `load`.

    Returns
    -------
    Model

    Raises
    ------
    InputTypeError
        What is given is no model of Keras 3.
    MissingExtraError
        The package that exports for the backend is not installed.
    ModelError
        Keras cannot export it, or it has several inputs or outputs to choose from.
    UnsupportedError
        lrpfast cannot explain it; the message lists all nodes concerned.

    Examples
    --------
    >>> model = lrpfast.from_keras(keras.applications.MobileNetV2())
    >>> lrpfast.LRP(model).attribute(x).save("heatmap.png")  # x: (N, 224, 224, 3)
    """
    import keras

    if not isinstance(model, keras.Model):
        raise InputTypeError(
            f"from_keras takes a model of Keras 3, not {type(model).__module__}.{type(model).__name__}; models of "
            f"older versions become ONNX files by tf2onnx, for lrpfast.load."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            # Exporters tell of their age, and what they take as constants: shapes, which a Keras model knows.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.export(path, format="onnx", verbose=False, input_signature=_signature(model))
        except ImportError as error:
            backend = keras.backend.backend()
            raise MissingExtraError(f"Keras cannot export a model of its backend {backend}: {error}.") from error
        except Exception as error:
            raise ModelError(
                f"Keras cannot export the model '{model.name}' to ONNX: {error}. Replace what is named here; if the "
                f"model has not been called yet, call it on a batch."
            ) from error
        proto = onnx.load(path)
    proto.graph.name = model.name
    return load(proto, output, fixed=fixed)


def _signature(model: keras.Model) -> list[Any] | None:
    """The inputs of a model that declares them, for exporters otherwise ask for a call first; None for others."""
    import keras

    inputs = getattr(model, "inputs", None) or ()
    if keras.backend.backend() == "torch" and any(None in entry.shape[1:] for entry in inputs):
        shapes = ", ".join(str(entry.shape) for entry in inputs)
        raise ModelError(
            f"The input of the model '{model.name}' has axes of free size, {shapes}, which Keras exports from its "
            f"backend torch for a size that it is given: keras.Sequential([keras.Input((224, 224, 3)), model])."
        )
    return [keras.InputSpec(shape=entry.shape, dtype=entry.dtype, name=entry.name) for entry in inputs] or None
