"""Which method computes a layer: measured figures, and the questions that they answer.

Weights may be packed for convolution by definition ("dense"), for Winograd's algorithm, and for visiting only what is
not zero: in general ("skip"), and on the way back to an image of few channels ("patch"). Those of a convolution of an
image in planes ("image") are by definition, too, but of one channel: those of the image are taps.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from lrpfast.engine.native.layout import BLOCK
from lrpfast.engine.plan import Plan, Step
from lrpfast.model.layers import Convolution, Layer, Shape, Weighted, Window

Method: TypeAlias = Literal["dense", "winograd", "skip", "patch", "image"]

#: rows and columns; below, tiles that stick out and the transforms cost what the fewer multiplications save
SMALLEST_FOR_WINOGRAD = 13

#: rows up to which a map counts as small, and weights (not transformed yet) that it is not worth to transform for
SMALL_MAP, MANY_WEIGHTS = 16, 2**20

#: taps of a kernel whose patches are large enough, and the share of values other than zero up to which they pay
SMALLEST_PATCH, PATCHES_BELOW = 25, 0.3

#: values of a map that is larger than the second level cache, and weights that take a part of it
LARGE_MAP, SMALL_WEIGHTS = 2**18, 2**16


def winograd_pays(layer: Layer, shape: Shape) -> bool:
    """Whether a layer is a convolution for Winograd's algorithm, and large enough for it to be faster."""
    if not isinstance(layer, Convolution) or layer.groups != 1:
        return False
    window, out_shape = layer.window, layer.output_shape(shape)
    return (
        window.kernel == (3, 3)
        and window.strides == window.dilations == (1, 1)
        and _pads_within(window, shape[1:], 2)
        and min(shape[0], out_shape[0]) >= BLOCK
        and min(*shape[1:], *out_shape[1:]) >= SMALLEST_FOR_WINOGRAD
        and (out_shape[1] > SMALL_MAP or layer.weight.size <= MANY_WEIGHTS)
    )


def sparse_below(window: Window, size: Shape, targets: int, adjoint: bool, winograd: bool, by_sign: bool) -> float:
    """Where the kernel that skips zeros overtakes the other one, as measured; 0: it does not fit, or never does.

    Beside Winograd's algorithm it is there for the way back alone: relevance is sparser than activations.
    """
    if window.kernel == ():
        return 0.5 if targets >= 64 else 0
    plain = len(window.kernel) == 2 and set(window.dilations) == {1}
    if plain and window.kernel == (3, 3) and window.strides == (1, 1) and _pads_within(window, size, 2):
        if winograd:
            return (0.28 if size[0] <= SMALL_MAP else 0.18 if size[0] <= 32 else 0.14) if adjoint else 0
        return 0.6 if targets >= 48 else 0.4
    pointwise = plain and window.kernel == (1, 1) and _pads_within(window, size, 0)
    if pointwise and (window.strides == (1, 1) or not adjoint):
        if by_sign:
            return 0.8 if targets >= 48 else 0.65 if targets > BLOCK else 0.25
        return 0.75 if targets >= 96 else 0.6 if targets >= 48 else 0.45 if targets >= 32 else 0.3
    return 0


def strips_pay(window: Window, size: Shape, inputs: int, outputs: int) -> bool:
    """Whether a rule is worth running strip by strip: its quotients would not stay in the cache as a whole, and its
    weights do beside a strip.
    """
    plain = window.kernel == (1, 1) and window.strides == (1, 1) and _pads_within(window, size, 0)
    return plain and outputs * math.prod(size) >= LARGE_MAP and inputs * outputs <= SMALL_WEIGHTS


def patches_below(window: Window, size: Shape) -> float:
    """The same for the way back by patches: small ones cost more to add to the image than their zeros save."""
    plain = len(window.kernel) == 2 and set(window.dilations) == {1}
    fits = plain and _pads_within(window, size, min(window.kernel) - 1)
    return PATCHES_BELOW if fits and math.prod(window.kernel) >= SMALLEST_PATCH else 0


def _pads_within(window: Window, size: Shape, most: int) -> bool:
    return all(0 <= pad <= most for pads in window.pads_for(size) for pad in pads)


def roomy_nodes(plan: Plan, shapes: dict[str, Shape], max_memory: int | None) -> set[str]:
    """Names of the layers whose weights may be packed in several ways.

    Weights for Winograd's algorithm take four times the memory of others, and those for skipping zeros come on top.
    Where there is a limit, what is left of it when all weights and the values of a pass have their place goes to the
    layers with the largest maps: they save most for it.
    """
    weighted = [step for step in plan.steps if isinstance(step.node.layer, Weighted)]
    if max_memory is None:
        return {step.node.name for step in weighted}
    values = 4 * sum(math.prod(shape) for shape in shapes.values())
    left = max_memory - sum(_weight_bytes(step) for step in weighted) - values
    roomy = set()
    for step in sorted(weighted, key=lambda step: -math.prod(shapes[step.node.output][1:])):
        layer = step.node.layer
        more = (4 if winograd_pays(layer, shapes[step.node.inputs[0]]) else 1) * _weight_bytes(step)
        if more <= left:
            left -= more
            roomy.add(step.node.name)
    return roomy


def _weight_bytes(step: Step) -> int:
    """Bytes of the packed weights of a step, for all terms and both directions."""
    layer = step.node.layer
    if not isinstance(layer, Weighted):
        return 0
    terms = sum(2 * len(group.terms) for group in step.groups)
    return 4 * layer.weight.size * (1 + terms)
