"""The presets that the field knows by name.

Sources: Kohlbrenner et al., *Towards Best Practice in Explaining Neural Network Decisions with LRP*, IJCNN
2020; Anders et al., *Software for Dataset-wide XAI*, 2021 (Zennit's names); Alber et al., *iNNvestigate
Neural Networks!*, JMLR 2019 (the presets A and B, deep Taylor). iNNvestigate puts the whole bias into both
denominators of AlphaBeta; here, as in Zennit, each gets the part of its sign.

Parameters mean the same in all: `epsilon` is that of the Epsilon rule and `stabilizer` that of the others, in units of
a layer's output; `gamma` and `beta` are those of Gamma and ReLUBetaSmooth; `low` and `high` are the bounds of the
model's input, in its units and layout, as numbers or arrays that broadcast against one sample (see `ZBox`). What makes
no sense raises a CompositeError.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import TypeVar

import numpy.typing as npt

from lrpfast.composites.composite import Composite
from lrpfast.composites.matching import Activated, First, Match, OfFunction, OfKind
from lrpfast.errors import CompositeError
from lrpfast.model.layers import KINDS
from lrpfast.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    Norm,
    ReLUBetaSmooth,
    ReLUDeconvNet,
    ReLUGuidedBackprop,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
)

Factory = TypeVar("Factory", bound=Callable[..., Composite])

PRESETS: dict[str, Callable[..., Composite]] = {}

EVERYTHING = OfKind(*KINDS)


def preset(name: str) -> Callable[[Factory], Factory]:
    """Make a preset known by `name`."""

    def register(factory: Factory) -> Factory:
        PRESETS[name] = factory
        return factory

    return register


def named(name: str) -> Composite:
    """The preset of that name, with its defaults.

    Parameters
    ----------
    name : str
        One of `PRESETS`.

    Returns
    -------
    Composite

    Raises
    ------
    CompositeError
        There is no preset of that name, or it needs parameters.
    """
    factory = PRESETS.get(name)
    if factory is None:
        close = get_close_matches(name, PRESETS, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise CompositeError(f"There is no preset '{name}'. {hint}The presets are: {', '.join(PRESETS)}.")
    missing = [p.name for p in inspect.signature(factory).parameters.values() if p.default is p.empty]
    if missing:
        call = f"lrpfast.composites.{factory.__name__}({', '.join(f'{name}=...' for name in missing)})"
        raise CompositeError(f"The preset '{name}' needs {' and '.join(missing)}: pass composite={call}.")
    return factory()


def _layered(name: str, conv: Rule, dense: Rule, first: tuple[Match, Rule] | None = None) -> Composite:
    entries: list[tuple[str | Match, Rule]] = [("conv", conv), ("dense", dense)]
    return Composite(name, ([first] if first else []) + entries)


@preset("epsilon_plus")
def EpsilonPlus(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:
    """ZPlus for convolutions, Epsilon for dense layers."""
    return _layered("epsilon_plus", ZPlus(stabilizer), Epsilon(epsilon))


@preset("epsilon_plus_flat")
def EpsilonPlusFlat(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:
    """As EpsilonPlus, with Flat for the first layer."""
    return _layered("epsilon_plus_flat", ZPlus(stabilizer), Epsilon(epsilon), (First(), Flat(stabilizer)))


@preset("epsilon_alpha2_beta1")
def EpsilonAlpha2Beta1(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:
    """AlphaBeta with alpha = 2 and beta = 1 for convolutions, Epsilon for dense layers."""
    return _layered("epsilon_alpha2_beta1", AlphaBeta(2, 1, stabilizer), Epsilon(epsilon))


@preset("epsilon_alpha2_beta1_flat")
def EpsilonAlpha2Beta1Flat(epsilon: float = 1e-6, stabilizer: float = 1e-6) -> Composite:
    """As EpsilonAlpha2Beta1, with Flat for the first layer."""
    first = (First(), Flat(stabilizer))
    return _layered("epsilon_alpha2_beta1_flat", AlphaBeta(2, 1, stabilizer), Epsilon(epsilon), first)


@preset("epsilon_gamma_box")
def EpsilonGammaBox(
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
    stabilizer: float = 1e-6,
) -> Composite:
    """Gamma for convolutions, Epsilon for dense layers, ZBox with the input's bounds for the first convolution."""
    first = (First() & OfKind("conv"), ZBox(low, high, stabilizer))
    return _layered("epsilon_gamma_box", Gamma(gamma, stabilizer), Epsilon(epsilon), first)


@preset("excitation_backprop")
def ExcitationBackprop(stabilizer: float = 1e-6) -> Composite:
    """ZPlus for weighted layers (Zhang et al., *Top-down Neural Attention by Excitation Backprop*, 2016)."""
    weighted, summed = OfKind("conv", "dense"), OfKind("sum", "average")
    entries = [(weighted, ZPlus(stabilizer)), (summed, Norm()), (EVERYTHING, Gradient())]
    return Composite("excitation_backprop", entries)


@preset("preset_a")
def PresetA(epsilon: float = 0.1) -> Composite:
    """Alpha 1, beta 0 for convolutions, Epsilon(0.1) for dense layers."""
    return _layered("preset_a", AlphaBeta(1, 0), Epsilon(epsilon))


@preset("preset_a_flat")
def PresetAFlat(epsilon: float = 0.1) -> Composite:
    """As PresetA, with Flat for the first layer."""
    return _layered("preset_a_flat", AlphaBeta(1, 0), Epsilon(epsilon), (First(), Flat()))


@preset("preset_b")
def PresetB(epsilon: float = 0.1) -> Composite:
    """Alpha 2, beta 1 for convolutions, Epsilon(0.1) for dense layers."""
    return _layered("preset_b", AlphaBeta(2, 1), Epsilon(epsilon))


@preset("preset_b_flat")
def PresetBFlat(epsilon: float = 0.1) -> Composite:
    """As PresetB, with Flat for the first layer."""
    return _layered("preset_b_flat", AlphaBeta(2, 1), Epsilon(epsilon), (First(), Flat()))


@preset("deep_taylor")
def DeepTaylor(stabilizer: float = 1e-6) -> Composite:
    """Deep Taylor decomposition for inputs without bounds (Montavon et al., Pattern Recognition 65, 2017).

    ZPlus without biases for weighted layers with an activation, WSquare for those without, the gradient for all others.
    """
    return _deep_taylor("deep_taylor", stabilizer)


@preset("deep_taylor_bounded")
def DeepTaylorBounded(low: npt.ArrayLike, high: npt.ArrayLike, stabilizer: float = 1e-6) -> Composite:
    """As DeepTaylor, with ZBox and the input's bounds for the first layer."""
    return _deep_taylor("deep_taylor_bounded", stabilizer, (First(), ZBox(low, high, stabilizer)))


def _deep_taylor(name: str, stabilizer: float, *first: tuple[Match, Rule]) -> Composite:
    weighted = OfKind("conv", "dense")
    entries = [
        (weighted & Activated(), ZPlus(stabilizer, zero_bias=True)),
        (weighted, WSquare(stabilizer)),
        (EVERYTHING, Gradient()),
    ]
    return Composite(name, [*first, *entries])


@preset("epsilon")
def EpsilonEverywhere(epsilon: float = 1e-6) -> Composite:
    """Epsilon for every weighted layer."""
    return _layered("epsilon", Epsilon(epsilon), Epsilon(epsilon))


@preset("zplus")
def ZPlusEverywhere(stabilizer: float = 1e-6) -> Composite:
    """ZPlus for every weighted layer."""
    return _layered("zplus", ZPlus(stabilizer), ZPlus(stabilizer))


@preset("gradient")
def PlainGradient() -> Composite:
    """The gradient of the explained score (Simonyan et al., *Deep Inside Convolutional Networks*, 2014)."""
    return Composite("gradient", [(EVERYTHING, Gradient())], seed="one")


@preset("gradient_x_input")
def GradientXInput() -> Composite:
    """The gradient of the explained score, times the input (Shrikumar et al., *Not Just a Black Box*, 2016)."""
    return Composite("gradient_x_input", [(EVERYTHING, Gradient())], seed="one", times_input=True)


@preset("deconvnet")
def DeconvNet() -> Composite:
    """The gradient with the signal clipped at every ReLU (Zeiler and Fergus, ECCV 2014)."""
    return Composite("deconvnet", [(OfFunction("relu"), ReLUDeconvNet()), (EVERYTHING, Gradient())], seed="one")


@preset("guided_backprop")
def GuidedBackprop() -> Composite:
    """As DeconvNet, with the signal passed by active units alone (Springenberg et al., ICLR workshop 2015)."""
    return Composite(
        "guided_backprop", [(OfFunction("relu"), ReLUGuidedBackprop()), (EVERYTHING, Gradient())], seed="one"
    )


@preset("beta_smooth")
def BetaSmooth(beta: float = 10.0) -> Composite:
    """The gradient with every ReLU as smooth as a softplus (Dombrowski et al., NeurIPS 2019)."""
    return Composite("beta_smooth", [(OfFunction("relu"), ReLUBetaSmooth(beta)), (EVERYTHING, Gradient())], seed="one")
