"""The reference in float64, with the native backend's winners of max pools where its own lead by next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

import lrpfast
from benchmarks.survey.survey import Floats
from lrpfast.composites import Composite
from lrpfast.engine.backend import NOTHING_INSIDE, Inside
from lrpfast.engine.native import NativeEngine
from lrpfast.engine.plan import Plan
from lrpfast.engine.reference import ReferenceEngine
from lrpfast.engine.reference.engine import State, max_pool
from lrpfast.model.layers import MaxPool, fitted

#: what a winner leads by where either may win in float32, as share of the largest value that the pool sees
NEAR = 1e-5

Taps = npt.NDArray[np.int32]


class Settled(ReferenceEngine):
    """Raises the value of each winner named to the top of its window, if it is NEAR it; `turned` counts them."""

    def __init__(self, plan: Plan, winners: Mapping[str, Taps]) -> None:
        super().__init__(plan)
        self._winners = winners
        self.turned = 0

    def forward(self, x: Floats, inside: Inside = NOTHING_INSIDE) -> tuple[Floats, State]:
        output, state = super().forward(x, inside)
        for name, pool, seen in pools(self.plan):
            values = state.values[seen]
            largest, own = max_pool(pool, values)
            for window in np.argwhere(self._winners[name] != own):
                place = place_of(pool, values.shape, window, int(self._winners[name][tuple(window)]))
                top = largest[tuple(window)]
                if top - values[place] <= NEAR * np.abs(values).max():
                    values[place] = np.nextafter(top, np.inf)
                    self.turned += 1
        return output, state


def settled(model: lrpfast.Model, composite: Composite, x: Floats, target: Floats) -> tuple[Floats, int]:
    """Relevance by the reference in float64 with the native winners of near-ties, and how many it had otherwise."""
    lrp = lrpfast.LRP(model, composite, "reference")
    engine = lrp._engine = Settled(lrp.plan, native_winners(lrp.plan, model.graph.arranged(x)))
    return lrp.attribute(x.astype(np.float64), target).relevance, engine.turned


def native_winners(plan: Plan, x: Floats) -> dict[str, Taps]:
    """Which tap of each window (N, C, ...) wins natively, for every max pool, by the name of what it makes."""
    _, state = NativeEngine(plan).forward(x)
    found = {}
    for name, pool, _ in pools(plan):
        lanes = [lane.forward.winners[name].store(1).view(np.int32) for lane in state.lanes]
        whole = np.concatenate(lanes)  # (N, C, D, H, W)
        found[name] = whole.reshape(*whole.shape[:2], *whole.shape[5 - len(pool.window.kernel) :])
    return found


def pools(plan: Plan) -> Iterator[tuple[str, MaxPool, str]]:
    """Every max pool: what it makes, itself, and what it sees."""
    for step in plan.steps:
        if isinstance(step.node.layer, MaxPool):
            yield step.node.output, step.node.layer, step.node.inputs[0]


def place_of(pool: MaxPool, shape: tuple[int, ...], window: npt.NDArray[np.intp], tap: int) -> tuple[int, ...]:
    """Where the tap of a window (n, c, ...) lies in values of a shape (N, C, ...)."""
    slides = fitted(pool.window, shape[2:])
    before = [pad for pad, _ in slides.pads_for(shape[2:])]
    taps = np.unravel_index(tap, slides.kernel)
    sides = zip(window[2:], slides.strides, taps, slides.dilations, before, strict=True)
    return (*map(int, window[:2]), *(int(at * stride + k * dilation - pad) for at, stride, k, dilation, pad in sides))
