"""Where the time of an explanation goes: stages timed one by one.

A stage is a layer, or several that the core computes in one go, such as a convolution with the ReLU and the pool behind
it. Steps are timed with a clock between them, so small ones look a little slower than they are in a whole pass.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from lrpfast.engine.backend import joined, parts_of
from lrpfast.engine.native.engine import NativeEngine
from lrpfast.engine.native.layout import Recorder
from lrpfast.engine.plan import Step
from lrpfast.model.layers import Array


@dataclass(frozen=True)
class StageTime:
    """Median seconds of a stage in either direction; no steps: what belongs to none, such as sums over the seed."""

    steps: tuple[Step, ...]
    forward: float
    back: float

    @property
    def name(self) -> str:
        """Name of the layer that has the rule."""
        return self.steps[0].node.name if self.steps else ""

    @property
    def operators(self) -> str:
        """What the file calls the layers."""
        return " + ".join(step.node.operator for step in self.steps)

    @property
    def rule(self) -> str:
        """The rule as tables show it."""
        return self.steps[0].rule_name if self.steps else ""

    @property
    def total(self) -> float:
        """Both directions together."""
        return self.forward + self.back


def forward(engine: NativeEngine, x: Array) -> Array:
    """Output of a batch `x` (N, ...) in the graph's layout, in the parts in which it would be explained."""
    return joined([engine.forward(x[part])[0] for part in parts_of(engine, x, 1)])


def stage_times(engine: NativeEngine, x: Array, rounds: int) -> list[StageTime]:
    """Time of every stage for explaining a batch `x` (N, ...) in the graph's layout, one class a sample.

    A batch that is explained in parts is taken for as many times the first one, and of lanes side by side one is timed.
    The seed is the output itself.
    """
    first = x[parts_of(engine, x, 1)[0]]
    output, state = engine.forward(first)
    engine.relevance(state, output[:, np.newaxis])
    workspace, parts = state.lanes[0], len(x) / len(first)
    threads = engine.threads // len(state.lanes)
    back = _by_value(workspace.relevance(1).on, threads, rounds, parts)
    there = _by_value(workspace.forward.on, threads, rounds, parts)  # afterwards: it takes the memory of the seed
    stages = workspace.forward.prepared.stages
    rows = [StageTime(stage.steps, there.pop(stage.output, 0.0), back.pop(stage.output, 0.0)) for stage in stages]
    rest = StageTime((), sum(there.values()), sum(back.values()))
    return [*rows, rest] if rest.total else rows


def _by_value(recorder: Recorder, threads: int, rounds: int, parts: float) -> dict[str, float]:
    """Median seconds of the recorded steps, run for so many parts, added up for each value that they work on."""
    runs = []
    for _ in range(rounds):
        sums: dict[str, float] = defaultdict(float)
        for value, took in zip(recorder.values, recorder.program.timed_run(threads), strict=True):
            sums[value] += parts * took
        runs.append(sums)
    return {value: float(np.median([run[value] for run in runs])) for value in runs[0]}
