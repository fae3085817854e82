"""What can be chosen on the page: presets, and the parameters that each takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from lrpfast.composites import PRESETS, Composite
from lrpfast.errors import InputError
from lrpfast.rules import AlphaBeta, Epsilon


def alpha_beta(alpha: float = 2.0, epsilon: float = 1e-6) -> Composite:
    """AlphaBeta with beta = alpha - 1 for convolutions, Epsilon for dense layers."""
    return Composite("alpha_beta", [("conv", AlphaBeta(alpha, alpha - 1)), ("dense", Epsilon(epsilon))])


#: The presets of the package, and one whose alpha is free.
COMPOSITES: dict[str, Callable[..., Composite]] = {**PRESETS, "alpha_beta": alpha_beta}


@dataclass(frozen=True)
class Range:
    """Values of a parameter that the page offers; `logarithmic` ones are spread by their magnitude."""

    low: float
    high: float
    logarithmic: bool


RANGES = {
    "epsilon": Range(1e-9, 10.0, logarithmic=True),
    "gamma": Range(0.0, 2.0, logarithmic=False),
    "alpha": Range(1.0, 5.0, logarithmic=False),
    "beta": Range(0.1, 100.0, logarithmic=True),
}


def parameters_of(name: str) -> dict[str, float]:
    """The parameters of a preset that the page offers, with their defaults."""
    signature = inspect.signature(COMPOSITES[name])
    return {key: float(signature.parameters[key].default) for key in RANGES if key in signature.parameters}


def described() -> list[dict[str, Any]]:
    """All presets, as the page is told of them."""
    return [
        {
            "name": name,
            "sums": Choice.of(name, {}).composite(0.0, 1.0).seed == "score",
            "about": (inspect.getdoc(factory) or "").partition("\n")[0],
            "parameters": [
                {"name": key, "default": default, **asdict(RANGES[key])} for key, default in parameters_of(name).items()
            ],
        }
        for name, factory in COMPOSITES.items()
    ]


@dataclass(frozen=True)
class Choice:
    """A preset with all its parameters, in the order of `RANGES`."""

    name: str
    parameters: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, name: str, given: Mapping[str, str]) -> Choice:
        """What a client asked for; InputError where there is no such preset, or a value is out of range."""
        if name not in COMPOSITES:
            raise InputError(f"There is no preset '{name}'. The presets are: {', '.join(COMPOSITES)}.")
        offered = parameters_of(name)
        for key in given:
            if key not in offered:
                raise InputError(f"The preset '{name}' takes no '{key}'; it takes {', '.join(offered) or 'nothing'}.")
        return cls(name, tuple((key, _in_range(key, given[key]) if key in given else offered[key]) for key in offered))

    def composite(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Composite:
        """The composite, with the bounds of the input where it takes them."""
        factory = COMPOSITES[self.name]
        takes = inspect.signature(factory).parameters
        bounds = {key: bound for key, bound in (("low", low), ("high", high)) if key in takes}
        return factory(**bounds, **dict(self.parameters))


def _in_range(key: str, text: str) -> float:
    limits = RANGES[key]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not limits.low <= value <= limits.high:
        raise InputError(f"{key} is a number from {limits.low:g} to {limits.high:g}, not '{text[:20]}'.")
    return value
