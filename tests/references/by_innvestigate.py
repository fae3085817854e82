"""Makes the golden files of iNNvestigate, for networks that its presets are made for.

Needs TensorFlow and iNNvestigate, which live in an environment of their own. README.md says how.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import innvestigate
import numpy as np
import numpy.typing as npt
import tensorflow
from tensorflow import keras

from .architectures import ARCHITECTURES
from .golden import Golden, Layer, save
from .settled import Doubles, network, settled, without_bias
from .single_layers import Drawing, Shape

#: networks of ReLU and max pools whose first layer Keras can pad by itself
NETWORKS = ("vgg", "inception", "perceptron", "residual")

#: lrpfast's names and iNNvestigate's
PRESETS = {
    "preset_a": "lrp.sequential_preset_a",
    "preset_a_flat": "lrp.sequential_preset_a_flat",
    "preset_b": "lrp.sequential_preset_b",
    "preset_b_flat": "lrp.sequential_preset_b_flat",
}


def main() -> None:
    """Write all files."""
    tensorflow.compat.v1.disable_eager_execution()
    keras.backend.set_floatx("float64")
    for name in NETWORKS:
        save("innvestigate", name, settled(name, partial(comparable, *ARCHITECTURES[name]), by_presets, values))


def comparable(samples: int, shape: Shape, draw: Drawing, seed: int) -> Golden:
    """A network whose convolutions have no bias: iNNvestigate takes both signs of it into each denominator."""
    golden = network(samples, shape, draw, seed)
    layers = [without_bias(layer) if layer.kind == "convolution" else layer for layer in golden.layers]
    return replace(golden, layers=layers)


def by_presets(golden: Golden) -> Golden:
    """The golden with its highest scores explained by every preset."""
    keras.backend.clear_session()
    x = channels_last(golden.inputs.astype(np.float64))
    model = keras_network(golden.layers, x.shape[1:])
    scores = model.predict(x)
    found = {}
    for name, kind in PRESETS.items():
        analyzer = innvestigate.create_analyzer(kind, model, disable_model_checks=True)
        found[name] = channels_first(np.asarray(analyzer.analyze(x)))
    return replace(golden, scores=scores, target=scores.argmax(1), relevance=found)


def values(golden: Golden) -> dict[str, Doubles]:
    """All values of the network by their names; maps channels first."""
    keras.backend.clear_session()
    x = channels_last(golden.inputs.astype(np.float64))
    made = keras_values(golden.layers, x.shape[1:])
    given = made.pop("x")  # Keras does not hand out what it is given
    found = keras.Model(given, list(made.values())).predict(x)
    return {"x": golden.inputs} | dict(zip(made, map(channels_first, found), strict=True))


def keras_network(layers: list[Layer], shape: tuple[int, ...]) -> Any:
    """The Keras model for samples of `shape`, channels last."""
    made = keras_values(layers, shape)
    return keras.Model(made["x"], made[layers[-1].output])


def keras_values(layers: list[Layer], shape: tuple[int, ...]) -> dict[str, Any]:
    """All values in Keras by their names."""
    made = {"x": keras.layers.Input(shape)}
    for layer in layers:
        made[layer.output] = output(layer, [made[name] for name in layer.inputs])
    return made


def output(layer: Layer, inputs: list[Any]) -> Any:
    """The value of a layer."""
    given, x = layer.settings, inputs[0]
    match layer.kind:
        case "convolution":
            return convolution(layer, x)
        case "dense":
            weight, bias = layer.arrays["weight"], layer.arrays["bias"]
            return with_weights(keras.layers.Dense(len(weight)), [weight.T, bias], x)
        case "max pool":
            return keras.layers.MaxPooling2D(given["kernel"], given["strides"], padding(given))(x)
        case "activation" if given["function"] == "relu":
            return keras.layers.ReLU()(x)
        case "global average":
            return keras.layers.GlobalAveragePooling2D()(x)
        case "sum":
            return keras.layers.Add()(inputs)
        case "concat":
            return keras.layers.Concatenate()(inputs)
        case "flatten":  # in the order of channels first
            return keras.layers.Flatten()(keras.layers.Permute((3, 1, 2))(x) if len(x.shape) == 4 else x)
        case _:
            raise ValueError(f"no Keras layer for {layer.kind}")


def convolution(layer: Layer, x: Any) -> Any:
    """A convolution; where Keras would pad otherwise, zeros are a layer of their own."""
    given, weight = layer.settings, layer.arrays["weight"]
    mode = padding(given)
    if mode == "valid" and any(amount for pair in given["pads"] for amount in pair):
        x = keras.layers.ZeroPadding2D(given["pads"])(x)
    made = keras.layers.Conv2D(len(weight), given["kernel"], given["strides"], mode, use_bias=False)
    return with_weights(made, [weight.transpose(2, 3, 1, 0)], x)


def padding(given: dict[str, Any]) -> str:
    """Whether Keras pads as the window says if it is to keep the size of the map."""
    keeps_size = given["strides"] == (1, 1) and given["pads"] == tuple((size // 2,) * 2 for size in given["kernel"])
    return "same" if keeps_size else "valid"


def with_weights(made: Any, weights: list[npt.NDArray[Any]], x: Any) -> Any:
    y = made(x)
    made.set_weights(weights)
    return y


def channels_last(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.moveaxis(x, 1, -1)


def channels_first(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


if __name__ == "__main__":
    main()
