"""What can be said of a layer without running it: does its rule keep relevance, or does a convention decide?"""

from __future__ import annotations

from lrpfast.check.findings import Account, LayerReport, Verdict
from lrpfast.engine.plan import Step
from lrpfast.model.layers import Activation, Affine
from lrpfast.model.model import kind_text
from lrpfast.rules import Gradient, LinearRule, Pass

#: Functions made of a straight line on either side of zero.
BENT_AT_ZERO = {"relu", "leaky_relu", "abs"}


#: The rule of a layer whose values go into gates alone.
UNREACHED = "gets nothing"


def layer_report(step: Step, reached: bool, account: Account | None) -> LayerReport:
    """What is known of a layer under its rule; whether relevance reaches it, and what was measured there."""
    node = step.node
    rule, verdict = (step.rule_name, verdict_on(step)) if reached else (UNREACHED, ("exact", ""))
    return LayerReport(node.name, node.operator, kind_text(node), rule, *verdict, account)


def verdict_on(step: Step) -> tuple[Verdict, str]:
    """The verdict on a layer under its rule, and the reason where it is not exact."""
    layer, rule = step.node.layer, step.rule
    if layer.kind in ("max", "routing") or isinstance(rule, LinearRule):
        return "exact", ""
    if isinstance(layer, Activation) and layer.function == "relu" and isinstance(rule, Gradient):
        return "exact", ""  # 1 for active units; what the others received is absorbed by the rule
    if not isinstance(rule, Pass):
        return "heuristic", "a gradient, whose sum is not kept"
    if isinstance(layer, Activation):
        if _is_linear_through_zero(layer):
            return "exact", ""
        return "heuristic", f"{layer.function} is not piecewise linear through zero; relevance passes it unchanged"
    if isinstance(layer, Affine):
        if not layer.shift.any():
            return "exact", ""
        return "heuristic", "scale and shift fit into no neighbouring layer; relevance passes them unchanged"
    return "heuristic", "one activation scales or shifts another; the signal takes all relevance, its gate nothing"


def _is_linear_through_zero(layer: Activation) -> bool:
    """Whether the function is linear on either side of zero, as far as it is not cut off, and zero at zero."""
    return layer.function in BENT_AT_ZERO or (layer.function == "clip" and layer.low <= 0 <= layer.high)
