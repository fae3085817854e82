"""Comparisons, what is made of their outcomes, and choices between values by them.

An outcome is a number, 1 for true and 0 for false: a gate. What chooses by it is then a product of signal and gate.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from lrpfast.errors import UnsupportedError
from lrpfast.model.layers import Activation, Affine, Array, Gate, Layer, Sum
from lrpfast.model.onnx_import.arithmetic import ONE, ZERO, joined, repeated_to_output
from lrpfast.model.onnx_import.registry import Join, Operation, importer
from lrpfast.model.onnx_import.shaping import FLOATS

NOT = Affine(-ONE, ONE)

#: the largest slope of a step, and the power of two that stays finite with it in float32
STEEPEST, FINITE = 100, 126


def step(level: float, rising: bool = True, inclusive: bool = False) -> Activation:
    """1 above `level`, or below it, and at it if `inclusive`, else 0.

    It is a hard sigmoid that rises between two neighbouring floats: the slope is a power of two, so that its product
    is exact, and larger than the inverse of what neighbours differ by.
    """
    slope = 2.0 ** min(STEEPEST, FINITE - math.frexp(level)[1])
    shift = -level * slope if rising else level * slope
    if inclusive:
        shift = float(np.nextafter(np.float32(shift), np.float32(np.inf))) if level else 2.0
    return Activation("hard_sigmoid", alpha=slope if rising else -slope, beta=shift)


#: for each comparison whether it holds above the level, and whether at it
COMPARISONS = {
    "Greater": (True, False),
    "GreaterOrEqual": (True, True),
    "Less": (False, False),
    "LessOrEqual": (False, True),
}


@importer(*COMPARISONS)
def compare(op: Operation) -> list[Layer | Join]:
    """Of an activation with a constant, or of two activations."""
    rising, inclusive = COMPARISONS[op.node.op_type]
    if len(op.activations) > 1:
        return [joined(op, Sum(), signs=(1, -1)), step(0.0, rising, inclusive)]
    if op.is_constant(0):
        rising = not rising
    constant = _compared(op)
    if constant.size == 1:
        return [step(float(constant.reshape(())), rising, inclusive)]
    return [Affine(ONE, -constant), step(0.0, rising, inclusive)]


@importer("Equal")
def equal(op: Operation) -> list[Layer | Join]:
    """No difference in either direction."""
    several = len(op.activations) > 1
    difference = joined(op, Sum(), signs=(1, -1)) if several else Affine(ONE, -_compared(op))
    return [difference, Activation("abs"), step(0.0), NOT]


def _compared(op: Operation) -> Array:
    """The constant that an activation is compared with."""
    return op.per_sample(op.required(0 if op.is_constant(0) else 1))


@importer("Sign")
def sign(op: Operation) -> list[Layer | Join]:
    """One step up at zero from below, one from zero."""
    below = (step(0.0, rising=False), Affine(-ONE, ZERO))
    return [Join(((0, (step(0.0),)), (0, below)), Sum())]


@importer("ThresholdedRelu")
def thresholded_relu(op: Operation) -> list[Layer | Join]:
    """What is above a level."""
    return [Join(((0, ()), (0, (step(op.attribute("alpha", 1.0)),))), Gate())]


@importer("Shrink")
def shrink(op: Operation) -> list[Layer | Join]:
    """What is beyond a level on either side, moved towards zero."""
    level, bias = op.attribute("lambd", 0.5), np.asarray(op.attribute("bias", 0.0), np.float32)
    above = Join(((0, (Affine(ONE, -bias),)), (0, (step(level),))), Gate())
    below = Join(((0, (Affine(ONE, bias),)), (0, (step(-level, rising=False),))), Gate())
    return [Join(((above, ()), (below, ())), Sum())]


@importer("Not")
def negation(op: Operation) -> list[Layer]:
    """True for false."""
    return [NOT]


@importer("Cast")
def cast(op: Operation) -> list[Layer]:
    """Nothing between float types, or for an outcome; true for what is not zero."""
    source, target = op.activations[0].dtype, op.attribute("to")
    if target in FLOATS or source == onnx.TensorProto.BOOL:
        return []
    if target == onnx.TensorProto.BOOL:
        return [Activation("abs"), step(0.0)]
    if source in (*FLOATS, onnx.TensorProto.UNDEFINED):
        raise UnsupportedError("it rounds activations to a type that is not floating-point; cast to float instead")
    return []


@importer("And", "Or", "Xor")
def combine(op: Operation) -> list[Layer | Join]:
    """Two outcomes as one."""
    name = op.node.op_type
    if len(op.activations) == 1:
        constant = op.per_sample(op.required(0 if op.is_constant(0) else 1))
        scale, shift = {"And": (constant, ZERO), "Or": (1 - constant, constant), "Xor": (1 - 2 * constant, constant)}[
            name
        ]
        return [Affine(scale, shift)]
    if name == "And":
        return [joined(op, Gate())]
    if name == "Xor":
        return [joined(op, Sum(), signs=(1, -1)), Activation("abs")]
    return [joined(op, Sum()), step(0.0)]


@importer("Where")
def where(op: Operation) -> list[Layer | Join]:
    """One of two values, by the outcome of a comparison or by a constant mask."""
    if op.is_constant(0):
        return _masked(op)
    kept = list(op.activations[1:])
    if not kept:
        yes, no = (op.per_sample(_finite(op, index)) for index in (1, 2))
        return [Affine(yes - no, no)]
    outcome = repeated_to_output(op, op.activations[0])
    gates: list[Join] = []
    for index in (1, 2):
        if not op.is_constant(index):
            number = len(gates) + 1
            signal = repeated_to_output(op, op.activations[number])
            chosen = (*outcome, *([] if index == 1 else [NOT]))
            gates.append(Join(((number, tuple(signal)), (0, chosen)), Gate()))
    if len(gates) == 2:
        return [Join(((gates[0], ()), (gates[1], ())), Sum())]
    place = 1 if op.is_constant(1) else 2
    filling = op.per_sample(_finite(op, place))
    if not filling.any():
        return [gates[0]]
    # What fills in is no contribution of the signal, but shifts it, as a gate does that is added.
    filler = (*outcome, *([] if place == 1 else [NOT]), Affine(filling, ZERO))
    return [Join(((gates[0], ()), (0, filler)), Gate("plus"))]


def _masked(op: Operation) -> list[Layer | Join]:
    """The same by a constant mask."""
    mask = op.per_sample(op.required(0))
    if len(op.activations) == 2:
        if mask.all() or not mask.any():
            return [Join(((0 if mask.all() else 1, ()),), Affine(ONE, ZERO))]
        sides = zip(op.activations, (mask, 1 - mask), strict=True)
        branches = [(i, (*repeated_to_output(op, value), Affine(kept, ZERO))) for i, (value, kept) in enumerate(sides)]
        return [Join(tuple(branches), Sum())]
    kept, place = (mask, 2) if op.is_constant(2) else (1 - mask, 1)
    return [] if kept.all() else [Affine(kept, (1 - kept) * op.per_sample(_finite(op, place)))]


def _finite(op: Operation, index: int) -> Array:
    value = op.input(index)
    if value is not None and value.constant is not None and not np.isfinite(value.constant).all():
        raise UnsupportedError("it fills in infinity or NaN; fill in a number, as large as it need be")
    return op.required(index)
