"""Choices by a generator of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    """One of them, as it is: `Generator.choice` makes an array of them."""
    return choices[int(rng.integers(len(choices)))]
