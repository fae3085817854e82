"""A stack of groups with what depends on weights and shape alone: biases, constant inputs, parts of denominators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrpfast import _native as core
from lrpfast.engine.native.layout import BLOCK, Bench, Floats, in_planes
from lrpfast.engine.native.maps import LinearMap, added, kept
from lrpfast.engine.native.stacks import WHOLE, Stack
from lrpfast.engine.native.weights import whole_blocks
from lrpfast.engine.plan import Denominator
from lrpfast.model.layers import Shape
from lrpfast.rules.terms import AS_IS, InputPart, Part, Shifted

GATES = {"open": core.Gate.open, "z > 0": core.Gate.positive, "z < 0": core.Gate.negative}


@dataclass(frozen=True, eq=False)
class PreparedStack:
    """A stack of groups with its biases, and what of it is constant: inputs, and their share of the denominators."""

    stack: Stack
    denominator: Denominator
    shares: list[tuple[core.Gate, float]]
    channels: int  # of quotients, all groups together
    bias: Floats | None
    within: Floats | None  # what of the bias is in what the denominators are made of
    shift: core.Tensor | None  # a bias that is a map; it is in the denominators, and absorbs
    fixed: tuple[core.Tensor | None, ...]  # for each part its value, or what is added to the input; or one row of it
    constant: core.Tensor | None
    spreads: tuple[tuple[int, ...], ...]  # parts, and which of them are handed down to together

    @property
    def is_flat(self) -> bool:
        """Whether relevance of all channels is added up first."""
        return self.stack.is_flat and self.channels == 1

    @property
    def takes_own(self) -> bool:
        """Whether denominators are made of the layer's own values."""
        return self.denominator == "forward" or self.stack.mix is not None

    def taken(self, parts: Sequence[int]) -> list[tuple[float, float, core.Tensor | None]]:
        """What parts of an input multiply with on the way back: factors of its positive and its negative values, and
        what is added to them.
        """
        found: list[tuple[float, float, core.Tensor | None]] = []
        for index in parts:
            part, fixed = self.stack.parts[index], self.fixed[index]
            if isinstance(part, Part):
                found.append((part.positive, part.negative, None))
            else:
                found.append((1, 1, fixed) if isinstance(part, Shifted) else (0, 0, fixed))
        return found


def prepare_stack(stack: Stack, linear: LinearMap, bench: Bench, shape: Shape, image: bool = False) -> PreparedStack:
    """A stack of a layer whose input has samples of `shape`, with the weights packed that it needs.

    Constants go with the input on the way back, so they are in planes if that is an `image`.
    """
    out = linear.out_shape
    flat = stack.is_flat and linear.together
    each = whole_blocks(out[0], len(stack.groups))
    channels = 1 if flat else len(stack.groups) * each
    denominator = denominator_of(stack, linear)
    if denominator == "computed":
        linear.prepare(stack.free()[0], False)
    every = tuple(range(len(stack.parts)))
    spreads = (every,) if linear.spreads_at_once(stack.blocks) else tuple((part,) for part in every)
    for parts in spreads:
        linear.prepare(stack.columns(parts), True)
    biases = [linear.bias(group.bias) for group in stack.groups]
    shift = biases[0] if isinstance(biases[0], core.Tensor) else None
    own = [1.0] if denominator == "forward" else [of_own for of_own, _ in stack.mix or ()]
    bias = within = None
    if not flat and shift is None:
        bias, within = _joined(biases, each), _joined([_times(factor, linear.bias(AS_IS)) for factor in own], each)
        if bias is None and within is not None:  # denominators without the bias, made of values with it
            bias = np.zeros_like(within)
    constants = [_constant_input(part) for part in stack.parts]
    return PreparedStack(
        stack,
        denominator,
        [(GATES[group.gate], group.share) for group in stack.groups],
        channels,
        bias,
        within,
        shift,
        tuple(None if value is None else _for_contributions(bench, value, shape, image) for value in constants),
        _constant(stack, constants, shift if denominator != "forward" else None, linear, bench, shape, channels),
        spreads,
    )


def denominator_of(stack: Stack, linear: LinearMap) -> Denominator:
    """Where the denominators come from: if the layer's own values lack a constant only, from the forward pass."""
    shifted = any(isinstance(part, Shifted) for part in stack.parts)
    if shifted and stack.free() == (WHOLE, [AS_IS]) and not isinstance(linear.bias(AS_IS), core.Tensor):
        return "forward"
    return stack.groups[0].denominator


def _times(factor: float, bias: Floats | core.Tensor | None) -> Floats | None:
    return np.float32(factor) * bias if isinstance(bias, np.ndarray) else None


def _constant_input(part: InputPart) -> Floats | None:
    """A fixed input, or what is added to a shifted one."""
    if isinstance(part, Part):
        return None
    value = np.asarray(part.value, np.float32)
    return -value if isinstance(part, Shifted) else value


def _for_contributions(bench: Bench, value: Floats, shape: Shape, image: bool) -> core.Tensor:
    """A constant input of samples of that shape: if all rows are the same, one, which stays in the cache."""
    if len(shape) > 2 and (value.ndim < 2 or value.shape[-2] == 1):
        shape = (*shape[:-2], 1, shape[-1])
    whole = np.broadcast_to(value, shape)[np.newaxis]
    return bench.loaded(in_planes(whole) if image else whole)


def _joined(biases: list[Floats | core.Tensor | None], channels: int) -> Floats | None:
    """The biases of all groups behind one another, or None if there are none."""
    if all(bias is None for bias in biases):
        return None
    nothing = np.zeros(-(-channels // BLOCK) * BLOCK, np.float32)
    return np.concatenate([bias if isinstance(bias, np.ndarray) else nothing for bias in biases])


def _constant(
    stack: Stack,
    constants: list[Floats | None],
    shift: core.Tensor | None,
    linear: LinearMap,
    bench: Bench,
    in_shape: Shape,
    channels: int,
) -> core.Tensor | None:
    """The part of the denominators that does not depend on the input, but for biases that are lanes; one sample."""
    total, shape = None, (channels, *linear.out_shape[1:])
    for index, constant in enumerate(constants):
        if constant is None:
            continue
        a = bench.loaded(np.broadcast_to(constant, in_shape)[np.newaxis], linear.halo)
        blocks = stack.columns([index])
        linear.prepare(blocks, False)
        value = bench.tensor(1, shape)
        linear.evaluate(bench, blocks, [Part(1, 1)], [a] * linear.branches, kept(value))
        total = value if total is None else added(bench, total, value)
    if shift is not None:
        value = bench.tensor(1, shape)
        bench.add(core.affine(shift, None, None, value))
        total = value if total is None else added(bench, total, value)
    return total
