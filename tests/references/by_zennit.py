"""What Zennit says of the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from benchmarks.torchvision_stand_in import stand_in
from torch import nn

from . import torch_network
from .golden import Golden, Layer
from .settled import Doubles
from .torch_network import Gate, TorchNetwork, doubles, scores

stand_in()

from zennit import composites, rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.core import Composite, Hook  # noqa: E402
from zennit.layer import Sum  # noqa: E402
from zennit.types import Activation, AvgPool, BatchNorm, Linear  # noqa: E402

PRESETS = composites.COMPOSITES
LINEAR = (Linear, BatchNorm, AvgPool, Sum)

#: presets that are seeded with 1, as gradients are, and not with the score
GRADIENTS = ("deconvnet", "guided_backprop", "beta_smooth")


class ToSignal(Hook):  # type: ignore[misc]
    """Pass for a gate: all relevance to the signal, none to what scales it."""

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> tuple[torch.Tensor]:
        relevance = grad_output[0]
        return (torch.stack((relevance, torch.zeros_like(relevance)), -1),)


def by_rules(golden: Golden) -> Golden:
    """The golden explained with every linear layer under the rule of a case, for each of its cases."""
    found = {case: explained(golden, golden.target, of_rule(golden, case)) for case in golden.rules}
    return replace(golden, relevance=found)


def of_rule(golden: Golden, case: str) -> Composite:
    given = dict(golden.rules[case])
    rule = getattr(rules, given.pop("rule"))
    if given.pop("zero_bias", False):
        given["zero_params"] = "bias"
    if rule is rules.ZBox:
        given |= box(golden)
    return composites.LayerMapComposite([(Activation, rules.Pass()), (LINEAR, rule(**given))])


def by_presets(golden: Golden) -> Golden:
    """The golden explained by every preset."""
    found = {name: explained(golden, seed(golden, name), of_preset(golden, name)) for name in PRESETS}
    return replace(golden, relevance=found)


def of_preset(golden: Golden, name: str) -> Composite:
    """A preset; those of rules have none for a gate, those of gradients take its gradient."""
    given: dict[str, Any] = {"layer_map": [(Gate, ToSignal())]} if name.startswith("epsilon") else {}
    return PRESETS[name](**given, **(box(golden) if name == "epsilon_gamma_box" else {}))


def seed(golden: Golden, name: str) -> npt.NDArray[Any]:
    """Relevance of the output."""
    if golden.target.dtype.kind == "f":
        return golden.target
    output = scores(golden.layers, golden.inputs)
    chosen: Doubles = np.eye(output.shape[1])[golden.target]
    return chosen if name in GRADIENTS else chosen * output


def explained(golden: Golden, r: npt.NDArray[Any], composite: Composite) -> Doubles:
    """Relevance of the input for relevance `r` of the output."""
    attributor = Gradient(TorchNetwork(golden.layers, module), composite)
    relevance: Doubles = attributor(doubles(golden.inputs), doubles(r))[1].detach().numpy()
    return relevance


def module(layer: Layer) -> nn.Module:
    """The torch layer of a kind, sums such that Norm applies."""
    return Sum() if layer.kind == "sum" else torch_network.module(layer)


def box(golden: Golden) -> dict[str, torch.Tensor]:
    """The bounds of the inputs as Zennit takes them, with an axis for the batch."""
    return {end: doubles(bound)[None] for end, bound in golden.box.items()}
