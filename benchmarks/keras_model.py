"""A network of plain arrays as a Keras model, channels last, for iNNvestigate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .network import Layer, Network


def keras_network(network: Network, shape: tuple[int, ...]) -> Any:
    """The model for samples of `shape` (H, W, C)."""
    from tensorflow import keras

    given = keras.layers.Input(shape)
    values = {network.input: given}
    for layer in network.layers:
        inputs = [values[name] for name in layer.inputs]
        values[layer.output] = made(keras.layers, layer, inputs)
    return keras.Model(given, values[network.output])


def made(layers: Any, layer: Layer, inputs: list[Any]) -> Any:
    """The value of a layer."""
    given, x = layer.settings, inputs[0]
    if layer.kind == "convolution":
        if given["groups"] != 1:
            raise ValueError("a convolution in groups")
        weight, same = layer.arrays["weight"], keeps_size(given)
        x = x if same else padded(layers, given["pads"], x)
        convolution = layers.Conv2D(
            len(weight),
            given["kernel"],
            given["strides"],
            padding="same" if same else "valid",
            dilation_rate=given["dilations"],
        )
        return applied(convolution, x, weight.transpose(2, 3, 1, 0), layer)
    if layer.kind == "dense":
        return applied(layers.Dense(len(layer.arrays["weight"])), x, layer.arrays["weight"].T, layer)
    if layer.kind == "maxpool":
        if any(amount for pair in given["pads"] for amount in pair) or given["dilations"] != [1, 1]:
            raise ValueError("a max pool with padding")
        return layers.MaxPooling2D(given["kernel"], given["strides"])(x)
    if layer.kind == "averagepool":
        return layers.AveragePooling2D(given["kernel"], given["strides"])(padded(layers, given["pads"], x))
    if layer.kind == "activation":
        return layers.ReLU(max_value=6.0 if given["function"] == "relu6" else None)(x)
    if layer.kind == "sum":
        return layers.Add()(inputs)
    if layer.kind == "concat":
        return layers.Concatenate()(inputs)
    if layer.kind != "reshape":
        raise ValueError(f"no Keras layer for {layer.kind}")
    return layers.Flatten()(layers.Permute((3, 1, 2))(x))  # in the order of channels first


def keeps_size(given: dict[str, Any]) -> bool:
    """Whether Keras pads by itself as it should; a layer of padding ahead would be taken for the first layer."""
    reach = [(size - 1) * dilation for size, dilation in zip(given["kernel"], given["dilations"], strict=True)]
    return given["strides"] == [1, 1] and given["pads"] == [[span // 2, span // 2] for span in reach]


def padded(layers: Any, pads: list[list[int]], x: Any) -> Any:
    """The value with zeros around it."""
    return layers.ZeroPadding2D(pads)(x) if any(amount for pair in pads for amount in pair) else x


def applied(made: Any, x: Any, weight: np.ndarray, layer: Layer) -> Any:
    """A layer on a value, with its weights."""
    y = made(x)
    made.set_weights([weight, layer.arrays.get("bias", np.zeros(weight.shape[-1], np.float32))])
    return y
