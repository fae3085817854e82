"""Groups of a rule that run together, as one block matrix of weights.

``z = M x`` where row g of M belongs to a group and column p to a part of the input: what would be several
convolutions with the same geometry is one, with more outputs or more inputs. Back, the blocks of a column hand
down to one part: ``R += x_p . (sum_g M_gp' s_g)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from lrpfast.engine.plan import PlannedGroup
from lrpfast.rules.terms import AS_IS, NEGATIVE, NOTHING, POSITIVE, InputPart, Part, Shifted, WeightPart


@dataclass(frozen=True)
class BySign:
    """Two modifications: one where the weights meet values above zero, the other for values below."""

    positive: Part
    negative: Part


#: a modification of the weights, or None for zeros
Block: TypeAlias = WeightPart | BySign | None
Blocks: TypeAlias = tuple[tuple[Block, ...], ...]

#: the forward pass
WHOLE: Blocks = ((AS_IS,),)

FLAT: Blocks = (("ones",),)


@dataclass(frozen=True, eq=False)
class Stack:
    """Some groups, the distinct parts of the input that they take, and ``blocks[group][part]``."""

    groups: tuple[PlannedGroup, ...]
    parts: tuple[InputPart, ...]
    blocks: Blocks
    #: whether relevance is zero where the layer's own values, whose bias the groups share, are not positive
    positive_only: bool = False

    def columns(self, parts: Sequence[int]) -> Blocks:
        """The blocks of some of the parts."""
        return tuple(tuple(row[part] for part in parts) for row in self.blocks)

    def free(self) -> tuple[Blocks, list[Part]]:
        """What of the denominators depends on the input: blocks, and the parts of the input that they meet.

        Shifted inputs are the input itself and a constant: ``W (x - c) = W x - W c``.
        """
        if any(isinstance(part, Shifted) for part in self.parts):
            (row,) = self.blocks
            weights = [block for block in row if isinstance(block, Part)]
            return ((sum(weights, NOTHING),),), [AS_IS]
        free = {index: part for index, part in enumerate(self.parts) if isinstance(part, Part)}
        parts = list(free.values())
        if self.mix is not None:
            row = self.blocks[0]
            return (tuple(_negative_contributions(*pair) for pair in zip(parts, row, strict=True)),), parts
        return self.columns(list(free)), parts

    @cached_property
    def mix(self) -> tuple[tuple[float, float], ...] | None:
        """The denominators as multiples of the layer's own values and of the negative contributions, for each group.

        With ``z- = W- x+ + W+ x-`` those of ``(p W+ + n W-) x+ + (n W+ + p W-) x-`` are ``p z + (n - p) z-``. Where
        relevance comes both have one sign, so nothing cancels; and z is there already. None: not of this form, or a
        group alone, whose denominators are no cheaper this way.
        """
        if len(self.groups) == 1 or not set(self.parts) <= {AS_IS, POSITIVE, NEGATIVE}:
            return None
        mix = []
        for group, entries in zip(self.groups, self.entries, strict=True):
            found = {_for_positive(block, part) for part, block in entries}
            only = found.pop()
            if found or only is None or min(only.positive, only.negative) < 0:
                return None
            more = only.negative - only.positive
            above = (self.positive_only or group.gate == "z > 0") and more <= 0
            below = group.gate == "z < 0" and more >= 0
            if not (above or below or (self.positive_only and only.positive == 0)):
                return None
            mix.append((only.positive, more))
        return tuple(mix)

    @property
    def entries(self) -> list[list[tuple[InputPart, Block]]]:
        """For each group the parts of the input and their weights, positive and negative values one by one."""
        found = []
        for row in self.blocks:
            entries: list[tuple[InputPart, Block]] = []
            for part, block in zip(self.parts, row, strict=True):
                if isinstance(block, BySign):
                    entries += [(POSITIVE, block.positive), (NEGATIVE, block.negative)]
                else:
                    entries.append((part, block))
            found.append(entries)
        return found

    @property
    def is_flat(self) -> bool:
        """Whether every weight counts as one, so that relevance of all channels may be added up first."""
        return self.blocks == FLAT


def mirrored(blocks: Blocks) -> list[tuple[float, float]] | None:
    """For each row the factors of weights that have the sign of what they meet, and of the others; None: it has no such
    factors, or there are several columns.
    """
    factors = []
    for block, *others in blocks:
        if others or not isinstance(block, BySign):
            return None
        same, other = block.positive.positive, block.positive.negative
        if block.negative != Part(other, same):
            return None
        factors.append((same, other))
    return factors


def _for_positive(block: Block, part: InputPart) -> Part | None:
    """What the weights of a part of the input would be for its positive part; None for special weights."""
    if not isinstance(block, Part):
        return None
    return Part(block.negative, block.positive) if part == NEGATIVE else block


def _negative_contributions(part: InputPart, block: Block) -> Block:
    """The weights of the negative contributions of a part of the input."""
    if isinstance(block, BySign):
        return BySign(NEGATIVE, POSITIVE)
    return POSITIVE if part == NEGATIVE else NEGATIVE


def stacked(groups: tuple[PlannedGroup, ...], together: bool, by_sign: bool, positive_only: bool) -> tuple[Stack, ...]:
    """The groups in stacks; whether the layer can run several groups at once, and has weights by sign."""
    fits = [group for group in groups if together and _fits(group)]
    rest = [group for group in groups if group not in fits]
    stacks = [_stack(members, positive_only) for members in [tuple(fits), *((group,) for group in rest)] if members]
    return tuple(_by_sign(stack) if by_sign else stack for stack in stacks)


def _fits(group: PlannedGroup) -> bool:
    return group.denominator == "computed" and all(isinstance(term.input, Part) for term in group.terms)


def _stack(groups: tuple[PlannedGroup, ...], positive_only: bool) -> Stack:
    parts = tuple(dict.fromkeys(term.input for group in groups for term in group.terms))
    rows = []
    for group in groups:
        found = {term.input: term.weight for term in group.terms}
        rows.append(tuple(found.get(part) for part in parts))
    return Stack(groups, parts, tuple(rows), positive_only)


def _by_sign(stack: Stack) -> Stack:
    """The same for both signs of the input at once, where its positive and its negative part have weights."""
    if set(stack.parts) != {POSITIVE, NEGATIVE}:
        return stack
    blocks = []
    for row in stack.blocks:
        found = dict(zip(stack.parts, row, strict=True))
        positive, negative = (found[part] or NOTHING for part in (POSITIVE, NEGATIVE))
        if not isinstance(positive, Part) or not isinstance(negative, Part):
            return stack
        blocks.append((BySign(positive, negative),))
    return replace(stack, parts=(AS_IS,), blocks=tuple(blocks))
