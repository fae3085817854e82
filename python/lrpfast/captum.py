"""LRP behind the interface of Captum's attribution methods; nothing of Captum is needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrpfast import lrp
from lrpfast.composites import Composite
from lrpfast.errors import InputError
from lrpfast.frontends import from_torch
from lrpfast.model import Model

if TYPE_CHECKING:
    import torch


class LRP:
    """Layer-wise Relevance Propagation, called as methods of `captum.attr` are.

    Tensors come back as they were given: on the same device, in the same float type, handed over by DLPack. JAX,
    CuPy and other arrays of the array API standard come back in their own kind too.

    Parameters
    ----------
    model : torch.nn.Module or Model
        The network. A module is read by `from_torch` when it first meets inputs of a size, with the weights of that
        moment; make a new `LRP` after training on.
    composite : str or Composite
        The rules, as for `lrpfast.LRP`.

    Examples
    --------
    >>> relevance = lrpfast.captum.LRP(module).attribute(images, target=281)  # a tensor like images
    """

    def __init__(self, model: torch.nn.Module | Model, composite: str | Composite = "epsilon_plus_flat") -> None:
        self.model = model
        self.composite = composite
        self._prepared: dict[tuple[int, ...], lrp.LRP] = {}

    def attribute(self, inputs: Any, target: Any = None, *, return_convergence_delta: bool = False) -> Any:
        """Relevance of the inputs for one class of each sample.

        Parameters
        ----------
        inputs : tensor, shape (N, ...), or tuple of one
            The batch. For a module of several inputs hold the others: ``LRP(from_torch(module, example, fixed=...))``.
        target : optional
            An int or tensor of one, for all samples; a list or tensor of N ints, one for each; a tuple with one index
            for each axis of the output behind the batch, or a list of N such tuples. None explains each sample's
            highest score.
        return_convergence_delta : bool
            Return also what of each sample's score does not arrive at the inputs: score less sum of relevance. A
            softmax or sigmoid at the end of the network is left out of the score.

        Returns
        -------
        tensor, tuple of one, or (either, delta)
            Relevance, in the form of `inputs`; `delta` of shape (N,).

        Raises
        ------
        InputError, InputTypeError, ModelError
            As from `from_torch` and `lrpfast.LRP`.
        """
        given = inputs
        if isinstance(inputs, tuple):
            if len(inputs) != 1:
                raise InputError(
                    f"There are {len(inputs)} inputs, and lrpfast explains one of them at a time; hold the others at a "
                    f"value: LRP(lrpfast.from_torch(module, example, fixed={{'name': tensor}}))."
                )
            given = inputs[0]
        explainer = self._explainer(given)
        x = _read(given)
        attribution = explainer.attribute(x, _flat(target, _output_shape(explainer, x)))
        relevance = _like(attribution.relevance, given)
        result = (relevance,) if isinstance(inputs, tuple) else relevance
        if not return_convergence_delta:
            return result
        scores = attribution.output.reshape(len(x), -1)
        explained = np.take_along_axis(scores, attribution.target[:, np.newaxis], axis=1)[:, 0]
        arrived = attribution.relevance.reshape(len(x), -1).sum(axis=1)
        return result, _like(explained - arrived, given)

    def has_convergence_delta(self) -> bool:
        """Whether `attribute` can return a convergence delta."""
        return True

    def _explainer(self, inputs: Any) -> lrp.LRP:
        """What explains inputs of this size."""
        size = () if isinstance(self.model, Model) else tuple(inputs.shape[1:])
        if size not in self._prepared:
            model = self.model if isinstance(self.model, Model) else from_torch(self.model, inputs)
            self._prepared[size] = lrp.LRP(model, self.composite)
        return self._prepared[size]


def _output_shape(explainer: lrp.LRP, x: npt.NDArray[Any]) -> tuple[int, ...]:
    """Shape of the scores of one sample."""
    graph = explainer.model.graph
    return graph.shapes(explainer.model.accept(x.shape))[graph.output]


def _flat(target: Any, output: tuple[int, ...]) -> Any:
    """Captum's target as lrpfast's: an index into the scores of a sample for all, or one for each sample."""
    if target is None or isinstance(target, int):
        return target
    if isinstance(target, tuple):
        return _index(target, output)
    if isinstance(target, list):
        return [_index(entry, output) if isinstance(entry, tuple) else int(entry) for entry in target]
    indices = _read(target)
    return indices.item() if indices.size == 1 else indices


def _index(place: Sequence[int], output: tuple[int, ...]) -> int:
    try:
        return int(np.ravel_multi_index(tuple(place), output))
    except ValueError as error:
        raise InputError(
            f"target {tuple(place)} is no place in the output {output} of a sample: {error}. Give one index "
            f"for each axis."
        ) from None


def _read(given: Any) -> npt.NDArray[Any]:
    """A tensor of any device and float type as an array that NumPy can compute with."""
    if _is_torch(given):
        given = given.detach().cpu()
        given = given.float() if given.is_floating_point() else given
    return np.asarray(given)


def _like(array: npt.NDArray[np.floating[Any]], given: Any) -> Any:
    """An array in the caller's kind, float type and device, without a copy where they allow it."""
    if _is_torch(given):
        import torch

        floating = given.dtype if given.is_floating_point() else torch.float32
        return torch.from_dlpack(array).to(given.device, floating)
    if hasattr(given, "__array_namespace__"):
        return given.__array_namespace__().from_dlpack(array)
    return array


def _is_torch(given: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)
