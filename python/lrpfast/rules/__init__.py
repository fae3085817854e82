"""Relevance rules as data: what each layer does with the relevance it receives."""

from lrpfast.rules.alpha_beta import AlphaBeta
from lrpfast.rules.epsilon import Epsilon
from lrpfast.rules.flat import Flat
from lrpfast.rules.gamma import Gamma
from lrpfast.rules.gradient import Gradient, Pass
from lrpfast.rules.magnitude import Magnitude
from lrpfast.rules.norm import Norm
from lrpfast.rules.pooling import Proportional, Ties
from lrpfast.rules.relu import ReLUBetaSmooth, ReLUDeconvNet, ReLUGuidedBackprop
from lrpfast.rules.rule import LinearRule, Rule
from lrpfast.rules.wsquare import WSquare
from lrpfast.rules.zbox import ZBox
from lrpfast.rules.zplus import ZPlus

__all__ = [
    "AlphaBeta",
    "Epsilon",
    "Flat",
    "Gamma",
    "Gradient",
    "LinearRule",
    "Magnitude",
    "Norm",
    "Pass",
    "Proportional",
    "ReLUBetaSmooth",
    "ReLUDeconvNet",
    "ReLUGuidedBackprop",
    "Rule",
    "Ties",
    "WSquare",
    "ZBox",
    "ZPlus",
]
