"""What must come of a file: the model is refused with an `LRPError`, or it loads, and explains or refuses its input."""

from __future__ import annotations

import math

import numpy as np

import lrpfast
from lrpfast import LRPError
from lrpfast.model import Source

COMPOSITES = ("epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon", "gradient", "deep_taylor", "guided_backprop")
FREE_SIZE = 5  # of an axis that the file leaves open
LARGEST = 2**16  # elements of all values of a sample, for it to be explained here


def outcome(source: Source, seed: int) -> str:
    """Load the model, and explain a sample if it is small."""
    try:
        model = lrpfast.load(source)
    except LRPError as error:
        return "refused as nonsense" if "make no sense" in str(error) else f"refused as {type(error).__name__}"
    str(model)
    rng = np.random.default_rng(seed)
    sample = tuple(size or FREE_SIZE for size in model.sample_shape)
    if math.prod(sample) > LARGEST:
        return "loaded"
    try:
        if sum(map(math.prod, model.graph.shapes(sample).values())) > LARGEST:
            return "loaded"
        lrp = lrpfast.LRP(model, str(rng.choice(COMPOSITES)), ("native", "reference")[rng.integers(2)], threads=1)
        table = model.graph.input_table
        x = rng.standard_normal((2, *sample)) if table is None else rng.integers(0, len(table), (2, *sample))
        attribution = lrp.attribute(x)
    except LRPError as error:
        return f"loaded, then refused as {type(error).__name__}"
    if attribution.relevance.shape != x.shape:
        raise AssertionError(f"relevance of shape {attribution.relevance.shape} for an input of shape {x.shape}")
    return "explained"
