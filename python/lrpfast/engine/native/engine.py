"""The plan run on the compiled core."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field

from lrpfast import _native as core
from lrpfast.engine.backend import NOTHING_INSIDE, Explained, Inside
from lrpfast.engine.native.backward import RelevancePass
from lrpfast.engine.native.forward import ForwardPass
from lrpfast.engine.native.layout import Bench, load, stored
from lrpfast.engine.native.prepared import Prepared, prepare
from lrpfast.engine.native.threads import default_threads
from lrpfast.engine.native.weights import PreparedWeights
from lrpfast.engine.plan import Plan
from lrpfast.errors import InputError
from lrpfast.model.layers import Array, Shape, Weighted

#: how many shapes of input, and how many numbers of samples and of explanations, stay prepared
KEPT_SHAPES, KEPT_PASSES = 4, 4

#: samples of a pass, at most: weights are read once for all of them, but beyond a few, values leave the cache
MOST_AT_ONCE = 4

#: bytes that the values of a pass may take if nobody set a limit
PASS_BYTES = 512 * 2**20


class Workspace:
    """The programs for a number of samples of one shape, and the memory that they work on; for one call at a time."""

    def __init__(self, plan: Plan, prepared: Prepared, samples: int) -> None:
        self.pool = core.Pool()
        self.forward = ForwardPass(plan, prepared, self.pool, samples)
        self._relevance: OrderedDict[tuple[int, frozenset[str], frozenset[str]], RelevancePass] = OrderedDict()

    @property
    def bytes(self) -> int:
        """Memory of the passes that are recorded."""
        recorders = [self.forward.on, *(recorded.on for recorded in self._relevance.values())]
        return self.pool.bytes + sum(recorder.lasting.bytes for recorder in recorders)

    def relevance(self, explanations: int, inside: Inside = NOTHING_INSIDE) -> RelevancePass:
        """The pass for so many explanations a sample; recorded on first demand."""
        key = explanations, frozenset(inside.layers), frozenset(inside.masks)
        if key not in self._relevance:
            self._relevance[key] = RelevancePass(self.forward, *key)
            if len(self._relevance) > KEPT_PASSES:
                self._relevance.popitem(last=False)
        self._relevance.move_to_end(key)
        return self._relevance[key]


@dataclass(frozen=True, eq=False)
class OfShape:
    """What is kept for one shape of a sample: the plan prepared for it; workspaces that wait for a call, by number of
    samples; and the bytes of a pass of one sample, by number of explanations.
    """

    prepared: Prepared
    free: dict[int, list[Workspace]] = field(default_factory=dict)
    bytes_each: dict[int, int] = field(default_factory=dict)


class State:
    """A forward pass that has run. When it is dropped, its workspace is free for the next call."""

    def __init__(self, workspace: Workspace, home: list[Workspace]) -> None:
        self.workspace, self._home = workspace, home

    def __del__(self) -> None:
        if len(self._home) < KEPT_PASSES:
            self._home.append(self.workspace)


#: all that are in use
_ENGINES: weakref.WeakSet[NativeEngine] = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked process: a thread that is not there may have held them, and works on nothing that others see."""
    for engine in _ENGINES:
        engine._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


class NativeEngine:
    """Runs a plan as recorded programs on blocked float32 tensors. Weights are packed here, once."""

    def __init__(self, plan: Plan, threads: int | None = None, max_memory: int | None = None) -> None:
        try:
            core.isa()
        except RuntimeError as error:  # LRPFAST_ISA names what this machine has not
            raise InputError(str(error)) from None
        self.plan = plan
        self.max_memory = max_memory
        self._threads = threads
        self.bench = Bench(self.threads)
        self.weights = {
            step.node.name: PreparedWeights(step.node.layer, self.bench.threads)
            for step in plan.steps
            if isinstance(step.node.layer, Weighted)
        }
        self._shapes: OrderedDict[tuple[Shape, frozenset[str]], OfShape] = OrderedDict()
        self._outputs = {node.name: node.output for node in plan.graph.nodes}
        self._lock = threading.Lock()
        _ENGINES.add(self)
        if None not in plan.graph.input_shape:
            self._of_shape(plan.graph.permuted(tuple(size or 1 for size in plan.graph.input_shape)))

    def __str__(self) -> str:
        return f"native, {core.isa()}"

    @property
    def threads(self) -> int:
        """Threads of a call that begins now."""
        return self._threads or default_threads()

    def _of_shape(self, shape: Shape, seen: frozenset[str] = frozenset()) -> OfShape:
        """What is kept for a shape, in the graph's layout, and for layers whose output is looked at; made on first
        sight.
        """
        key = shape, seen
        with self._lock:
            if key not in self._shapes:
                prepared = prepare(self.plan, self.weights, self.bench, shape, self.max_memory, seen)
                self._shapes[key] = OfShape(prepared)
                if len(self._shapes) > KEPT_SHAPES:
                    self._shapes.popitem(last=False)
            self._shapes.move_to_end(key)
            return self._shapes[key]

    def samples_at_once(self, shape: Shape, explanations: int) -> int | None:
        """As many as keep within the memory and in the cache."""
        known = self._of_shape(shape)
        if explanations not in known.bytes_each:
            one = Workspace(self.plan, known.prepared, 1)  # never run, so the system has not given it the memory
            one.relevance(explanations)
            known.bytes_each[explanations] = one.bytes
        limit = PASS_BYTES
        if self.max_memory is not None:
            limit = self.max_memory - sum(weights.bytes for weights in self.weights.values())
        return max(1, min(MOST_AT_ONCE, limit // known.bytes_each[explanations]))

    def _workspace(self, shape: Shape, samples: int, seen: frozenset[str]) -> State:
        known = self._of_shape(shape, seen)
        with self._lock:
            while len(known.free) >= KEPT_PASSES and samples not in known.free:
                known.free.pop(next(iter(known.free)))
            home = known.free.setdefault(samples, [])
            if home:
                return State(home.pop(), home)
        return State(Workspace(self.plan, known.prepared, samples), home)

    def forward(self, x: Array, inside: Inside = NOTHING_INSIDE) -> tuple[Array, State]:
        """Output of the batch `x` (N, ...), and what is needed of the pass to explain it."""
        state = self._workspace(x.shape[1:], len(x), inside.names)
        forward = state.workspace.forward
        load(forward.input, x, self.threads)
        forward.on.program.run(self.threads)
        return stored(forward.output, forward.prepared.shapes[self.plan.graph.output], self.threads), state

    def relevance(self, state: State, seed: Array, inside: Inside = NOTHING_INSIDE) -> Explained:
        """What becomes of a seed (N, T, ...) at the output."""
        explanations = seed.shape[1]
        relevance = state.workspace.relevance(explanations, inside)
        load(relevance.seed, seed.reshape(-1, *seed.shape[2:]), self.threads)
        for name, tensor in relevance.masks.items():
            mask = inside.masks[name]
            load(tensor, mask.reshape(-1, *mask.shape[2:]), self.threads)
        relevance.on.program.run(self.threads)
        audit = relevance.accounts.audit(relevance.on.program.figures())
        shapes = state.workspace.forward.prepared.shapes

        def explained(tensor: core.Tensor, value: str) -> Array:
            return stored(tensor, shapes[value], self.threads).reshape(-1, explanations, *shapes[value])

        layers = {name: explained(tensor, self._outputs[name]) for name, tensor in relevance.seen.items()}
        arrived = explained(relevance.arrived, self.plan.graph.input)
        return Explained(arrived, audit, layers)
