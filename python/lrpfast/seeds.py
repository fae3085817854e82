"""What is put at the output: from the caller's target to the seed of the relevance pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.composites.composite import Seed
from lrpfast.errors import InputError, InputTypeError
from lrpfast.model.layers import Array, Shape

#: what a class is told apart from: the highest score beside it, the mean of all others, or another class
Against: TypeAlias = Literal["runner_up", "others"] | int


@dataclass(frozen=True, eq=False)
class Seeds:
    """The seeds of a batch, as soon as its scores are known.

    `target` is as `checked_target` gives it. `repeats` is the number of explanations of each sample's only target, None
    where nothing asked for several.
    """

    target: npt.NDArray[Any] | None
    against: Against | None
    kind: Seed
    repeats: int | None = None

    @property
    def columns(self) -> int | None:
        """Number of classes a sample, None where there is no axis for several."""
        several = self.target is not None and self.target.ndim == 2 and self.target.dtype.kind == "i"
        return self.target.shape[1] if several and self.target is not None else None

    @property
    def several(self) -> bool:
        """Whether results have an axis for explanations."""
        return self.columns is not None or self.repeats is not None

    @property
    def explanations(self) -> int:
        """Number of explanations a sample."""
        return max(self.columns or 1, self.repeats or 1)

    def for_scores(self, output: Array, samples: slice) -> tuple[Array, npt.NDArray[Any]]:
        """Seed (N, T, *output) of the relevance pass for some samples, and the target that it stands for."""
        target, batch, scores = self.target, len(output), output.reshape(len(output), -1)
        if target is not None and target.dtype.kind == "f":
            seed = target[samples, np.newaxis]
            return np.repeat(seed, self.explanations, axis=1), target[samples]
        chosen = scores.argmax(axis=1) if target is None else target[samples]
        index = chosen.reshape(batch, -1)
        factors = self._factors(scores, index)
        seed = factors if self.kind == "one" else factors * scores[:, np.newaxis]
        whole = seed.reshape(batch, -1, *output.shape[1:]).astype(output.dtype, copy=False)
        return (whole if whole.shape[1] == self.explanations else np.repeat(whole, self.explanations, axis=1)), chosen

    def _factors(self, scores: Array, index: npt.NDArray[np.integer]) -> Array:
        """How much of each score (N, T, classes) is explained: 1 of the class, less of what it is told apart from."""
        batch, count = scores.shape
        factors = np.zeros((batch, index.shape[1], count), scores.dtype)
        if self.against == "others":
            factors -= 1 / (count - 1)
        elif self.against is not None:
            others = np.broadcast_to(scores[:, np.newaxis], factors.shape).copy()
            _put(others, index, -np.inf)
            rival = others.argmax(axis=2) if self.against == "runner_up" else np.full(index.shape, self.against)
            _check_apart(index, rival)
            _put(factors, rival, -1)
        _put(factors, index, 1)
        return factors


def _put(values: Array, index: npt.NDArray[np.integer], value: float) -> None:
    """Set the entries (N, T) of values (N, T, classes): what `put_along_axis` does, in a fifth of the time."""
    rows = values.reshape(-1, values.shape[-1])
    rows[np.arange(len(rows)), index.reshape(-1)] = value


def _check_apart(index: npt.NDArray[np.integer], rival: npt.NDArray[np.integer]) -> None:
    same = index == rival
    if same.any():
        sample = int(same.any(axis=1).argmax())
        raise InputError(
            f"Class {rival[same][0]}, which sample {sample} is explained for, cannot be told apart from itself; "
            f"choose another class for `against`, or another target."
        )


def array_of(values: Any, name: str) -> npt.NDArray[Any]:
    """The values as an array; InputError if they are none, InputTypeError for a tensor that NumPy cannot read."""
    try:
        if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            return np.from_dlpack(values)
        return np.asarray(values)
    except ValueError as error:
        raise InputError(f"{name} is no array: {error}.") from None
    except (BufferError, RuntimeError, TypeError) as error:
        raise InputTypeError(
            f"{name} is a {type(values).__name__} that NumPy cannot read: {str(error).rstrip('.')}. Pass an array, or "
            f"a tensor on the CPU in float32, without gradients: x.detach().cpu().float()."
        ) from None


def finite(values: npt.NDArray[Any], dtype: np.dtype[Any], name: str) -> Array:
    """The values in another type; InputError if any is not finite there."""
    with np.errstate(over="ignore", invalid="ignore"):
        array: Array = values.astype(dtype, copy=False)
        if np.isfinite(array.sum()):  # then all are: many times faster than to look at each
            return array
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(
            f"{name} holds {bad} values that are NaN, infinite or too large for {dtype}; replace them first."
        )
    return array


def checked_target(
    target: npt.ArrayLike | None, batch: int, output: Shape, dtype: np.dtype[Any]
) -> npt.NDArray[Any] | None:
    """The target as (N,) or (N, T) int64 class indices, or as a seed (N, *output) of `dtype`; None stays."""
    if target is None:
        return None
    array = array_of(target, "The target")
    if array.dtype.kind == "f":
        if array.shape != (batch, *output):
            raise InputError(
                f"A float target is a seed of the output's shape {(batch, *output)}, but it has shape {array.shape}. "
                f"For class indices pass integers."
            )
        return finite(array, dtype, "The target")
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


def checked_against(against: Against | None, target: npt.NDArray[Any] | None, output: Shape) -> Against | None:
    """What the target is told apart from, if that can be."""
    if against is None:
        return None
    classes = math.prod(output)
    if target is not None and target.dtype.kind == "f":
        raise InputError("A float target is the whole seed; `against` is for classes.")
    if classes < 2:
        raise InputError("The model has one output, which can be told apart from nothing.")
    if against in ("runner_up", "others"):
        return against
    if not isinstance(against, (int, np.integer)) or isinstance(against, bool) or not 0 <= against < classes:
        raise InputError(f"against is 'runner_up', 'others' or a class from 0 to {classes - 1}, not {against!r}.")
    if target is not None:
        index = target.reshape(len(target), -1)
        _check_apart(index, np.full_like(index, against))
    return int(against)
