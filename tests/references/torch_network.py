"""The networks in torch, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from .golden import Golden, Layer
from .settled import Doubles


def padded(convolution: type[nn.Module]) -> type[nn.Module]:
    """The convolution with padding of its own on every side; it stays one layer, so that a rule sees the padding."""

    class Padded(convolution):  # type: ignore[misc, valid-type]
        pads: list[list[int]]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            last_axis_first = [amount for pair in reversed(self.pads) for amount in pair]
            return super().forward(functional.pad(x, last_axis_first))

    return Padded


class Sum(nn.Module):
    """The sum of branches that were stacked along the last axis."""

    def forward(self, branches: torch.Tensor) -> torch.Tensor:
        return branches.sum(-1)


class Gate(nn.Module):
    """The product of a signal and its gate, stacked along the last axis."""

    def forward(self, branches: torch.Tensor) -> torch.Tensor:
        return branches.prod(-1)


#: the layers of NORMALISATIONS
Normalisation: TypeAlias = (
    nn.LocalResponseNorm | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d | nn.GroupNorm | nn.LayerNorm
)


class Resized(nn.Module):
    """A map of other size, as the product with the matrix of the interpolation: a linear layer like others."""

    def __init__(self, mode: str, before: list[int], after: list[int], **how: bool) -> None:
        super().__init__()
        size = math.prod(before)
        each = torch.eye(size, dtype=torch.float64).reshape(size, 1, *before)
        columns = functional.interpolate(each, tuple(after), mode=mode, **how)
        self.weight = nn.Parameter(columns.reshape(size, -1).T.contiguous(), requires_grad=False)
        self.register_parameter("bias", None)
        self.after = tuple(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x.flatten(2), self.weight).unflatten(2, self.after)


class Gather(nn.Module):
    """The elements at `indices` along an axis; the batch is not counted."""

    def __init__(self, axis: int, indices: list[int]) -> None:
        super().__init__()
        self.axis, self.indices = axis + 1, torch.tensor(indices)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(self.axis, self.indices)


CONVOLUTIONS = {rank: padded(made) for rank, made in enumerate((nn.Conv1d, nn.Conv2d, nn.Conv3d), 1)}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVERAGE_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
GLOBAL_AVERAGES = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": lambda slope: nn.LeakyReLU(slope),
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_swish": nn.Hardswish,
}


class TorchNetwork(nn.Module):
    """Runs the layers in order; `made` gives the module of a layer."""

    def __init__(self, layers: list[Layer], made: Callable[[Layer], nn.Module]) -> None:
        super().__init__()
        self.layers = layers
        self.steps = nn.ModuleDict({layer.output: made(layer) for layer in layers})
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values(x)[self.layers[-1].output]

    def values(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """All values by their names."""
        values = {"x": x}
        for layer in self.layers:
            inputs = [values[name] for name in layer.inputs]
            values[layer.output] = self.steps[layer.output](joined(layer.kind, inputs))
        return values


def joined(kind: str, inputs: list[torch.Tensor]) -> torch.Tensor:
    """What the module of a layer is given: one tensor, because hooks know no more."""
    match kind:
        case "concat":
            return torch.cat(inputs, 1)
        case "sum" | "gate":
            return torch.stack(inputs, -1)
        case _:
            return inputs[0]


def module(layer: Layer) -> nn.Module:
    """The torch layer of a kind; a concatenation has happened before its module."""
    given: dict[str, Any] = dict(layer.settings)
    match layer.kind:
        case "convolution":
            return convolution(layer)
        case "transposed convolution":
            return transposed(layer)
        case "dense":
            outputs, inputs = layer.arrays["weight"].shape
            return with_weights(nn.Linear(inputs, outputs, "bias" in layer.arrays), layer)
        case "affine":
            return affine(layer)
        case "max pool":
            return MAX_POOLS[len(given["kernel"])](**pool(given))
        case "average pool":
            counted = given["count_include_pad"]
            return AVERAGE_POOLS[len(given["kernel"])](**pool(given), count_include_pad=counted)
        case "global average":
            return GLOBAL_AVERAGES[given["rank"]](1)
        case "activation":
            return ACTIVATIONS[given.pop("function")](**given)
        case "sum":
            return Sum()
        case "gate":
            return Gate()
        case "gather":
            return Gather(**given)
        case "nearest":
            return nn.Upsample(tuple(given["after"]), mode=given["mode"])
        case "interpolation":
            return Resized(**given)
        case "local response":
            return nn.LocalResponseNorm(**given["constants"])
        case "instance norm":
            made = INSTANCE_NORMS[len(given["shape"]) - 1](given["shape"][0], given["epsilon"], affine=True)
            return with_weights(made, layer)
        case "group norm":
            return with_weights(nn.GroupNorm(given["groups"], given["shape"][0], given["epsilon"]), layer)
        case "layer norm":
            return with_weights(nn.LayerNorm(layer.arrays["weight"].shape, given["epsilon"]), layer)
        case "shuffle":
            return nn.ChannelShuffle(given["groups"])
        case "flatten":
            return nn.Flatten()
        case "concat":
            return nn.Identity()
        case _:
            raise ValueError(f"no torch layer for {layer.kind}")


def convolution(layer: Layer) -> nn.Module:
    weight, given = layer.arrays["weight"], layer.settings
    made = CONVOLUTIONS[weight.ndim - 2](
        weight.shape[1] * given["groups"],
        weight.shape[0],
        weight.shape[2:],
        given["strides"],
        dilation=given["dilations"],
        groups=given["groups"],
        bias="bias" in layer.arrays,
    )
    made.pads = given["pads"]
    return with_weights(made, layer)


def transposed(layer: Layer) -> nn.Module:
    weight, given = layer.arrays["weight"], layer.settings
    made = TRANSPOSED[weight.ndim - 2](
        weight.shape[0],
        weight.shape[1] * given["groups"],
        weight.shape[2:],
        given["strides"],
        padding=even(given["pads"]),
        output_padding=given["extra"],
        groups=given["groups"],
        bias="bias" in layer.arrays,
        dilation=given["dilations"],
    )
    return with_weights(made, layer)


def affine(layer: Layer) -> nn.Module:
    """Batch normalisation whose statistics change nothing."""
    made = BATCH_NORMS[layer.settings["rank"]](len(layer.arrays["weight"]), dtype=torch.float64)
    made.running_var -= made.eps
    return with_weights(made, layer)


def pool(given: dict[str, Any]) -> dict[str, Any]:
    """What describes a pool."""
    padding = even(given["pads"])
    return {"kernel_size": given["kernel"], "stride": given["strides"], "padding": padding, "ceil_mode": given["ceil"]}


def even(pads: list[list[int]]) -> tuple[int, ...]:
    """Padding that is the same on both sides."""
    assert all(before == after for before, after in pads)
    return tuple(before for before, _ in pads)


def with_weights(made: nn.Module, layer: Layer) -> nn.Module:
    for name, array in layer.arrays.items():
        setattr(made, name, nn.Parameter(doubles(array), requires_grad=False))
    return made


def values(golden: Golden) -> dict[str, Doubles]:
    """All values of the network by their names."""
    with torch.inference_mode():
        found = TorchNetwork(golden.layers, module).values(doubles(golden.inputs))
    return {name: value.numpy() for name, value in found.items()}


def scores(layers: list[Layer], x: npt.NDArray[Any]) -> Doubles:
    """The network's output."""
    with torch.inference_mode():
        return TorchNetwork(layers, module)(doubles(x)).numpy()


def doubles(array: npt.NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float64))
