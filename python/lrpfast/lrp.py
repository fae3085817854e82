"""LRP: a model prepared to be explained."""

from __future__ import annotations

import math
import os
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution
from lrpfast.composites import Composite, named
from lrpfast.engine.audit import Audit
from lrpfast.engine.backend import Backend, parts_of
from lrpfast.engine.plan import Plan, make_plan
from lrpfast.errors import InputError, InputTypeError, ModelError
from lrpfast.model import Model, load
from lrpfast.model.layers import Array, Shape

BackendName: TypeAlias = Literal["native", "reference"]


class LRP:
    """Layer-wise Relevance Propagation for one model and one composite.

    Weights are prepared here, once. Afterwards the object does not change visibly: many threads may use it at
    once.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    composite : str or Composite
        Which rule each layer gets: the name of a preset, or a composite.
    backend : {"native", "reference"}
        ``"native"`` is C++ in float32, ``"reference"`` NumPy in the float type of the input. Same numbers.
    threads : int, optional
        Threads of the native backend; None takes as many as OpenMP gives (``OMP_NUM_THREADS``, else all
        cores).
    max_memory : int, optional
        Bytes that the native backend may take beyond the model itself, for packed weights and the values of a pass.
        With less, convolutions run by slower methods and a batch in smaller parts; what a single sample needs at
        the least is taken all the same. None leaves speed the choice.

    Raises
    ------
    CompositeError
        An unknown preset, or layers that no rule fits; all of them are listed.
    ModelError
        The model cannot be read, or holds what cannot be explained.
    InputError
        An unknown backend or a number of threads below 1.

    Examples
    --------
    >>> lrp = lrpfast.LRP(lrpfast.load("model.onnx"), composite="epsilon_plus_flat")
    >>> attribution = lrp.attribute(x)
    >>> attribution.save("heatmap.png")
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str] | bytes,
        composite: str | Composite = "epsilon_plus_flat",
        backend: BackendName = "native",
        threads: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        if isinstance(composite, str):
            composite = named(composite)
        elif not isinstance(composite, Composite):
            raise InputTypeError(f"composite is a preset's name or a Composite, not {type(composite).__name__}.")
        if backend not in get_args(BackendName):
            raise InputError(f"There is no backend {backend!r}; the backends are {', '.join(get_args(BackendName))}.")
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads is the number of threads, 1 or more, or None for all cores; not {threads!r}.")
        if max_memory is not None and (not isinstance(max_memory, int) or max_memory < 1):
            raise InputError(f"max_memory is a number of bytes, 1 or more, or None for no limit; not {max_memory!r}.")
        self.model = model if isinstance(model, Model) else load(model)
        self.composite = composite
        self.backend: BackendName = backend
        self.threads = threads
        self.max_memory = max_memory
        self.plan: Plan = make_plan(self.model.graph, composite)
        self._engine = _engine(self.plan, backend, threads, max_memory)

    def attribute(self, x: npt.ArrayLike, target: npt.ArrayLike | None = None) -> Attribution:
        """Explain the model's output for a batch of inputs.

        Parameters
        ----------
        x : array_like, shape (N, ...)
            Inputs in the model's own layout, batch first.
        target : optional
            None explains each sample's highest score; an int, or N ints, that class; an (N, T) int array T
            classes a sample, which share one forward pass; a float array of the output's shape is put at the
            output as it is. A class is seeded with its score (with 1 for composites that are gradients), so
            that the relevance sums to what was explained.

        Returns
        -------
        Attribution
            With relevance of the shape of `x`, or (N, T, ...) for an (N, T) target.

        Raises
        ------
        InputError
            The shape of `x` does not fit the model, `x` is empty or holds NaN or infinity, or the target is
            out of range. Nothing has been computed then.
        InputTypeError
            `x` or `target` are not numbers.
        """
        x = self._checked(x)
        permutation = self.model.graph.input_permutation
        explained = _checked_target(target, len(x), self._output_shape(x.shape[1:]), x.dtype)
        output, chosen, relevance, audit = self._explained(self.model.graph.arranged(x), explained)
        if permutation:
            relevance = relevance.transpose(0, 1, *(2 + int(axis) for axis in np.argsort(permutation)))
        several = isinstance(explained, np.ndarray) and explained.ndim == 2 and explained.dtype.kind == "i"
        return Attribution(
            relevance=np.ascontiguousarray(relevance if several else relevance[:, 0]),
            output=output,
            target=chosen,
            audit=audit if several else audit.single(),
            input=x,
            channel_axis=_channel_axis(permutation, x.ndim - 1),
        )

    def _explained(self, x: Array, target: npt.NDArray[Any] | None) -> tuple[Array, npt.NDArray[Any], Array, Audit]:
        """Output, what was explained, its relevance (N, T, ...) and the account, in parts that fit the memory."""
        several = target is not None and target.ndim == 2 and target.dtype.kind == "i"
        explanations = target.shape[1] if several and target is not None else 1
        parts = []
        for here in parts_of(self._engine, x, explanations):
            output, state = self._engine.forward(x[here])
            seed, chosen = _seed(None if target is None else target[here], output, self.composite)
            parts.append((output, chosen, *self._engine.relevance(state, seed)))
            del state  # its memory serves the next part
        if len(parts) == 1:
            return parts[0]
        outputs, targets, relevances, audits = zip(*parts, strict=True)
        return np.concatenate(outputs), np.concatenate(targets), np.concatenate(relevances), Audit.joined(audits)

    def _checked(self, x: npt.ArrayLike) -> Array:
        """The input as an array of the float type that the backend computes in."""
        array = _array(x, "The input")
        if array.dtype.kind not in "fiub":
            raise InputTypeError(f"The input must hold real numbers, not {array.dtype}.")
        self.model.accept(array.shape)
        if array.size == 0:
            raise InputError(f"The input is empty: shape {array.shape}. Give at least one sample.")
        wide = self.backend == "reference" and array.dtype == np.float64
        return _finite(array, np.dtype(np.float64 if wide else np.float32), "The input")

    def _output_shape(self, sample: Shape) -> Shape:
        """Shape of the scores of one sample."""
        graph = self.model.graph
        try:
            return (graph.known_shapes or graph.shapes(sample))[graph.output]
        except ModelError as error:
            raise InputError(str(error)) from None

    def __str__(self) -> str:
        threads = "all" if self.threads is None else self.threads
        head = f"LRP of '{self.model.name}', composite {self.composite.name}, backend {self.backend}, threads {threads}"
        return f"{head}\n{self.plan}"

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "composite", "backend", "threads", "max_memory")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # packed weights are made anew, not pickled


def _engine(plan: Plan, backend: BackendName, threads: int | None, max_memory: int | None) -> Backend:
    if backend == "reference":
        from lrpfast.engine.reference import ReferenceEngine

        return ReferenceEngine(plan)
    from lrpfast.engine.native import NativeEngine

    return NativeEngine(plan, threads, max_memory)


def _array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} is no array: {error}.") from None


def _finite(values: npt.NDArray[Any], dtype: np.dtype[Any], name: str) -> Array:
    """The values in another type; InputError if any is not finite there."""
    with np.errstate(over="ignore"):
        array: Array = values.astype(dtype, copy=False)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"{name} holds {bad} values that are NaN, infinite or too large for {dtype}; replace them first."
        )
    return array


def _checked_target(
    target: npt.ArrayLike | None, batch: int, output: Shape, dtype: np.dtype[Any]
) -> npt.NDArray[Any] | None:
    """The target as (N,) or (N, T) int64 class indices, or as a seed (N, *output) of `dtype`; None stays."""
    if target is None:
        return None
    array = _array(target, "The target")
    if array.dtype.kind == "f":
        if array.shape != (batch, *output):
            raise InputError(
                f"A float target is a seed of the output's shape {(batch, *output)}, but it has shape {array.shape}. "
                f"For class indices pass integers."
            )
        return _finite(array, dtype, "The target")
    if array.dtype.kind not in "iu":
        raise InputTypeError(f"target is None, class indices (int), or a seed (float), not {array.dtype}.")
    if array.ndim == 0:
        array = np.broadcast_to(array, (batch,))
    if array.ndim > 2 or len(array) != batch or array.size == 0:
        raise InputError(f"target has shape {array.shape}; give one class, {batch} classes, or ({batch}, T) classes.")
    classes, lowest, highest = math.prod(output), int(array.min()), int(array.max())
    if lowest < 0 or highest >= classes:
        wrong = lowest if lowest < 0 else highest
        raise InputError(
            f"target {wrong} is out of range: the model has {classes} outputs, numbered 0 to {classes - 1}."
        )
    return array.astype(np.int64)


def _seed(target: npt.NDArray[Any] | None, output: Array, composite: Composite) -> tuple[Array, npt.NDArray[Any]]:
    """Seed (N, T, *output) of the relevance pass, and the target that it stands for."""
    batch, scores = len(output), output.reshape(len(output), -1)
    if target is not None and target.dtype.kind == "f":
        return target[:, np.newaxis], target
    chosen = scores.argmax(axis=1) if target is None else target
    index = chosen.reshape(batch, -1)
    seed = np.zeros((batch, index.shape[1], scores.shape[1]), output.dtype)
    value = 1 if composite.seed == "one" else np.take_along_axis(scores, index, axis=1)[..., np.newaxis]
    np.put_along_axis(seed, index[..., np.newaxis], value, axis=2)
    return seed.reshape(batch, -1, *output.shape[1:]), chosen


def _channel_axis(permutation: tuple[int, ...], rank: int) -> int | None:
    """The axis of a caller's sample that holds channels."""
    if rank < 2:
        return None
    return permutation[0] if permutation else 0
