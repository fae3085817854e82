"""Random numbers in place of inputs, for measurements that need some and were given none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lrpfast.model import Model

#: Pixels a side of the pictures for models that take any size.
DEFAULT_SIZE = 224

#: Bounds of the random numbers.
LOW, HIGH = -1.0, 1.0

#: Elements along an axis that the model leaves free, by the number of axes besides the channels.
FREE_SIZES = {1: 1024, 2: DEFAULT_SIZE, 3: 32}


def probe(model: Model, size: int | None = None) -> npt.NDArray[np.float32]:
    """A random sample of the model's shape, the same at every call; of ids for a model that looks them up.

    `size` is that of axes which the model leaves free.
    """
    table = model.graph.input_table
    axes = len(model.sample_shape) - (table is None)  # ids have no channels
    free = size or FREE_SIZES.get(axes, 1)
    shape = tuple(known or free for known in model.sample_shape)
    if table is not None:
        return np.random.default_rng(0).integers(len(table), size=shape).astype(np.float32)
    return np.random.default_rng(0).uniform(LOW, HIGH, shape).astype(np.float32)
