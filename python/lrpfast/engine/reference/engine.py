"""The plan run in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.engine.audit import FIGURES, Audit, Entry, Sums
from lrpfast.engine.backend import NOTHING_INSIDE, Explained, Inside
from lrpfast.engine.plan import Plan, PlannedGroup, Step
from lrpfast.engine.reference import activations
from lrpfast.engine.reference.maps import (
    AffineMap,
    AverageMap,
    ConvolutionMap,
    DenseMap,
    InterpolationMap,
    LinearMap,
    SumMap,
    TransposedMap,
    modified,
    scattered,
    windows,
)
from lrpfast.engine.routing import moved, moved_back, padded
from lrpfast.model.functions import value
from lrpfast.model.layers import (
    Activation,
    Affine,
    Array,
    AveragePool,
    Convolution,
    Dense,
    Gate,
    Interpolation,
    Layer,
    MaxPool,
    Shape,
    Sum,
    TransposedConvolution,
    Weighted,
    fitted,
)
from lrpfast.rules import Gradient, LinearRule, Pass, Proportional, Rule, Ties
from lrpfast.rules.terms import AS_IS, NOTHING, Fixed, InputPart, Shifted

#: Sees each step of a relevance pass: its output, the relevance there, and what it hands to each of its inputs.
Watch: TypeAlias = Callable[[Step, Array, Array, Sequence[Array | None]], None]


@dataclass(frozen=True, eq=False)
class State:
    """Every value of one forward pass, batch first, and the number of samples."""

    values: dict[str, Array]
    batch: int


@dataclass(eq=False)
class Absorbed:
    """Relevance (N * T,) that a layer did not hand down, by cause."""

    bias: Array | float = 0.0
    stabilizer: Array | float = 0.0
    rule: Array | float = 0.0


class ReferenceEngine:
    """Runs a plan step by step in the float type of its input."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __str__(self) -> str:
        return "reference"

    def samples_at_once(self, shape: Shape, explanations: int) -> int | None:
        """Any number."""
        return None

    def forward(self, x: Array, inside: Inside = NOTHING_INSIDE) -> tuple[Array, State]:
        """Output of the batch `x` (N, ...), and every value on the way."""
        values = {self.plan.graph.input: x}
        for step in self.plan.steps:
            node = step.node
            values[node.output] = forward(node.layer, [values[name] for name in node.inputs])
        return values[self.plan.graph.output], State(values, len(x))

    def relevance(
        self, state: State, seed: Array, inside: Inside = NOTHING_INSIDE, watch: Watch | None = None
    ) -> Explained:
        """What becomes of a seed (N, T, ...) at the output.

        `watch` is called at every step, with arrays (N * T, ...).
        """
        graph, explanations = self.plan.graph, seed.shape[1]
        relevance = {graph.output: seed.reshape(-1, *seed.shape[2:])}
        entries, figures, found = [], [], {}
        for step in reversed(self.plan.steps):
            node = step.node
            received = relevance.pop(node.output, None)
            if received is None:  # no path to the explained output
                continue
            if node.name in inside.masks:
                received = received * inside.masks[node.name].reshape(received.shape).astype(received.dtype)
            if node.name in inside.layers:
                found[node.name] = received.reshape(state.batch, explanations, *received.shape[1:])
            inputs = [np.repeat(state.values[name], explanations, axis=0) for name in node.inputs]
            output = np.repeat(state.values[node.output], explanations, axis=0)
            handed, absorbed = hand_down(step, inputs, output, received)
            for name, part in zip(node.inputs, handed, strict=True):
                if part is not None:
                    relevance[name] = relevance[name] + part if name in relevance else part
            if watch is not None:
                watch(step, output, received, handed)
            entries.append(Entry.of(step))
            figures.append(account(step, received, handed, absorbed))
        arrived = relevance[graph.input]
        if self.plan.composite.times_input:
            arrived = arrived * np.repeat(state.values[graph.input], explanations, axis=0)
        relevance_of_input = arrived.reshape(state.batch, explanations, *arrived.shape[1:])
        sums = np.array(figures).reshape(-1, len(FIGURES), state.batch, explanations)
        return Explained(relevance_of_input, Audit(entries, sums), found)


def forward(layer: Layer, inputs: list[Array]) -> Array:
    """Value of one layer, batch first."""
    a = inputs[0]
    match layer:
        case Weighted() | Affine() | AveragePool() | Interpolation():
            linear = linear_map(layer, inputs)
            return linear.forward(AS_IS, a) + linear.bias(AS_IS)
        case Sum():
            total: Array = np.sum(inputs, axis=0, dtype=a.dtype)
            return total
        case Activation():
            return value(layer, a)
        case MaxPool():
            return max_pool(layer, a)[0]
        case Gate(operation=operation):
            gated: Array = a * inputs[1] if operation == "times" else a + inputs[1]
            return gated
        case _:
            return moved(layer, inputs)


def hand_down(step: Step, inputs: list[Array], output: Array, r: Array) -> tuple[Sequence[Array | None], Absorbed]:
    """What a step hands to each of its inputs of the relevance `r` (N * T, ...) at its output; None: no path."""
    layer = step.node.layer
    match layer:
        case Activation():
            return [activations.relevance(step.rule, layer, inputs[0], r)], Absorbed()
        case MaxPool():
            return [unpooled(step.rule, layer, inputs[0], r)], Absorbed()
        case Gate(operation=operation):
            if isinstance(step.rule, Pass):
                return [r, None], Absorbed()
            signal, gate = inputs
            return [r, r] if operation == "plus" else [r * gate, r * signal], Absorbed()
        case Weighted() | Affine() | AveragePool() | Interpolation() | Sum():
            linear = linear_map(layer, inputs)
            a = np.stack(inputs, axis=1) if isinstance(layer, Sum) else inputs[0]
            absorbed = Absorbed()
            if isinstance(step.rule, LinearRule):
                handed, absorbed = redistribute(linear, step.groups, step.rule.stabilizer, a, output, r)
            elif isinstance(step.rule, Gradient):
                handed = linear.adjoint(AS_IS, r)
            else:
                handed = r
            return list(np.moveaxis(handed, 1, 0)) if isinstance(layer, Sum) else [handed], absorbed
        case _:
            return moved_back(layer, inputs, r), Absorbed()


def redistribute(
    linear: LinearMap, groups: tuple[PlannedGroup, ...], stabilizer: float, a: Array, output: Array, r: Array
) -> tuple[Array, Absorbed]:
    """Relevance of `a` by a rule made of terms; `output` is the forward pass's ``W a + b``."""
    handed = np.zeros_like(a)
    absorbed = Absorbed(rule=per_sample(r))
    for group in groups:
        bias = np.zeros((), a.dtype) if group.bias == NOTHING else linear.bias(group.bias)
        if group.denominator == "forward":
            z = output
        else:
            z = sum((linear.forward(term.weight, taken(a, term.input)) for term in group.terms), bias)
        share = r * r.dtype.type(group.share)
        if group.gate != "open":
            share = share * (output > 0 if group.gate == "z > 0" else output < 0)
        s, stabilized = quotient(share, z, stabilizer)
        for term in group.terms:
            handed += taken(a, term.input) * linear.adjoint(term.weight, s)
        absorbed.bias = absorbed.bias + per_sample(s * bias)
        absorbed.stabilizer = absorbed.stabilizer + per_sample(s * (stabilized - z))
        absorbed.rule = absorbed.rule - per_sample(s * stabilized)
    return handed, absorbed


def quotient(r: Array, z: Array, stabilizer: float) -> tuple[Array, Array]:
    """``r / stab(z)`` with 0 / 0 = 0, and ``stab(z) = z + stabilizer sgn(z)`` with sgn(0) = 1."""
    stabilized = z + np.where(z >= 0, z.dtype.type(stabilizer), -z.dtype.type(stabilizer))
    empty = stabilized == 0
    return np.where(empty, 0, r / np.where(empty, 1, stabilized)), stabilized


def taken(a: Array, part: InputPart) -> Array:
    """What a term takes for the input `a`."""
    if isinstance(part, Fixed):
        return np.broadcast_to(np.asarray(part.value, a.dtype), a.shape)
    if isinstance(part, Shifted):
        return a - np.asarray(part.value, a.dtype)
    return modified(a, part)


def linear_map(layer: Layer, inputs: list[Array]) -> LinearMap:
    """The linear map of a layer for inputs of this shape and float type."""
    spatial, dtype = inputs[0].shape[2:], inputs[0].dtype
    match layer:
        case Convolution():
            return ConvolutionMap(layer, spatial, dtype)
        case TransposedConvolution():
            return TransposedMap(layer, spatial, dtype)
        case Dense():
            return DenseMap(layer, dtype)
        case Affine():
            return AffineMap(layer, dtype)
        case AveragePool():
            return AverageMap(layer, spatial, dtype)
        case Interpolation():
            return InterpolationMap(layer, spatial, dtype)
        case Sum():
            return SumMap(len(inputs))
        case _:
            raise NotImplementedError(type(layer).__name__)


def max_pool(layer: MaxPool, a: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Largest value of each window, and the tap of the kernel that holds it: the first in row-major order."""
    spatial = a.shape[2:]
    window, rank = fitted(layer.window, spatial), len(spatial)
    whole = padded(a, window.pads_for(spatial), -np.inf)
    seen = windows(whole, window, window.output_size(spatial))
    seen = seen.reshape(*seen.shape[: 2 + rank], -1)
    winner = seen.argmax(axis=-1)
    return np.take_along_axis(seen, winner[..., np.newaxis], axis=-1)[..., 0], winner


def unpooled(rule: Rule, layer: MaxPool, a: Array, r: Array) -> Array:
    """The relevance of each window shared out among its values; the winner takes all unless the rule says otherwise."""
    spatial = a.shape[2:]
    window = fitted(layer.window, spatial)
    largest, winner = max_pool(layer, a)
    columns = np.zeros((*r.shape[:2], np.prod(window.kernel), *r.shape[2:]), r.dtype)
    if isinstance(rule, (Ties, Proportional)):
        seen = windows(padded(a, window.pads_for(spatial), -np.inf), window, r.shape[2:])
        values = np.moveaxis(seen.reshape(*r.shape, -1), -1, 2)
        if isinstance(rule, Ties):
            parts, stabilizer = (values == largest[:, :, np.newaxis]).astype(r.dtype), 0.0
        else:
            parts, stabilizer = np.where(np.isfinite(values), values, 0), rule.stabilizer
        shares, _ = quotient(r, parts.sum(axis=2), stabilizer)
        columns += parts * shares[:, :, np.newaxis]
    else:
        np.put_along_axis(columns, winner[:, :, np.newaxis], r[:, :, np.newaxis], axis=2)
    columns = columns.reshape(*r.shape[:2], *window.kernel, *r.shape[2:])
    return scattered(columns, window, window.pads_for(spatial), spatial)


def per_sample(r: Array) -> Sums:
    """Sum over everything but the batch."""
    total: Sums = r.reshape(len(r), -1).sum(axis=1, dtype=np.float64)
    return total


def account(step: Step, received: Array, handed: Sequence[Array | None], absorbed: Absorbed) -> Sums:
    """The figures of one step as the audit shows them, for each sample."""
    total, down = per_sample(received), sum(per_sample(part) for part in handed if part is not None)
    if not isinstance(step.rule, LinearRule):
        absorbed = Absorbed(rule=total - down)
    figures = (total, down, absorbed.bias, absorbed.stabilizer, absorbed.rule)
    return np.stack([np.broadcast_to(np.asarray(figure, np.float64), total.shape) for figure in figures])
