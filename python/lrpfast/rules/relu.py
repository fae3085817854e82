"""Rules for ReLU that turn a gradient into a visualisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lrpfast.model.layers import Kind
from lrpfast.rules.rule import Rule, require


class ActivationRule(Rule):
    """Base of the rules that treat every activation function as if it were a ReLU."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"activation"})


@dataclass(frozen=True)
class ReLUDeconvNet(ActivationRule):
    """Clip the signal instead of the activation: ``R = max(R', 0)``.

    References
    ----------
    Zeiler and Fergus, *Visualizing and Understanding Convolutional Networks*, ECCV 2014.
    """

    formula: ClassVar[str] = "max(R, 0)"
    reference: ClassVar[str] = "Zeiler and Fergus, ECCV 2014"


@dataclass(frozen=True)
class ReLUGuidedBackprop(ActivationRule):
    """Clip the signal and keep it only where the unit is active: ``R = [x > 0] max(R', 0)``.

    References
    ----------
    Springenberg et al., *Striving for Simplicity: The All Convolutional Net*, ICLR workshop 2015.
    """

    formula: ClassVar[str] = "[x > 0] max(R, 0)"
    reference: ClassVar[str] = "Springenberg et al., ICLR workshop 2015"


@dataclass(frozen=True)
class ReLUBetaSmooth(ActivationRule):
    """Gradient of softplus in place of the ReLU's: ``R = R' sigmoid(beta x)``.

    Parameters
    ----------
    beta : float
        Sharpness of the softplus, in units of 1 / x, > 0.

    Raises
    ------
    CompositeError
        beta is not finite, or not above 0.

    References
    ----------
    Dombrowski et al., *Explanations can be manipulated and geometry is to blame*, NeurIPS 2019.
    """

    formula: ClassVar[str] = "R sigmoid(beta x)"
    reference: ClassVar[str] = "Dombrowski et al., NeurIPS 2019"
    beta: float = 10.0

    def __post_init__(self) -> None:
        require(0 < self.beta < float("inf"), self, "beta must be finite and > 0")
