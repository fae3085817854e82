"""A plan prepared for one shape of input: stages, halos, and everything that depends on weights and shape alone.

A stage is a step, or a linear map with the activation and the max pool behind it: these run on the map's values
while they are in the cache, and what lies between them is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.native.elementwise_maps import AffineMap, AverageMap, InterpolationMap, SumMap
from lrpfast.engine.native.layout import BLOCK, Bench, Halo, check_rank, fits_planes, halo_in_planes, planes, window3
from lrpfast.engine.native.maps import IDENTITY, ConvolutionMap, LinearMap
from lrpfast.engine.native.methods import roomy_nodes
from lrpfast.engine.native.prepared_stack import PreparedStack, denominator_of, prepare_stack
from lrpfast.engine.native.stacks import WHOLE, Stack, stacked
from lrpfast.engine.native.weights import PreparedWeights
from lrpfast.engine.plan import Plan, Step
from lrpfast.model.graph import Node
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Interpolation,
    Layer,
    MaxPool,
    Shape,
    Sum,
    Weighted,
    fitted,
)
from lrpfast.rules import Gradient, LinearRule, Pass, ReLUBetaSmooth, ReLUDeconvNet, ReLUGuidedBackprop, Rule
from lrpfast.rules.terms import AS_IS, NOTHING

#: what rounding may do to a value behind several layers, in shares of the largest value around it
ROUNDING = 1e-6

#: by how much two places of a max pool may differ, in any channel of a block, that show the same: a share of the
#: largest value around them
ALIKE = 2e-6

RELU_RULES = {
    Gradient: core.ActivationRule.gradient,
    ReLUDeconvNet: core.ActivationRule.deconvnet,
    ReLUGuidedBackprop: core.ActivationRule.guided_backprop,
    ReLUBetaSmooth: core.ActivationRule.beta_smooth,
}


@dataclass(frozen=True, eq=False)
class Stage:
    """Steps that run together, for one shape of input; the first of them has the rule."""

    steps: tuple[Step, ...]
    in_shapes: tuple[Shape, ...]
    shape: Shape  # of the first step's own values
    out_shape: Shape
    function: core.FunctionParameters = IDENTITY
    slope: core.Tensor | None = None
    linear: LinearMap | None = None
    window: core.Window | None = None
    margin: float = 0.0  # by which places of a pool may differ that show the same, in shares of the largest value there
    keeps_values: bool = False  # whether the values ahead of the pool are looked at later
    stacks: tuple[PreparedStack, ...] = ()
    image: bool = False  # whether it reads the graph's input in planes, and hands relevance down so

    @property
    def step(self) -> Step:
        """The step that the stage is named after."""
        return self.steps[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values that it reads."""
        return self.step.node.inputs

    @property
    def output(self) -> str:
        """Name of the value that it makes."""
        return self.steps[-1].node.output

    @property
    def is_shared_out(self) -> bool:
        """Whether the rule is plain proportion to the inputs, with the stage's own value for a denominator."""
        stacks = [prepared.stack for prepared in self.stacks]
        whole = len(stacks) == 1 and stacks[0].blocks == WHOLE and stacks[0].parts == (AS_IS,)
        return whole and self.stacks[0].denominator == "forward" and stacks[0].groups[0].gate == "open"

    @property
    def held_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the tensors that hold its inputs, or relevance of them."""
        return tuple(planes(shape) if self.image else shape for shape in self.in_shapes)

    @property
    def channel_starts(self) -> list[int]:
        """First channel of each branch of a concatenation."""
        return [0, *accumulate(shape[0] for shape in self.in_shapes)][:-1]

    def is_whole(self, start: int, shape: Shape) -> bool:
        """Whether a branch of a concatenation that begins there fills whole blocks."""
        return start % BLOCK == 0 and (shape[0] % BLOCK == 0 or start + shape[0] == self.out_shape[0])


@dataclass(frozen=True, eq=False)
class Prepared:
    """All stages for one shape of input, the halo that each value needs, and which values lie within another."""

    shapes: dict[str, Shape]
    halos: dict[str, Halo]  # within another value, that one's
    places: dict[str, tuple[str, int]]  # value: the concatenation that holds it, and its first channel there
    stages: tuple[Stage, ...] = field(repr=False)

    @property
    def image(self) -> bool:
        """Whether the graph's input is an image in planes."""
        return any(stage.image for stage in self.stages)


def prepare(
    plan: Plan,
    weights: dict[str, PreparedWeights],
    bench: Bench,
    sample_shape: Shape,
    max_memory: int | None = None,
    seen: frozenset[str] = frozenset(),
) -> Prepared:
    """The plan for samples of `sample_shape`, in the graph's own layout, with weights that fit into the memory.

    The layers that `seen` names end a stage, so that relevance at their output is there to be looked at.
    """
    shapes = plan.graph.inner_shapes(sample_shape)
    roomy = roomy_nodes(plan, shapes, max_memory)
    halos = dict.fromkeys(shapes, Halo())
    stages: list[Stage] = []
    for step in plan.steps:
        for name in (*step.node.inputs, step.node.output):
            check_rank(step.node, shapes[name])
        ended = stages and stages[-1].steps[-1].node.name in seen
        if stages and not ended and _continues(stages[-1], step, plan):
            stages[-1] = _continued(stages[-1], step)
            continue
        stages.append(_stage(step, plan, weights, bench, shapes, step.node.name in roomy))
        linear = stages[-1].linear
        if linear is not None:
            for name in step.node.inputs:
                halos[name] |= halo_in_planes(linear.halo) if stages[-1].image else linear.halo
    places = _places(plan, stages)
    for value, (whole, _) in places.items():  # a concatenation comes before the one that holds it
        halos[whole] |= halos[value]
    for value, (whole, _) in reversed(places.items()):
        halos[value] = halos[whole]
    return Prepared(shapes, halos, places, _with_margins(stages))


def _with_margins(stages: list[Stage]) -> tuple[Stage, ...]:
    """The stages, with a margin for max pools behind Winograd's algorithm.

    It rounds differently for each place in its tile: without a margin, the equal values of a flat region would not be
    ties any more, and relevance would go anywhere but to the first. A region is flat where no channel tells its places
    apart; values of one channel alone may be as close by chance, and the larger one wins.
    """
    transformed: set[str] = set()
    found = []
    for stage in stages:
        own = isinstance(stage.linear, ConvolutionMap) and stage.linear.winograd
        if own or any(name in transformed for name in stage.inputs):
            transformed.add(stage.output)
            stage = replace(stage, margin=ALIKE)
        found.append(stage)
    return tuple(found)


def _stage(
    step: Step, plan: Plan, weights: dict[str, PreparedWeights], bench: Bench, shapes: dict[str, Shape], roomy: bool
) -> Stage:
    node, layer = step.node, step.node.layer
    ins, out = tuple(shapes[name] for name in node.inputs), shapes[node.output]
    stage = Stage((step,), ins, out, out)
    match layer:
        case MaxPool():
            return replace(stage, window=window3(fitted(layer.window, ins[0][1:]), ins[0][1:]))
        case Activation():
            return replace(stage, function=_function(layer, step.rule), slope=_slope(layer, bench, ins[0]))
        case Weighted() | Affine() | AveragePool() | Interpolation() | Sum():
            linear = _linear_map(node, weights, bench, ins[0], roomy)
            like_own = linear.bias(AS_IS) is None or all(group.bias != NOTHING for group in step.groups)
            found = stacked(step.groups, linear.together, linear.by_sign, step.positive_only and like_own)
            image = isinstance(linear, ConvolutionMap) and _reads_image(step, plan, linear, found)
            stacks = tuple(prepare_stack(stack, linear, bench, ins[0], image) for stack in found)
            keeps = any(stack.takes_own for stack in stacks) or any(group.gate != "open" for group in step.groups)
            if isinstance(linear, ConvolutionMap) and image:
                linear.prepare_image()
            else:
                linear.prepare(WHOLE, False)
            if isinstance(step.rule, Gradient):
                linear.prepare(WHOLE, True)
            return replace(stage, linear=linear, stacks=stacks, keeps_values=keeps, image=image)
        case _:
            return stage


def _reads_image(step: Step, plan: Plan, linear: ConvolutionMap, stacks: Sequence[Stack]) -> bool:
    """Whether a convolution is the only reader of the graph's input, an image that fits into planes, and goes back to
    it with a few channels; denominators that are sums of their own over it read it in blocks.
    """
    only = step.node.inputs == (plan.graph.input,) and plan.graph.consumers[plan.graph.input] == (step.node,)
    if not only or not linear.together or not fits_planes(linear.shape) or plan.composite.times_input:
        return False
    fits = all(linear.spreads_at_once(s.blocks) and denominator_of(s, linear) != "computed" for s in stacks)
    return isinstance(step.rule, LinearRule) and fits


def _continues(stage: Stage, step: Step, plan: Plan) -> bool:
    """Whether the step may run on the values of the stage as they come, and nothing else needs these."""
    if stage.linear is None or step.node.inputs != (stage.output,):
        return False
    if plan.graph.consumers[stage.output] != (step.node,) or stage.output == plan.graph.output:
        return False
    layer = step.node.layer
    if isinstance(layer, Activation):
        return len(stage.steps) == 1 and isinstance(step.rule, Pass) and _stands_in(stage, layer)
    if isinstance(layer, MaxPool) and isinstance(stage.linear, ConvolutionMap) and isinstance(step.rule, Gradient):
        flat = any(prepared.is_flat for prepared in stage.stacks)
        return stage.window is None and bool(stage.stacks) and not flat and _side_by_side(layer, stage.shape)
    return False


def _stands_in(stage: Stage, layer: Activation) -> bool:
    """Whether the activated value will do where a rule looks at the pre-activation."""
    if layer.slope.size > 1:
        return False
    if not stage.keeps_values:
        return True
    divides = any(prepared.takes_own for prepared in stage.stacks)
    return stage.step.positive_only and (layer.function == "relu" or (layer.function == "clip" and not divides))


def _side_by_side(layer: MaxPool, shape: Shape) -> bool:
    """Whether the windows of a pool of a two-dimensional map neither overlap nor reach beyond it."""
    window = fitted(layer.window, shape[1:])
    return (
        len(shape) == 3
        and window.kernel == window.strides
        and set(window.dilations) == {1}
        and all(pads == (0, 0) for pads in window.pads_for(shape[1:]))
        and all(size >= kernel for size, kernel in zip(shape[1:], window.kernel, strict=True))
        and window.output_size(shape[1:])
        == tuple(size // kernel for size, kernel in zip(shape[1:], window.kernel, strict=True))
    )


def _continued(stage: Stage, step: Step) -> Stage:
    layer, shape = step.node.layer, stage.shape
    steps = (*stage.steps, step)
    if isinstance(layer, Activation):
        return replace(stage, steps=steps, function=_function(layer, step.rule))
    assert isinstance(layer, MaxPool)
    window = window3(fitted(layer.window, shape[1:]), shape[1:])
    return replace(stage, steps=steps, window=window, out_shape=layer.output_shape(shape))


def _places(plan: Plan, stages: list[Stage]) -> dict[str, tuple[str, int]]:
    """Branches of concatenations that can be written where they belong at once."""
    written = {stage.output for stage in stages if not only_moves(stage.step.node.layer)}
    places: dict[str, tuple[str, int]] = {}
    for stage in stages:
        if not isinstance(stage.step.node.layer, Concat) or only_moves(stage.step.node.layer):
            continue
        for name, start, shape in zip(stage.inputs, stage.channel_starts, stage.in_shapes, strict=True):
            if stage.is_whole(start, shape) and name in written and name not in places:
                places[name] = (stage.output, start)
    return places


def only_moves(layer: Layer) -> bool:
    """Whether the layer only moves values, in any way but joining whole channels."""
    return layer.kind == "routing" and not (isinstance(layer, Concat) and layer.axis == 0)


def _linear_map(node: Node, weights: dict[str, PreparedWeights], bench: Bench, shape: Shape, roomy: bool) -> LinearMap:
    match node.layer:
        case Affine():
            return AffineMap(bench, node.layer, shape)
        case AveragePool():
            return AverageMap(node.layer, shape)
        case Interpolation():
            return InterpolationMap(node.layer, shape)
        case Sum():
            return SumMap(shape, len(node.inputs))
        case _:
            return ConvolutionMap(weights[node.name], shape, roomy)


def _function(layer: Activation, rule: Rule) -> core.FunctionParameters:
    alpha, beta = layer.alpha, layer.beta
    if layer.function == "leaky_relu" and layer.slope.size == 1:
        alpha = float(layer.slope.reshape(()))
    if isinstance(rule, ReLUBetaSmooth):
        beta = rule.beta
    return core.FunctionParameters(getattr(core.Function, layer.function), alpha, beta, layer.low, layer.high)


def _slope(layer: Activation, bench: Bench, shape: Shape) -> core.Tensor | None:
    if layer.function != "leaky_relu" or layer.slope.size == 1:
        return None
    return bench.loaded(np.broadcast_to(layer.slope, shape)[np.newaxis])
