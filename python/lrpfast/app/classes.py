"""The classes of a model: their names, their probabilities, and the one that a person means."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from lrpfast.app.images import Floats
from lrpfast.errors import InputError


@dataclass(frozen=True)
class Classes:
    """Names of a model's classes; `names` is empty where none are known."""

    count: int
    names: tuple[str, ...] = ()

    def name(self, index: int) -> str:
        """Name of a class, or "class 7" where it has none."""
        return (self.names[index] if self.names else "") or f"class {index}"

    def find(self, wanted: str) -> int:
        """Index of the class that `wanted` means: an index, a name, or a part that only one name has."""
        try:
            index = int(wanted)
        except ValueError:
            return self._find_name(wanted)
        if not 0 <= index < self.count:
            raise InputError(f"There is no class {index}: the model has {self.count} classes, 0 to {self.count - 1}.")
        return index

    def _find_name(self, wanted: str) -> int:
        if not self.names:
            raise InputError(f"'{wanted}' is no class index. To choose a class by name, give the names with --labels.")
        lower = [name.casefold() for name in self.names]
        key = " ".join(wanted.split()).casefold()
        found = [i for i, name in enumerate(lower) if name == key] or [i for i, name in enumerate(lower) if key in name]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(f"{i} {self.names[i]}" for i in found[:8]) + (", ..." if len(found) > 8 else "")
            raise InputError(f"'{wanted}' may mean several classes: {listed}. Give one of these indices.")
        close = [self.names[lower.index(name)] for name in get_close_matches(key, lower, n=3)]
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise InputError(f"There is no class named '{wanted}' among the labels.{hint}")


def probabilities(scores: npt.ArrayLike, dropped_head: str | None) -> tuple[Floats, str]:
    """Probabilities of one sample's classes, and in words how they came from the scores.

    Scores that already are probabilities (not negative, sum 1) stay, without words; others go through the
    head that the model has at its end, or, if it has none, through a softmax.
    """
    values = np.asarray(scores, dtype=np.float64)
    if dropped_head == "Sigmoid":
        return np.exp(-np.logaddexp(0, -values)), "sigmoid of the score, as in the model"
    if dropped_head is None and values.min() >= 0 and abs(values.sum() - 1) < 1e-3:
        return values, ""
    powers = np.exp(values - values.max())
    origin = "as in the model" if dropped_head else "the model gives scores alone"
    return powers / powers.sum(), f"softmax of the scores, {origin}"
