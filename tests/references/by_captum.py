"""What Captum says of the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule, PropagationRule

from .golden import Golden
from .settled import Doubles
from .single_layers import Rules
from .torch_network import TorchNetwork, doubles, module

#: case: lrpfast's rule, with Captum's stabilizer
RULES: Rules = {
    "epsilon": {"rule": "Epsilon", "epsilon": 1e-9},
    "gamma, zero bias": {"rule": "Gamma", "zero_bias": True, "stabilizer": 1e-9},
    "alpha1 beta0, zero bias": {"rule": "ZPlus", "zero_bias": True, "stabilizer": 1e-9},
}

#: the same in Captum's words
CAPTUM: dict[str, Callable[[], PropagationRule]] = {
    "epsilon": EpsilonRule,
    "gamma, zero bias": lambda: GammaRule(set_bias_to_zero=True),
    "alpha1 beta0, zero bias": lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True),
}


def by_captum(golden: Golden) -> Golden:
    """The golden explained with every layer that has weights under the rule of a case, for each of its cases."""
    return replace(golden, relevance={case: explained(golden, CAPTUM[case]) for case in golden.rules})


def explained(golden: Golden, rule: Callable[[], PropagationRule]) -> Doubles:
    network = TorchNetwork(golden.layers, module)
    for layer in network.steps.values():
        if hasattr(layer, "weight"):
            layer.rule = rule()
        elif isinstance(layer, torch.nn.Flatten):
            layer.rule = EpsilonRule()  # hands all of it on
    target = torch.from_numpy(golden.target)
    relevance: Doubles = LRP(network).attribute(doubles(golden.inputs), target=target).detach().numpy()
    return relevance
