"""A plan prepared for one shape of input: maps, halos, and everything that depends on weights and shape alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.native.layout import Halo, Workshop, check_rank, window3
from lrpfast.engine.native.maps import (
    AffineMap,
    AverageMap,
    Bias,
    ConvolutionMap,
    LinearMap,
    PreparedWeights,
    SumMap,
)
from lrpfast.engine.plan import Plan, PlannedGroup, Step
from lrpfast.model.graph import Node
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Convolution,
    Dense,
    MaxPool,
    Shape,
    Sum,
    fitted,
)
from lrpfast.rules import Gradient, ReLUBetaSmooth, ReLUDeconvNet, ReLUGuidedBackprop, Rule
from lrpfast.rules.terms import Fixed, Part, Term

RELU_RULES = {
    Gradient: core.ActivationRule.gradient,
    ReLUDeconvNet: core.ActivationRule.deconvnet,
    ReLUGuidedBackprop: core.ActivationRule.guided_backprop,
    ReLUBetaSmooth: core.ActivationRule.beta_smooth,
}
GATES = {"open": core.Gate.open, "z > 0": core.Gate.positive, "z < 0": core.Gate.negative}


@dataclass(frozen=True, eq=False)
class PreparedTerm:
    """A term; `fixed` holds its input where it is a constant (one sample)."""

    term: Term
    fixed: core.Tensor | None

    @property
    def part(self) -> Part:
        """What the term takes of its input."""
        return self.term.input if isinstance(self.term.input, Part) else Part(1, 1)


@dataclass(frozen=True, eq=False)
class PreparedGroup:
    """A group of terms; `constant` is the part of the denominator that does not depend on the input (one sample)."""

    plan: PlannedGroup
    terms: tuple[PreparedTerm, ...]
    bias: Bias
    constant: core.Tensor | None


@dataclass(frozen=True, eq=False)
class PreparedStep:
    """One step for one shape of input."""

    step: Step
    in_shapes: tuple[Shape, ...]
    out_shape: Shape
    linear: LinearMap | None = None
    window: core.Window | None = None
    function: core.FunctionParameters | None = None
    slope: core.Tensor | None = None
    groups: tuple[PreparedGroup, ...] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """All steps for one shape of input, and the halo that each value needs."""

    shapes: dict[str, Shape]
    halos: dict[str, Halo]
    steps: tuple[PreparedStep, ...] = field(repr=False)


def prepare(plan: Plan, weights: dict[str, PreparedWeights], shop: Workshop, sample_shape: Shape) -> Prepared:
    """The plan for samples of `sample_shape`, in the graph's own layout."""
    shapes = plan.graph.inner_shapes(sample_shape)
    steps, halos = [], dict.fromkeys(shapes, Halo())
    for step in plan.steps:
        for name in (*step.node.inputs, step.node.output):
            check_rank(step.node, shapes[name])
        prepared = _prepare_step(step, weights, shop, shapes)
        steps.append(prepared)
        if prepared.linear is not None:
            for name in step.node.inputs:
                halos[name] |= prepared.linear.halo
    return Prepared(shapes, halos, tuple(steps))


def _prepare_step(
    step: Step, weights: dict[str, PreparedWeights], shop: Workshop, shapes: dict[str, Shape]
) -> PreparedStep:
    node, layer = step.node, step.node.layer
    ins, out = tuple(shapes[name] for name in node.inputs), shapes[node.output]
    match layer:
        case MaxPool():
            spatial = ins[0][1:]
            return PreparedStep(step, ins, out, window=window3(fitted(layer.window, spatial), spatial))
        case Activation():
            return PreparedStep(step, ins, out, function=_function(layer, step.rule), slope=_slope(layer, shop, ins[0]))
        case Convolution() | Dense() | Affine() | AveragePool() | Sum():
            linear = _linear_map(node, weights, shop, ins[0])
            groups = tuple(_prepare_group(group, linear, shop, ins[0]) for group in step.groups)
            return PreparedStep(step, ins, out, linear=linear, groups=groups)
        case _:
            return PreparedStep(step, ins, out)


def _linear_map(node: Node, weights: dict[str, PreparedWeights], shop: Workshop, shape: Shape) -> LinearMap:
    match node.layer:
        case Affine():
            return AffineMap(shop, node.layer, shape)
        case AveragePool():
            return AverageMap(shop, node.layer, shape)
        case Sum():
            return SumMap(shop, shape)
        case _:
            return ConvolutionMap(shop, weights[node.name], shape)


def _prepare_group(group: PlannedGroup, linear: LinearMap, shop: Workshop, shape: Shape) -> PreparedGroup:
    terms = tuple(PreparedTerm(term, _fixed_input(term, linear, shop, shape)) for term in group.terms)
    constant = None
    bias = linear.bias(group.bias)
    for term in terms:
        if term.fixed is not None:
            own = bias if group.denominator == "constant" and constant is None else None
            value = shop.tensor(1, linear.out_shape)
            linear.forward(term.term.weight, [term.fixed], own, value)
            constant = _summed(constant, term.term.sign, value, shop)
    return PreparedGroup(group, terms, bias, constant)


def _fixed_input(term: Term, linear: LinearMap, shop: Workshop, shape: Shape) -> core.Tensor | None:
    if not isinstance(term.input, Fixed):
        return None
    return shop.loaded(np.broadcast_to(np.asarray(term.input.value, np.float32), shape)[np.newaxis], linear.halo)


def _summed(total: core.Tensor | None, sign: float, value: core.Tensor, shop: Workshop) -> core.Tensor:
    """``total + sign value``, in the memory of `value`."""
    if sign != 1:
        core.part(sign, sign, value, value, shop.threads)
    if total is not None:
        core.add(total, value, value, shop.threads)
    return value


def _function(layer: Activation, rule: Rule) -> core.FunctionParameters:
    alpha, beta = layer.alpha, layer.beta
    if layer.function == "leaky_relu" and layer.slope.size == 1:
        alpha = float(layer.slope.reshape(()))
    if isinstance(rule, ReLUBetaSmooth):
        beta = rule.beta
    return core.FunctionParameters(getattr(core.Function, layer.function), alpha, beta, layer.low, layer.high)


def _slope(layer: Activation, shop: Workshop, shape: Shape) -> core.Tensor | None:
    if layer.function != "leaky_relu" or layer.slope.size == 1:
        return None
    return shop.loaded(np.broadcast_to(layer.slope, shape)[np.newaxis])
