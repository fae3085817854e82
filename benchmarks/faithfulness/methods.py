"""What is compared. A method turns a batch into maps (N, H, W), the highest values at what matters most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lrpfast import LRP, Attribution, Model
from lrpfast.baselines import integrated_gradients, occlusion, smooth_grad
from lrpfast.composites import Composite, EpsilonGammaBox

from .measures import Floats


@dataclass(frozen=True)
class Question:
    """What is explained: classes (N,) of a batch (N, C, H, W), and the bounds of its values."""

    model: Model
    x: Floats
    target: Floats
    low: Floats
    high: Floats


Method = Callable[[Question], Floats]


def signed(explain: Callable[[Question], Attribution]) -> Method:
    """Shares of a score: the sum over the channels."""
    return lambda question: explain(question).relevance.sum(axis=1)


def magnitude(explain: Callable[[Question], Attribution]) -> Method:
    """Sensitivities, whose sign tells a direction and not a vote: the sum of magnitudes over the channels."""
    return lambda question: np.abs(explain(question).relevance).sum(axis=1)


def by_lrp(composite: str | Composite, question: Question) -> Attribution:
    return LRP(question.model, composite).attribute(question.x, question.target)


def by_gamma_box(question: Question) -> Attribution:
    return by_lrp(EpsilonGammaBox(question.low, question.high), question)


def by_baseline(explain: Callable[..., Attribution], question: Question) -> Attribution:
    return explain(question.model, question.x, question.target)


def noise(question: Question) -> Floats:
    """No explanation: chance."""
    batch, _, *pixels = question.x.shape
    return np.random.default_rng(1).uniform(size=(batch, *pixels))


def edges(question: Question) -> Floats:
    """No explanation of the model, which it does not ask: how steep the picture is."""
    rows, columns = np.gradient(question.x.mean(axis=1), axis=(1, 2))
    return np.hypot(rows, columns)


INTEGRATED = "Integrated Gradients"

METHODS: dict[str, Method] = {
    "random": noise,
    "edges of the picture": edges,
    "Gradient": magnitude(partial(by_lrp, "gradient")),
    "Guided Backprop": magnitude(partial(by_lrp, "guided_backprop")),
    "SmoothGrad": magnitude(partial(by_baseline, smooth_grad)),
    "Gradient x Input": signed(partial(by_lrp, "gradient_x_input")),
    INTEGRATED: signed(partial(by_baseline, integrated_gradients)),
    "Occlusion": signed(partial(by_baseline, occlusion)),
    "LRP epsilon": signed(partial(by_lrp, "epsilon")),
    "LRP epsilon_plus": signed(partial(by_lrp, "epsilon_plus")),
    "LRP epsilon_plus_flat": signed(partial(by_lrp, "epsilon_plus_flat")),
    "LRP epsilon_alpha2_beta1_flat": signed(partial(by_lrp, "epsilon_alpha2_beta1_flat")),
    "LRP epsilon_gamma_box": signed(by_gamma_box),
}

#: methods that do not look at the model, whose maps cannot depend on its weights
BLIND = ("random", "edges of the picture")
