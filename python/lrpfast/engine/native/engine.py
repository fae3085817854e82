"""The plan run on the compiled core."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.audit import Audit, LayerAudit, Sums
from lrpfast.engine.native.layout import Halo, Workshop
from lrpfast.engine.native.maps import LinearMap, PreparedWeights
from lrpfast.engine.native.prepared import GATES, RELU_RULES, Prepared, PreparedGroup, PreparedStep, prepare
from lrpfast.engine.plan import Plan
from lrpfast.engine.routing import moved, moved_back
from lrpfast.errors import InputError
from lrpfast.model.layers import Array, Concat, Convolution, Dense, Layer, Shape
from lrpfast.rules import LinearRule, Pass
from lrpfast.rules.terms import AS_IS, Part

#: how many shapes of input stay prepared
KEPT_SHAPES = 4


@dataclass(frozen=True, eq=False)
class State:
    """Every value of one forward pass, and the winners of its max pools."""

    prepared: Prepared
    values: dict[str, core.Tensor]
    winners: dict[str, core.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Relevance:
    """Relevance of a value, (N * T, ...), and its sum per sample for the account."""

    tensor: core.Tensor
    sums: Sums


class NativeEngine:
    """Runs a plan step by step on blocked float32 tensors. Weights are packed here, once."""

    def __init__(self, plan: Plan, threads: int | None = None) -> None:
        try:
            core.isa()
        except RuntimeError as error:  # LRPFAST_ISA names what this machine has not
            raise InputError(str(error)) from None
        self.plan = plan
        self.shop = Workshop(core.Pool(), threads or 0)
        self.weights = {
            step.node.name: PreparedWeights(step, step.node.layer)
            for step in plan.steps
            if isinstance(step.node.layer, Convolution | Dense)
        }
        self._prepared: OrderedDict[Shape, Prepared] = OrderedDict()
        self._lock = threading.Lock()
        if None not in plan.graph.input_shape:
            self.prepared(plan.graph.permuted(tuple(size or 1 for size in plan.graph.input_shape)))

    def prepared(self, shape: Shape) -> Prepared:
        """What depends on the shape of a sample, in the graph's layout; made on first sight."""
        with self._lock:
            if shape not in self._prepared:
                self._prepared[shape] = prepare(self.plan, self.weights, self.shop, shape)
                if len(self._prepared) > KEPT_SHAPES:
                    self._prepared.popitem(last=False)
            self._prepared.move_to_end(shape)
            return self._prepared[shape]

    def forward(self, x: Array) -> tuple[Array, State]:
        """Output of the batch `x` (N, ...), and every value on the way."""
        graph, prepared = self.plan.graph, self.prepared(x.shape[1:])
        state = State(prepared, {graph.input: self.shop.loaded(x, prepared.halos[graph.input])})
        for step in prepared.steps:
            state.values[step.step.node.output] = self._value(step, state)
        return self.shop.stored(state.values[graph.output], prepared.shapes[graph.output]), state

    def _value(self, step: PreparedStep, state: State) -> core.Tensor:
        node, layer, threads = step.step.node, step.step.node.layer, self.shop.threads
        inputs = [state.values[name] for name in node.inputs]
        halo = state.prepared.halos[node.output]
        if is_copied_in_numpy(layer):
            arrays: list[Array] = [self.shop.stored(a, shape) for a, shape in zip(inputs, step.in_shapes, strict=True)]
            return self.shop.loaded(moved(layer, arrays), halo)
        out = self.shop.tensor(inputs[0].samples, step.out_shape, halo)
        if step.linear is not None:
            step.linear.forward(AS_IS, inputs, step.linear.bias(AS_IS), out)
        elif step.function is not None:
            core.activate(step.function, inputs[0], step.slope, out, threads)
        elif step.window is not None:
            state.winners[node.output] = self.shop.tensor(out.samples, step.out_shape)
            core.max_pool(step.window, inputs[0], out, state.winners[node.output], threads)
        else:
            for a, start in zip(inputs, channel_starts(step), strict=True):
                core.copy_channels(a, 0, out, start, a.channels, threads)
        return out

    def relevance(self, state: State, seed: Array) -> tuple[Array, Audit]:
        """Relevance (N, T, ...) of the input for a seed (N, T, ...) at the output, and the account of it."""
        graph, prepared, explanations = self.plan.graph, state.prepared, seed.shape[1]
        relevance = {graph.output: self._summed(self.shop.loaded(seed.reshape(-1, *seed.shape[2:])))}
        layers = []
        for step in reversed(prepared.steps):
            node = step.step.node
            received = relevance.pop(node.output, None)
            if received is None:  # no path to the explained output
                continue
            handed, absorbed = self._hand_down(step, state, received.tensor)
            parts = [received if part is received.tensor else self._summed(part) for part in handed]
            for name, shape, part in zip(node.inputs, step.in_shapes, parts, strict=True):
                relevance[name] = self._total(relevance[name], part, shape) if name in relevance else part
            layers.append(account(step, received, parts, absorbed, explanations))
        arrived, shape = relevance[graph.input].tensor, prepared.shapes[graph.input]
        if self.plan.composite.times_input:
            x, gradient = state.values[graph.input], arrived
            arrived = self.shop.tensor(gradient.samples, shape)
            core.contribute(1, 1, 1, x, gradient, False, arrived, self.shop.threads)
        return self.shop.stored(arrived, shape).reshape(-1, explanations, *shape), Audit(tuple(layers))

    def _summed(self, tensor: core.Tensor) -> Relevance:
        return Relevance(tensor, core.sums(tensor, self.shop.threads))

    def _total(self, one: Relevance, other: Relevance, shape: Shape) -> Relevance:
        """Relevance from two readers of a value; a new tensor, since one may stand for several values."""
        out = self.shop.tensor(one.tensor.samples, shape)
        core.add(one.tensor, other.tensor, out, self.shop.threads)
        return Relevance(out, one.sums + other.sums)

    def _hand_down(self, step: PreparedStep, state: State, r: core.Tensor) -> tuple[list[core.Tensor], Sums | None]:
        """What a step hands to each input, and for rules made of terms (N * T, 3) sums: bias, stabilizer, handled."""
        node, rule, threads = step.step.node, step.step.rule, self.shop.threads
        inputs = [state.values[name] for name in node.inputs]
        if isinstance(rule, Pass):
            return [r], None
        if is_copied_in_numpy(node.layer):
            stored = self.shop.stored(r, step.out_shape)
            like: list[Array] = [np.empty((r.samples, *shape), np.float32) for shape in step.in_shapes]
            return [self.shop.loaded(part) for part in moved_back(node.layer, like, stored)], None
        if step.linear is not None:
            if isinstance(rule, LinearRule):
                return self._redistribute(step, step.linear, state, rule.stabilizer, r)
            widened = self._widened(r, step.out_shape, step.linear)
            return [step.linear.adjoint(AS_IS, widened, branch) for branch in range(len(inputs))], None
        handed = [self.shop.tensor(r.samples, shape) for shape in step.in_shapes]
        if step.function is not None:
            kind = RELU_RULES[type(rule)]
            core.activation_relevance(kind, step.function, inputs[0], step.slope, r, handed[0], threads)
        elif step.window is not None:
            core.max_unpool(step.window, r, state.winners[node.output], handed[0], threads)
        else:
            for part, start in zip(handed, channel_starts(step), strict=True):
                core.copy_channels(r, start, part, 0, part.channels, threads)
        return handed, None

    def _widened(self, r: core.Tensor, shape: Shape, linear: LinearMap) -> core.Tensor:
        """`r` with the halo that the adjoint reads."""
        if not any(linear.s_halo.before + linear.s_halo.after):
            return r
        wide = self.shop.tensor(r.samples, shape, linear.s_halo)
        core.affine(r, None, None, wide, self.shop.threads)
        return wide

    def _redistribute(
        self, step: PreparedStep, linear: LinearMap, state: State, stabilizer: float, r: core.Tensor
    ) -> tuple[list[core.Tensor], Sums]:
        threads = self.shop.threads
        inputs = [state.values[name] for name in step.step.node.inputs]
        own = state.values[step.step.node.output]
        handed = [self.shop.tensor(r.samples, shape) for shape in step.in_shapes]
        absorbed = np.zeros((r.samples, 3))
        fresh = True
        for group in step.groups:
            plan = group.plan
            z = own if plan.denominator == "forward" else self._denominator(group, linear, inputs, step.in_shapes)
            s = self.shop.tensor(r.samples, step.out_shape, linear.s_halo)
            gated, gate = (own if plan.gate != "open" else None), GATES[plan.gate]
            lanes = group.bias if isinstance(group.bias, np.ndarray) else None
            absorbed += core.quotient(r, z, gated, lanes, gate, plan.share, stabilizer, s, threads)
            if isinstance(group.bias, core.Tensor):
                absorbed[:, 0] += self._product_sums(s, group.bias, step.out_shape)
            for term in group.terms:
                part, sign = term.part, term.term.sign
                for branch, a in enumerate(inputs):
                    spread = linear.adjoint(term.term.weight, s, branch)
                    taken = a if term.fixed is None else term.fixed
                    core.contribute(
                        part.positive, part.negative, sign, taken, spread, not fresh, handed[branch], threads
                    )
                fresh = False
        if fresh:  # the algebra left nothing of the rule
            for tensor in handed:
                tensor.fill(0, threads)
        return handed, absorbed

    def _product_sums(self, s: core.Tensor, bias: core.Tensor, shape: Shape) -> Sums:
        """What a bias that is a map absorbs, per sample."""
        out = self.shop.tensor(s.samples, shape)
        core.contribute(1, 1, 1, bias, s, False, out, self.shop.threads)
        return core.sums(out, self.shop.threads)

    def _denominator(
        self, group: PreparedGroup, linear: LinearMap, inputs: list[core.Tensor], shapes: tuple[Shape, ...]
    ) -> core.Tensor:
        """The group's z: what is constant of it is at hand, the other terms are computed and added to it."""
        total = group.constant
        if group.plan.denominator == "constant":
            assert total is not None
            return total
        bias = group.bias
        for term in group.terms:
            if term.fixed is not None:
                continue
            taken = [self._taken(a, term.part, shape, linear.halo) for a, shape in zip(inputs, shapes, strict=True)]
            value, sign = self.shop.tensor(inputs[0].samples, linear.out_shape), term.term.sign
            linear.forward(term.term.weight, taken, bias if sign == 1 else None, value)
            if sign == 1:
                bias = None  # once is enough
            else:
                core.part(sign, sign, value, value, self.shop.threads)
            if total is not None:
                core.add(value, total, value, self.shop.threads)
            total = value
        assert total is not None
        assert bias is None, "the bias goes with a term of sign 1, and every group has one"
        return total

    def _taken(self, a: core.Tensor, part: Part, shape: Shape, halo: Halo) -> core.Tensor:
        """What a term takes of an input."""
        if part == AS_IS:
            return a
        out = self.shop.tensor(a.samples, shape, halo)
        core.part(part.positive, part.negative, a, out, self.shop.threads)
        return out


def account(
    step: PreparedStep, received: Relevance, handed: list[Relevance], absorbed: Sums | None, explanations: int
) -> LayerAudit:
    """The figures of one step as the audit shows them."""
    total = received.sums
    down = sum((part.sums for part in handed), np.zeros_like(total))
    if absorbed is None:
        bias = stabilizer = np.zeros_like(total)
        rule = total - down
    else:
        bias, stabilizer, rule = absorbed[:, 0], absorbed[:, 1], total - absorbed[:, 2]
    figures = (figure.reshape(-1, explanations) for figure in (total, down, bias, stabilizer, rule))
    return LayerAudit(step.step.node.name, step.step.node.operator, step.step.rule_name, *figures)


def is_copied_in_numpy(layer: Layer) -> bool:
    """Whether the layer only moves values, in a way for which the core has no step of its own."""
    return layer.kind == "routing" and not (isinstance(layer, Concat) and layer.axis == 0)


def channel_starts(step: PreparedStep) -> list[int]:
    """First channel of each branch of a concatenation."""
    return [0, *accumulate(shape[0] for shape in step.in_shapes)][:-1]
