"""What commands explain, and the preset that fits it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.app.images import InputFormat, Preprocessing, resized
from lrpfast.check.probe import HIGH, LOW, probe
from lrpfast.composites import PRESETS, Composite, named
from lrpfast.errors import InputError
from lrpfast.model import Model

Floats: TypeAlias = npt.NDArray[np.float32]


def require_preset(name: str) -> None:
    """Refuse a name that no preset has, with those that come close."""
    if name not in PRESETS:
        named(name)


def noise(model: Model, size: int | None = None) -> tuple[Floats, Any, Any]:
    """A random sample, of `size` where the model leaves that free, and the bounds of its values."""
    table = model.graph.input_table
    low, high = (LOW, HIGH) if table is None else (float(table.min()), float(table.max()))
    return probe(model, size), low, high


def pixels(
    model: Model, picture: Any, preprocessing: Preprocessing, size: int | None = None
) -> tuple[Floats, Any, Any]:
    """A picture as the model takes it, of `size` where the model leaves that free, and the bounds of its values."""
    form = InputFormat.of(model, size)
    sample = preprocessing.sample(resized(picture, form.width, form.height, "crop"), form)
    return (sample, *preprocessing.bounds(form))


def composite_with(name: str, low: npt.ArrayLike, high: npt.ArrayLike, **parameters: float) -> Composite:
    """The preset of that name with its parameters, and with the bounds of the input where it takes them."""
    return composites_with([name], low, high, **parameters)[0]


def composites_with(
    names: Sequence[str], low: npt.ArrayLike, high: npt.ArrayLike, **parameters: float
) -> list[Composite]:
    """The presets of those names, each with those of the parameters that it takes; one at least must take each."""
    takes = {name: inspect.signature(PRESETS[name]).parameters for name in names}
    for parameter in parameters:
        if not any(parameter in taken for taken in takes.values()):
            what = f"The preset '{names[0]}' has" if len(names) == 1 else f"The presets {', '.join(names)} have"
            raise InputError(f"{what} no {parameter}; leave out --{parameter}.")
    given = {"low": low, "high": high, **parameters}
    return [PRESETS[name](**{key: given[key] for key in given if key in taken}) for name, taken in takes.items()]
