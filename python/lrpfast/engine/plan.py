"""The plan: graph and composite made into steps that a backend only has to follow.

Each step is a node with its rule. For a rule made of terms the plan holds what is left of them after the
algebra has used what the graph proves: after a ReLU inputs are >= 0, so terms of their negative part are
zero; averages and sums have no negative weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.composites import Composite, LayerInfo
from lrpfast.composites.composite import table
from lrpfast.engine.proofs import nonnegative_values, zero_below_zero
from lrpfast.errors import CompositeError
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import Activation, Affine, Interpolation, Shape, Sum
from lrpfast.rules import LinearRule, Pass, Proportional, Rule, Ties
from lrpfast.rules.terms import AS_IS, NOTHING, Fixed, Group, InputPart, Part, Term, WeightPart

Denominator: TypeAlias = Literal["forward", "constant", "computed"]


@dataclass(frozen=True)
class PlannedGroup:
    """A group of terms, simplified, and where its denominator comes from.

    ``"forward"``: it is the layer's own output of the forward pass; ``"constant"``: it depends on the weights
    and on the shape of the input alone; ``"computed"``: it has to be computed for every input.
    """

    terms: tuple[Term, ...]
    bias: WeightPart
    gate: str
    share: float
    denominator: Denominator


@dataclass(frozen=True)
class Step:
    """A node, its rule, and for a rule made of terms what is left of them."""

    node: Node
    info: LayerInfo
    rule: Rule
    groups: tuple[PlannedGroup, ...] = ()
    #: whether relevance of the output is zero wherever the output is not positive
    positive_only: bool = False

    @property
    def rule_name(self) -> str:
        """The rule as tables show it."""
        if self.info.kind == "routing":
            return "moved"
        if self.info.kind == "gate" and isinstance(self.rule, Pass):
            return "signal takes all"
        if self.info.kind == "max" and not isinstance(self.rule, (Ties, Proportional)):
            return "winner takes all"
        return str(self.rule)


@dataclass(frozen=True)
class Plan:
    """All steps, in the order of the forward pass."""

    graph: Graph
    composite: Composite
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        rows = [("layer", "operator", "kind", "rule")]
        rows += [(step.node.name, step.node.operator, step.info.kind, step.rule_name) for step in self.steps]
        return table(rows)


def make_plan(graph: Graph, composite: Composite) -> Plan:
    """The plan of a graph under a composite; raises CompositeError listing the layers without a rule."""
    nonnegative = nonnegative_values(graph)
    steps: list[Step] = []
    problems: list[str] = []
    for node, info in zip(graph.nodes, layer_infos(graph), strict=True):
        try:
            steps.append(_step(graph, node, info, composite.rule_for(info), nonnegative))
        except CompositeError as error:
            problems.append(str(error))
    if problems:
        listed = "; ".join(problems)
        raise CompositeError(f"Composite '{composite.name}' does not fit the model: {listed}.")
    return Plan(graph, composite, tuple(_with_idle_pre_activations(graph, steps)))


def _with_idle_pre_activations(graph: Graph, steps: list[Step]) -> list[Step]:
    """The steps, simplified where negative pre-activations never carry relevance, as before a ReLU.

    Groups for negative ones go, and those for positive ones need no gate: they receive nothing elsewhere.
    """
    proportional = {step.node.name for step in steps if _is_proportional(step)}
    passing = {step.node.name for step in steps if isinstance(step.rule, Pass)}
    idle = zero_below_zero(graph, proportional, passing)
    return [
        replace(
            step,
            groups=tuple(replace(group, gate="open") for group in step.groups if group.gate != "z < 0"),
            positive_only=True,
        )
        if step.node.output in idle
        else step
        for step in steps
    ]


def _is_proportional(step: Step) -> bool:
    parts = [term.input for group in step.groups for term in group.terms]
    return isinstance(step.rule, LinearRule) and all(isinstance(part, Part) for part in parts)


def layer_infos(graph: Graph) -> list[LayerInfo]:
    """What a composite may ask of each node, in the order of the nodes."""
    weighted = [node.layer.kind in ("conv", "dense") for node in graph.nodes]
    behind = {graph.input: False}  # does a weighted layer come before the value?
    for node, heavy in zip(graph.nodes, weighted, strict=True):
        behind[node.output] = heavy or any(behind[name] for name in node.inputs)
    ahead: dict[str, bool] = {}  # does a weighted layer come after the value?
    for node, heavy in zip(reversed(graph.nodes), reversed(weighted), strict=True):
        for name in node.inputs:
            ahead[name] = ahead.get(name, False) or heavy or ahead.get(node.output, False)
    infos, count = [], 0
    for node, heavy in zip(graph.nodes, weighted, strict=True):
        count += heavy
        first = heavy and not any(behind[name] for name in node.inputs)
        last = heavy and not ahead.get(node.output, False)
        kind, depth = node.layer.kind, max(count - 1, 0)
        function = node.layer.function if isinstance(node.layer, Activation) else ""
        readers = graph.consumers[node.output]
        activated = bool(readers) and all(isinstance(reader.layer, Activation) for reader in readers)
        activated = activated and node.output != graph.output
        infos.append(LayerInfo(node.name, node.operator, kind, first, last, depth, sum(weighted), function, activated))
    return infos


def _step(graph: Graph, node: Node, info: LayerInfo, rule: Rule | None, nonnegative: set[str]) -> Step:
    if rule is None:
        raise CompositeError(f"{node} has no rule; add one, for example ('{info.kind}', Epsilon())")
    if info.kind not in rule.kinds:
        fits = ", ".join(sorted(rule.kinds))
        raise CompositeError(f"{node} is of kind {info.kind}, but {rule} is for {fits}; choose another rule for it")
    if not isinstance(rule, LinearRule):
        return Step(node, info, rule)
    inputs_nonnegative = all(name in nonnegative for name in node.inputs)
    weights_nonnegative = info.kind in ("sum", "average")
    weights_are_ones = isinstance(node.layer, Sum)
    if isinstance(node.layer, Interpolation) and not node.layer.is_convex:
        weights_nonnegative = False
    has_bias = isinstance(node.layer, Affine) or getattr(node.layer, "bias", None) is not None
    groups = []
    for group in rule.groups():
        planned = simplified(group, inputs_nonnegative, weights_nonnegative, weights_are_ones, has_bias)
        if planned is None:
            continue
        if info.kind in ("sum", "average") and any(term.weight != AS_IS for term in planned.terms):
            raise CompositeError(f"{rule} changes weights, and {node} has none; give it Norm()")
        groups.append(_with_fixed_inputs(planned, graph, node))
    return Step(node, info, rule, tuple(groups))


def simplified(
    group: Group, inputs_nonnegative: bool, weights_nonnegative: bool, weights_are_ones: bool, has_bias: bool
) -> PlannedGroup | None:
    """A group without the terms that are zero, the others in their simplest form; None if nothing is left."""
    terms: list[Term] = []
    for term in group.terms:
        weight: WeightPart = term.weight
        part: InputPart = term.input
        if isinstance(part, Part) and inputs_nonnegative:
            part = part.of_nonnegative()
        if isinstance(weight, Part) and weights_nonnegative:
            weight = weight.of_nonnegative()
        if weight == "ones" and weights_are_ones:
            weight = AS_IS
        if any(isinstance(factor, Part) and factor.vanishes for factor in (weight, part)):
            continue
        twin = _mergeable(terms, weight, part)
        if twin is not None and isinstance(part, Part):
            merged = terms.pop(twin).input
            assert isinstance(merged, Part)
            part = merged + part
        terms.append(Term(weight, part))
    if not terms:
        return None
    bias = group.bias if has_bias else NOTHING
    return PlannedGroup(tuple(terms), bias, group.gate, group.share, _denominator(terms, bias, has_bias))


def _mergeable(terms: list[Term], weight: WeightPart, part: InputPart) -> int | None:
    """Index of a term with the same weights, whose input can take up `part`."""
    for index, term in enumerate(terms):
        if isinstance(part, Part) and isinstance(term.input, Part) and term.weight == weight:
            return index
    return None


def _denominator(terms: list[Term], bias: WeightPart, has_bias: bool) -> Denominator:
    if all(isinstance(term.input, Fixed) for term in terms):
        return "constant"
    as_is = len(terms) == 1 and terms[0] == Term(AS_IS, AS_IS)
    return "forward" if as_is and (bias == AS_IS or not has_bias) else "computed"


def _with_fixed_inputs(group: PlannedGroup, graph: Graph, node: Node) -> PlannedGroup:
    """The group with its fixed inputs in the layout that the node sees, checked against its shape."""
    terms = tuple(
        term
        if isinstance(term.input, Part)
        else Term(term.weight, type(term.input)(_in_layout(term.input.value, graph, node)))
        for term in group.terms
    )
    return replace(group, terms=terms)


def _in_layout(given: npt.ArrayLike, graph: Graph, node: Node) -> np.ndarray:
    """A constant given in the layout of the model's input, as the node sees it."""
    value = np.asarray(given, np.float64)
    first = graph.permuted(graph.input_shape)
    rank = len(first)
    if value.ndim and graph.input_permutation and value.ndim <= rank:
        value = value.reshape((1,) * (rank - value.ndim) + value.shape).transpose(graph.input_permutation)
    seen: tuple[int | None, ...] | None = None  # known at once only for a model of fixed size or its first layers
    if graph.known_shapes is not None:
        seen = graph.known_shapes[node.inputs[0]]
    elif node.inputs[0] == graph.input:
        seen = first
    if seen is not None and not _broadcasts(value.shape, seen):
        shape = ", ".join("any" if size is None else str(size) for size in seen)
        raise CompositeError(f"bounds of shape {value.shape} do not broadcast to the input ({shape}) of {node}")
    return value


def _broadcasts(shape: Shape, target: tuple[int | None, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size == 1 or have in (None, size) for size, have in pairs)
