"""Values that stand for nothing, where a method compares the input with such."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.model.layers import Array


def filled(name: str, values: npt.ArrayLike, like: npt.NDArray[Any]) -> Array:
    """The values for every sample of a batch (N, ...); InputError where they do not broadcast to a sample."""
    try:
        sample = np.broadcast_to(np.asarray(values, like.dtype), like.shape[1:])
    except (ValueError, TypeError):
        raise InputError(
            f"{name} is a number, or an array of numbers that broadcasts to a sample of shape {like.shape[1:]}; "
            f"not {type(values).__name__} of shape {np.shape(values)}."
        ) from None
    if not np.isfinite(sample).all():
        raise InputError(f"{name} holds values that are NaN or infinite.")
    return np.broadcast_to(sample, like.shape)
