"""What the methods share that average gradients over inputs near the one that is explained."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lrpfast.attribution import Attribution
from lrpfast.errors import InputError
from lrpfast.lrp import LRP
from lrpfast.model.layers import Array


def mean_gradient(lrp: LRP, explained: Attribution, inputs: Iterable[Array]) -> Array:
    """Gradient of what is explained, averaged in float64 over batches that stand for the explained one."""
    total, count = np.zeros(explained.relevance.shape), 0
    for batch in inputs:
        total += lrp.attribute(batch, explained.target).relevance
        count += 1
    return np.asarray(total / count)


def require_count(name: str, count: int) -> None:
    """Refuse a number of gradients that there is no mean of."""
    if not isinstance(count, int) or count < 1:
        raise InputError(f"{name} is how many gradients are averaged, 1 or more; not {count!r}.")
