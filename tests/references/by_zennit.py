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
from .golden import NORMALISATIONS, Golden, Layer, errors
from .settled import Doubles
from .torch_network import Gate, Normalisation, Resized, TorchNetwork, doubles, scores

stand_in()

from zennit import composites, rules  # noqa: E402
from zennit.attribution import Gradient  # noqa: E402
from zennit.core import Composite, Hook  # noqa: E402
from zennit.layer import Sum  # noqa: E402
from zennit.types import Activation, AvgPool, BatchNorm, Linear  # noqa: E402

PRESETS = composites.COMPOSITES
LINEAR = (Linear, BatchNorm, AvgPool, Sum, Resized)


#: presets that are seeded with 1, as gradients are, and not with the score
GRADIENTS = ("deconvnet", "guided_backprop", "beta_smooth")


class ToSignal(Hook):  # type: ignore[misc]
    """Pass for a gate: all relevance to the signal, none to what scales it."""

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> tuple[torch.Tensor]:
        relevance = grad_output[0]
        return (torch.stack((relevance, torch.zeros_like(relevance)), -1),)


class PassOn(Hook):  # type: ignore[misc]
    """Pass, also where torch's function has more outputs than the value: mean and deviation."""

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> tuple[torch.Tensor]:
        return (grad_output[0],)


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


def rounded(golden: Golden) -> Golden:
    """The golden with what float32 costs under every preset, and with the relevance of one that shows the winners."""
    exact, found = (by_presets(golden, kind).relevance for kind in (torch.float64, torch.float32))
    rounding = {name: errors(found[name], exact[name]) for name in exact}
    return replace(golden, relevance={"epsilon_plus": exact["epsilon_plus"].astype(np.float32)}, rounding=rounding)


def by_presets(golden: Golden, kind: torch.dtype = torch.float64) -> Golden:
    """The golden explained by every preset that means the same in both libraries, in floats of a kind."""
    normalised = any(layer.kind in NORMALISATIONS for layer in golden.layers)
    presets = [name for name in PRESETS if not (normalised and name == "excitation_backprop")]
    found = {name: explained(golden, seed(golden, name), of_preset(golden, name, kind), kind) for name in presets}
    return replace(golden, relevance=found)


def of_preset(golden: Golden, name: str, kind: torch.dtype = torch.float64) -> Composite:
    """A preset; those of rules have none for a gate and what is one in effect, those of gradients take the gradient."""
    layer_map: list[tuple[Any, Hook]] = [] if name in GRADIENTS else [(Resized, rules.Norm())]
    if name.startswith("epsilon"):
        layer_map += [(Gate, ToSignal()), (Normalisation, PassOn())]
    return PRESETS[name](layer_map=layer_map, **(box(golden, kind) if name == "epsilon_gamma_box" else {}))


def seed(golden: Golden, name: str) -> npt.NDArray[Any]:
    """Relevance of the output."""
    if golden.target.dtype.kind == "f":
        return golden.target
    output = scores(golden.layers, golden.inputs)
    chosen: Doubles = np.eye(output.shape[1])[golden.target]
    return chosen if name in GRADIENTS else chosen * output


def explained(
    golden: Golden, r: npt.NDArray[Any], composite: Composite, kind: torch.dtype = torch.float64
) -> npt.NDArray[Any]:
    """Relevance of the input for relevance `r` of the output, found in floats of a kind."""
    attributor = Gradient(TorchNetwork(golden.layers, module).to(kind), composite)
    relevance: npt.NDArray[Any] = attributor(doubles(golden.inputs).to(kind), doubles(r).to(kind))[1].detach().numpy()
    return relevance


def module(layer: Layer) -> nn.Module:
    """The torch layer of a kind, sums such that Norm applies."""
    return Sum() if layer.kind == "sum" else torch_network.module(layer)


def box(golden: Golden, kind: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """The bounds of the inputs as Zennit takes them, with an axis for the batch."""
    return {end: doubles(bound)[None].to(kind) for end, bound in golden.box.items()}
