"""What a golden file describes, in lrpfast's terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lrpfast import Model, load, rules
from lrpfast.composites import Composite, EpsilonGammaBox, OfKind, named
from lrpfast.model import layers
from lrpfast.model.graph import Node
from lrpfast.model.sampling import Sampling
from oracles import onnx_models
from oracles.graphs import graph, model_of, node
from references.golden import NORMALISATIONS, Golden, Layer


def model(golden: Golden, rectified: bool = False) -> Model:
    """The network, or the network behind a ReLU."""
    entry = "rectified" if rectified else "x"
    nodes = [node("relu", layers.Activation("relu"), "x", entry)] if rectified else []
    for made in golden.layers:
        sources = [entry if source == "x" else source for source in made.inputs]
        if made.kind in NORMALISATIONS:
            nodes += normalisation(made, *sources)
        else:
            nodes.append(node(f"make {made.output}", layer(made), " ".join(sources), made.output))
    return model_of(graph(nodes, golden.inputs.shape[1:]))


def normalisation(made: Layer, source: str) -> list[Node]:
    """The nodes that one layer becomes when it is read from ONNX."""
    operator, attributes = in_onnx(made)
    entry = onnx_models.node(operator, " ".join(["x", *made.arrays]), "y", **attributes)
    shape = [None, *made.settings["shape"]]
    read = load(onnx_models.make_model([entry], shape, made.arrays, opset=21)).graph
    names = {read.input: source, read.output: made.output}

    def renamed(name: str) -> str:
        return names.get(name, f"{made.output}, {name}")

    return [
        replace(
            each,
            name=f"make {made.output}, {each.name}",
            inputs=tuple(map(renamed, each.inputs)),
            output=renamed(each.output),
        )
        for each in read.nodes
    ]


def in_onnx(made: Layer) -> tuple[str, dict[str, float]]:
    """Operator and attributes of a normalisation."""
    given = made.settings
    match made.kind:
        case "instance norm":
            return "InstanceNormalization", {"epsilon": given["epsilon"]}
        case "group norm":
            return "GroupNormalization", {"epsilon": given["epsilon"], "num_groups": given["groups"]}
        case "layer norm":
            return "LayerNormalization", {"epsilon": given["epsilon"], "axis": 1}
        case _:
            constants = dict(given["constants"])
            return "LRN", {"bias": constants.pop("k"), **constants}


def layer(made: Layer) -> layers.Layer:
    """One layer."""
    given, weight, bias = made.settings, made.arrays.get("weight"), made.arrays.get("bias")
    match made.kind:
        case "convolution":
            return layers.Convolution(weight, bias, window(given), given["groups"])
        case "transposed convolution":
            extra = tuple(given["extra"])
            return layers.TransposedConvolution(weight, bias, window(given), given["groups"], extra)
        case "dense":
            return layers.Dense(weight, bias)
        case "affine":
            per_channel = (-1, *(1,) * given["rank"])
            return layers.Affine(weight.reshape(per_channel), bias.reshape(per_channel))
        case "max pool":
            return layers.MaxPool(window(given))
        case "average pool":
            return layers.AveragePool(window(given), given["count_include_pad"])
        case "global average":
            return layers.AveragePool(layers.whole_map(given["rank"]))
        case "activation":
            return activation(**given)
        case "sum":
            return layers.Sum()
        case "gate":
            return layers.Gate()
        case "nearest":
            return layers.Nearest((None, *samplings(**given)))
        case "interpolation":
            return layers.Interpolation(samplings(**given))
        case "gather":
            return layers.Gather(given["axis"], tuple(given["indices"]))
        case "shuffle":
            return shuffle(**given)
        case "concat":
            return layers.Concat(0)
        case "flatten":
            return layers.Reshape((-1,))
        case _:
            raise ValueError(f"no layer for {made.kind}")


def window(given: dict[str, Any]) -> layers.Window:
    kernel, pads = tuple(given["kernel"]), tuple((before, after) for before, after in given["pads"])
    dilations = tuple(given.get("dilations", (1,) * len(kernel)))
    return layers.Window(kernel, tuple(given["strides"]), dilations, pads, ceil=given.get("ceil", False))


def samplings(mode: str, before: list[int], after: list[int], align_corners: bool = False) -> tuple[Sampling, ...]:
    """How torch resizes each axis, in ONNX's words."""
    how: dict[str, Any]
    match mode:
        case "nearest":
            how = {"mode": "nearest", "coordinates": "asymmetric", "rounding": "floor"}
        case "nearest-exact":
            how = {"mode": "nearest", "coordinates": "half_pixel", "rounding": "round_prefer_ceil"}
        case _:
            coordinates = "align_corners" if align_corners else "half_pixel"
            how = {"mode": "cubic" if mode == "bicubic" else "linear", "coordinates": coordinates}
    return tuple(Sampling(size=size, **how) for size in after)


def shuffle(groups: int, shape: list[int]) -> layers.Moves:
    apart = layers.Reshape((groups, shape[0] // groups, *shape[1:]))
    by_turns = layers.Transpose((1, 0, *range(2, len(apart.shape))))
    return layers.Moves((apart, by_turns, layers.Reshape(tuple(shape))))


def activation(function: str, **parameters: float) -> layers.Activation:
    if function == "relu6":
        return layers.Activation("clip", low=0, high=6)
    if function == "leaky_relu":
        return layers.Activation("leaky_relu", slope=np.array(parameters["slope"], np.float32))
    return layers.Activation(function, **parameters)


def composite(golden: Golden, case: str) -> Composite:
    """The rule of a case for every linear layer, or the preset of its name."""
    if case.startswith("preset_"):
        return hardly_stabilized(named(case))
    if case not in golden.rules:
        return EpsilonGammaBox(**golden.box) if case == "epsilon_gamma_box" else named(case)
    given = dict(golden.rules[case])
    rule = getattr(rules, given.pop("rule"))
    if rule is rules.ZBox:
        given |= golden.box
    return Composite(case, [(OfKind("conv", "dense", "affine", "sum", "average"), rule(**given))])


def hardly_stabilized(preset: Composite) -> Composite:
    """The preset with denominators nearly as they are: where iNNvestigate has no epsilon, it moves zeros alone."""
    entries = [
        (match, replace(rule, stabilizer=1e-14) if isinstance(rule, rules.AlphaBeta | rules.Flat) else rule)
        for match, rule in preset.entries
    ]
    return Composite(preset.name, [*entries, (OfKind("sum", "average"), rules.Norm(stabilizer=1e-14))])
