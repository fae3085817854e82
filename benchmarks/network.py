"""A network as plain arrays, for libraries that know nothing of ONNX: all get the same layers and weights.

`write` needs lrpfast and runs where that is installed. `read` needs NumPy alone and runs beside each library. What is
written is the canonical graph: BatchNorm is folded and a final softmax left out, for everybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from lrpfast import Model


@dataclass(frozen=True)
class Layer:
    """One layer: its kind, the values that it reads, the one that it makes, and whatever else describes it."""

    kind: str
    inputs: list[str]
    output: str
    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]


@dataclass(frozen=True)
class Network:
    """Layers in order, between a value to give and one to take; samples have their channels first."""

    input: str
    output: str
    layers: list[Layer]


def write(model: Model, path: Path) -> None:
    """Write a model for peers; ValueError names what none of them is given."""
    graph = model.graph
    shapes = graph.shapes(tuple(size or 224 for size in model.input_shape[1:]))
    layers, arrays = [], {}
    for index, node in enumerate(graph.nodes):
        kind = type(node.layer).__name__.lower()
        settings, own = describe(node.layer, shapes[node.inputs[0]], shapes[node.output])
        arrays |= {f"{index}.{name}": array for name, array in own.items()}
        layers.append({"kind": kind, "inputs": node.inputs, "output": node.output, "settings": settings})
    head = json.dumps({"input": graph.input, "output": graph.output, "layers": layers})
    np.savez(path, head=np.array(head), **arrays)


def describe(layer: Any, shape: tuple[int, ...], out: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What describes a layer beside its kind."""
    kind = type(layer).__name__
    if kind in ("Convolution", "Dense"):
        bias = {} if layer.bias is None else {"bias": layer.bias}
        arrays = {"weight": np.asarray(layer.weight, np.float32)} | bias
        window = windowed(layer.window, shape) | {"groups": layer.groups} if kind == "Convolution" else {}
        return window, arrays
    if kind in ("MaxPool", "AveragePool"):
        whole = 0 in layer.window.kernel
        rank = len(shape) - 1
        window = {"kernel": shape[1:], "strides": shape[1:], "dilations": (1,) * rank, "pads": ((0, 0),) * rank}
        counted = {"count_padding": getattr(layer, "count_include_pad", False)}
        return (window if whole else windowed(layer.window, shape)) | counted, {}
    if kind == "Affine":
        given = {"weight": layer.scale, "bias": layer.shift}
        maps = {name: np.broadcast_to(array, shape).reshape(shape[0], -1) for name, array in given.items()}
        if all((array == array[:, :1]).all() for array in maps.values()):  # one number for each channel
            return {"rank": len(shape) - 1}, {name: array[:, 0] for name, array in maps.items()}
    if kind == "Activation" and (layer.function == "relu" or (layer.function, layer.low, layer.high) == ("clip", 0, 6)):
        return {"function": "relu" if layer.function == "relu" else "relu6"}, {}
    if kind in ("Sum", "Concat") or (kind == "Reshape" and len(out) == 1):
        return ({"axis": layer.axis} if kind == "Concat" else {}), {}
    raise ValueError(f"peers are given no {kind} of this form: {layer}")


def windowed(window: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    if len(shape) not in (2, 3):
        raise ValueError(f"peers are given maps of one and two dimensions only, not {shape}")
    pads = window.pads_for(shape[1:])
    return {"kernel": window.kernel, "strides": window.strides, "dilations": window.dilations, "pads": pads}


def read(path: Path) -> Network:
    """Read what `write` wrote."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    head = json.loads(str(arrays.pop("head")))
    layers = [
        Layer(
            **entry,
            arrays={name.partition(".")[2]: a for name, a in arrays.items() if name.partition(".")[0] == str(index)},
        )
        for index, entry in enumerate(head["layers"])
    ]
    return Network(head["input"], head["output"], layers)
