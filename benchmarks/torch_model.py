"""A network of plain arrays as a torch module, in the layers that LRP libraries for torch know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .network import Layer, Network

#: kinds that are no modules: libraries ask for a rule for each module that they find
ROUTING = ("concat", "reshape")


def before_and_after(pads: list[list[int]]) -> tuple[int, ...]:
    """Padding in torch's order: last axis first."""
    return tuple(amount for pair in reversed(pads) for amount in pair)


def is_even(pads: list[list[int]]) -> bool:
    return all(before == after >= 0 for before, after in pads)


def uneven(made: type[nn.Module], value: float) -> type[nn.Module]:
    """Such a layer with padding of its own on every side; it stays one layer, so that a rule sees the padding."""

    class Uneven(made):  # type: ignore[misc, valid-type]
        pads: tuple[int, ...]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(functional.pad(x, self.pads, value=value))

    return Uneven


#: layers for maps of one and of two dimensions
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d}
MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
AVERAGE_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
UNEVEN_CONVOLUTIONS = {rank: uneven(made, 0.0) for rank, made in CONVOLUTIONS.items()}
UNEVEN_MAX_POOLS = {rank: uneven(made, -torch.inf) for rank, made in MAX_POOLS.items()}


class Add(nn.Module):
    """The sum of branches, which come stacked along a last axis as in Zennit's own `Sum`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(-1)


class SumOfTwo(nn.Module):
    """The same for two branches, by a module that takes them one by one."""

    def __init__(self, add: nn.Module) -> None:
        super().__init__()
        self.add = add

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.add(x[..., 0], x[..., 1])


class TorchNetwork(nn.Module):
    """Runs the layers in order; each value is dropped with its last reader."""

    def __init__(self, network: Network, make_sum: Callable[[], nn.Module] = Add) -> None:
        super().__init__()
        self.network = network
        made = {layer.output: module(layer, make_sum) for layer in network.layers if layer.kind not in ROUTING}
        self.steps = dict(made)
        self.held = nn.ModuleList(made.values())
        last = {name: index for index, layer in enumerate(network.layers) for name in layer.inputs}
        self.dropped = [[name for name in layer.inputs if last[name] == i] for i, layer in enumerate(network.layers)]
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {self.network.input: x}
        for layer, dropped in zip(self.network.layers, self.dropped, strict=True):
            inputs = [values[name] for name in layer.inputs]
            if layer.kind == "concat":
                made = torch.cat(inputs, 1 + layer.settings["axis"])
            elif layer.kind == "reshape":
                made = inputs[0].flatten(1)
            else:
                made = self.steps[layer.output](torch.stack(inputs, -1) if layer.kind == "sum" else inputs[0])
            for name in set(dropped):
                del values[name]
            values[layer.output] = made
        return values[self.network.output]


def module(layer: Layer, make_sum: Callable[[], nn.Module]) -> nn.Module:
    """The torch layer of a kind."""
    given: dict[str, Any] = layer.settings
    if layer.kind == "convolution":
        return convolution(layer)
    if layer.kind == "dense":
        outputs, inputs = layer.arrays["weight"].shape
        return with_weights(nn.Linear(inputs, outputs, "bias" in layer.arrays), layer)
    if layer.kind == "maxpool":
        window, rank = (given["kernel"], given["strides"]), len(given["kernel"])
        pads = [pair[0] for pair in given["pads"]]
        if is_even(given["pads"]) and all(2 * pad <= size for pad, size in zip(pads, given["kernel"], strict=True)):
            return MAX_POOLS[rank](*window, padding=pads, dilation=given["dilations"])
        made = UNEVEN_MAX_POOLS[rank](*window, dilation=given["dilations"])
        made.pads = before_and_after(given["pads"])
        return made
    if layer.kind == "averagepool":
        if not is_even(given["pads"]):
            raise ValueError("an average pool with uneven padding")
        pads = [pair[0] for pair in given["pads"]]
        counted = given["count_padding"]
        made = AVERAGE_POOLS[len(given["kernel"])]
        return made(given["kernel"], given["strides"], padding=pads, count_include_pad=counted)
    if layer.kind == "affine":
        return affine(layer)
    if layer.kind == "activation":
        return nn.ReLU() if given["function"] == "relu" else nn.ReLU6()
    return make_sum()


def convolution(layer: Layer) -> nn.Module:
    given, weight = layer.settings, layer.arrays["weight"]
    even = is_even(given["pads"])
    made = (CONVOLUTIONS if even else UNEVEN_CONVOLUTIONS)[weight.ndim - 2](
        weight.shape[1] * given["groups"],
        weight.shape[0],
        given["kernel"],
        given["strides"],
        padding=[pair[0] for pair in given["pads"]] if even else 0,
        dilation=given["dilations"],
        groups=given["groups"],
        bias="bias" in layer.arrays,
    )
    if not even:
        made.pads = before_and_after(given["pads"])
    return with_weights(made, layer)


def affine(layer: Layer) -> nn.Module:
    """Batch normalisation whose statistics change nothing."""
    normalisation = nn.BatchNorm2d if layer.settings["rank"] == 2 else nn.BatchNorm1d
    return with_weights(normalisation(len(layer.arrays["weight"]), eps=0.0), layer)


def with_weights(made: nn.Module, layer: Layer) -> nn.Module:
    for name, array in layer.arrays.items():
        setattr(made, name, nn.Parameter(torch.from_numpy(array), requires_grad=False))
    return made
