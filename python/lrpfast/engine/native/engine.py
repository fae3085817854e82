"""The plan run on the compiled core."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from lrpfast import _native as core
from lrpfast.engine.backend import NOTHING_INSIDE, Explained, Inside, joined
from lrpfast.engine.native.backward import RelevancePass
from lrpfast.engine.native.forward import ForwardPass
from lrpfast.engine.native.layout import Bench, in_planes, load, stored, stored_image
from lrpfast.engine.native.prepared import Prepared, prepare
from lrpfast.engine.native.threads import default_threads
from lrpfast.engine.native.weights import PreparedWeights
from lrpfast.engine.plan import Plan
from lrpfast.errors import InputError
from lrpfast.model.layers import Array, Shape, Weighted

#: how many shapes of input, and how many numbers of samples and of explanations, stay prepared
KEPT_SHAPES, KEPT_PASSES = 4, 4

#: samples of a lane, at most: weights are read once for all of them, but beyond a few, values leave the cache
MOST_A_LANE = 2

#: bytes that the values of all lanes may take if nobody set a limit
PASS_BYTES = 512 * 2**20


class Workspace:
    """The programs for a number of samples of one shape, and the memory that they work on: a lane of one call."""

    def __init__(self, plan: Plan, prepared: Prepared, pool: core.Pool, samples: int) -> None:
        self.pool = pool
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
    """A forward pass that has run, in lanes of equally many samples. When it is dropped, they are free for the next."""

    def __init__(self, lanes: Sequence[Workspace], home: list[Workspace], kept: int) -> None:
        self.lanes, self._home, self._kept = lanes, home, kept

    def parts(self, samples: int) -> list[slice]:
        """Which of the samples each lane has."""
        each = samples // len(self.lanes)
        return [slice(first, first + each) for first in range(0, samples, each)]

    def __del__(self) -> None:
        self._home.extend(self.lanes[: max(0, self._kept - len(self._home))])


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
        pool = self._pool()
        self.weights = {
            step.node.name: PreparedWeights(step.node.layer, pool, self.bench.threads)
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

    def _pool(self) -> core.Pool:
        """New memory, for speed if nobody set a limit."""
        return core.Pool(huge_pages=self.max_memory is None)

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
            # never run, so the system has not given it the memory
            one = Workspace(self.plan, known.prepared, self._pool(), 1)
            one.relevance(explanations)
            known.bytes_each[explanations] = one.bytes
        limit = PASS_BYTES
        if self.max_memory is not None:
            limit = self.max_memory - sum(weights.bytes for weights in self.weights.values())
        fit, threads = max(1, limit // known.bytes_each[explanations]), self.threads
        lanes = max(count for count in range(1, min(threads, fit) + 1) if threads % count == 0)
        return lanes * min(MOST_A_LANE, fit // lanes)

    def _lanes(self, shape: Shape, samples: int, threads: int, seen: frozenset[str]) -> State:
        """As many lanes as share samples and threads evenly: what is side by side never waits from layer to layer."""
        known, count = self._of_shape(shape, seen), math.gcd(samples, threads)
        each = samples // count
        with self._lock:
            while len(known.free) >= KEPT_PASSES and each not in known.free:
                known.free.pop(next(iter(known.free)))
            home = known.free.setdefault(each, [])
            found = home[-count:]  # and back in this order: the same calls find the same workspaces
            del home[-count:]
        made = [Workspace(self.plan, known.prepared, self._pool(), each) for _ in range(count - len(found))]
        return State([*made, *found], home, KEPT_PASSES * threads)

    def forward(self, x: Array, inside: Inside = NOTHING_INSIDE) -> tuple[Array, State]:
        """Output of the batch `x` (N, ...), and what is needed of the pass to explain it."""
        threads = self.threads
        state = self._lanes(x.shape[1:], len(x), threads, inside.names)
        passes = [lane.forward for lane in state.lanes]
        for each, part in zip(passes, state.parts(len(x)), strict=True):
            load(each.input, in_planes(x[part]) if each.prepared.image else x[part], threads)
        core.run_side_by_side([each.on.program for each in passes], threads)
        shape = passes[0].prepared.shapes[self.plan.graph.output]
        return joined([stored(each.output, shape, threads) for each in passes]), state

    def relevance(self, state: State, seed: Array, inside: Inside = NOTHING_INSIDE) -> Explained:
        """What becomes of a seed (N, T, ...) at the output."""
        threads, explanations = self.threads, seed.shape[1]
        passes = [lane.relevance(explanations, inside) for lane in state.lanes]
        for each, part in zip(passes, state.parts(len(seed)), strict=True):
            load(each.seed, seed[part].reshape(-1, *seed.shape[2:]), threads)
            for name, tensor in each.masks.items():
                mask = inside.masks[name][part]
                load(tensor, mask.reshape(-1, *mask.shape[2:]), threads)
        core.run_side_by_side([each.on.program for each in passes], threads)
        return Explained.joined([self._explained(each, threads) for each in passes])

    def _explained(self, relevance: RelevancePass, threads: int) -> Explained:
        shapes, explanations = relevance.forward.prepared.shapes, relevance.explanations

        def explained(tensor: core.Tensor, value: str, image: bool = False) -> Array:
            values = (stored_image if image else stored)(tensor, shapes[value], threads)
            return values.reshape(-1, explanations, *shapes[value])

        layers = {name: explained(tensor, self._outputs[name]) for name, tensor in relevance.seen.items()}
        arrived = explained(relevance.arrived, self.plan.graph.input, relevance.forward.prepared.image)
        return Explained(arrived, relevance.accounts.audit(relevance.on.program.figures(threads)), layers)
