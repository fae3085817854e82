"""Activation functions: values, derivatives, and their sides at kinks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast.composites import Composite
from lrpfast.model.layers import Activation
from lrpfast.rules import Gradient, Pass
from oracles.forward import ACTIVATIONS
from oracles.graphs import BACKENDS, chain, explain

#: functions of positive numbers, or that are too large for others
POSITIVE_ONLY = ("sqrt", "power", "reciprocal", "exp", "log")

SLOPES = np.linspace(-0.5, 1.5, 17, dtype=np.float32).reshape(17, 1)

FUNCTIONS = {
    "relu": Activation("relu"),
    "leaky_relu": Activation("leaky_relu", slope=np.asarray(0.125, np.float32)),
    "leaky_relu, a slope for each channel": Activation("leaky_relu", slope=SLOPES),
    "clip": Activation("clip", low=-1.5, high=6),
    "clip from below": Activation("clip", low=-0.5),
    "sigmoid": Activation("sigmoid"),
    "tanh": Activation("tanh"),
    "elu": Activation("elu", alpha=1.25),
    "hard_sigmoid": Activation("hard_sigmoid", alpha=0.25, beta=0.5),
    "hard_swish": Activation("hard_swish"),
    **{name: Activation(name) for name in ("softplus", "softsign", "silu", "mish", "gelu", "gelu_tanh", "erf", "abs")},
    "square": Activation("square"),
    **{name: Activation(name, alpha=-0.75) for name in POSITIVE_ONLY},
}

#: points of every channel; no function has a kink at one of them
POINTS = np.array([-90, -8, -4.25, -3.125, -1.75, -1.25, -0.375, 0.25, 0.75, 1.625, 2.875, 4.5, 5.75, 7.5, 90])


def inputs_of(name: str) -> npt.NDArray[np.float64]:
    points = np.abs(POINTS) / 90 + 0.1 if name in POSITIVE_ONLY else POINTS
    return np.tile(points, (2, 17, 1))


def test_every_function_is_tested_here() -> None:
    assert {layer.function for layer in FUNCTIONS.values()} == set(ACTIVATIONS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_derivatives(name: str, backend: str) -> None:
    layer, x, step = FUNCTIONS[name], inputs_of(name), 1e-6
    value = ACTIVATIONS[layer.function]
    slope = (value(layer, x + step) - value(layer, x - step)) / (2 * step)
    seed = np.random.default_rng(0).uniform(0.5, 1, x.shape).astype(np.float32)
    output, found, _ = explain(chain([layer], (17, 15)), Composite("", [("activation", Gradient())]), backend, x, seed)
    precision = {"reference": 1e-14, "native": 3e-7}[backend]
    np.testing.assert_allclose(output, value(layer, x), rtol=precision, atol=precision)
    np.testing.assert_allclose(found / seed, slope, rtol=max(precision, 1e-8), atol=max(precision, 1e-8))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "kinks", "slopes"),
    [
        ("relu", (0.0, -0.0), (0, 0)),
        ("leaky_relu", (0.0, -0.0), (0.125, 0.125)),
        ("clip", (-1.5, 6.0), (1, 1)),
        ("elu", (0.0, -0.0), (1.25, 1.25)),
        ("hard_sigmoid", (-2.0, 2.0), (0, 0)),
        ("hard_swish", (-3.0, 3.0), (0, 1)),
    ],
)
def test_slopes_at_kinks(name: str, kinks: tuple[float, ...], slopes: tuple[float, ...], backend: str) -> None:
    composite = Composite("", [("activation", Gradient())])
    found = explain(chain([FUNCTIONS[name]], (2,)), composite, backend, [kinks], [[1, 1]])[1]
    np.testing.assert_array_equal(found, [slopes])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_passed_relevance_keeps_every_bit(name: str, backend: str) -> None:
    x = inputs_of(name)
    seed = np.random.default_rng(0).uniform(-1, 1, x.shape).astype(np.float32)
    found = explain(chain([FUNCTIONS[name]], (17, 15)), Composite("", [("activation", Pass())]), backend, x, seed)[1]
    np.testing.assert_array_equal(found, seed)
