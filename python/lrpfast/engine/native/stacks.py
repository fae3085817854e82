"""Groups of a rule that run together, as one block matrix of weights.

``z = M x`` where row g of M belongs to a group and column p to a part of the input: what would be several
convolutions with the same geometry is one, with more outputs or more inputs. Back, the blocks of a column hand
down to one part: ``R += x_p . (sum_g M_gp' s_g)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lrpfast.engine.plan import PlannedGroup
from lrpfast.rules.terms import AS_IS, NOTHING, InputPart, Part, Shifted, WeightPart

#: a modification of the weights, or None for zeros
Block: TypeAlias = WeightPart | None
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

    def column(self, part: int) -> Blocks:
        """The blocks of one of the parts."""
        return tuple((row[part],) for row in self.blocks)

    def free(self) -> tuple[Blocks, list[Part]]:
        """What of the denominators depends on the input: blocks, and the parts of the input that they meet.

        Shifted inputs are the input itself and a constant: ``W (x - c) = W x - W c``.
        """
        if any(isinstance(part, Shifted) for part in self.parts):
            weights = [block for (row,) in [self.blocks] for block in row if isinstance(block, Part)]
            return ((sum(weights, NOTHING),),), [AS_IS]
        free = [index for index, part in enumerate(self.parts) if isinstance(part, Part)]
        parts = [part for part in self.parts if isinstance(part, Part)]
        return tuple(tuple(row[index] for index in free) for row in self.blocks), parts

    @property
    def denominator(self) -> str:
        """Where the denominators come from; the same for all groups."""
        return self.groups[0].denominator

    @property
    def is_flat(self) -> bool:
        """Whether every weight counts as one, so that relevance of all channels may be added up first."""
        return self.blocks == FLAT


def stacked(groups: tuple[PlannedGroup, ...], together: bool) -> tuple[Stack, ...]:
    """The groups in stacks; `together` says whether the layer can run several groups at once."""
    fits = [group for group in groups if together and _fits(group)]
    rest = [group for group in groups if group not in fits]
    return tuple(_stack(members) for members in [tuple(fits), *((group,) for group in rest)] if members)


def _fits(group: PlannedGroup) -> bool:
    return group.denominator == "computed" and all(isinstance(term.input, Part) for term in group.terms)


def _stack(groups: tuple[PlannedGroup, ...]) -> Stack:
    parts = tuple(dict.fromkeys(term.input for group in groups for term in group.terms))
    rows = []
    for group in groups:
        found = {term.input: term.weight for term in group.terms}
        rows.append(tuple(found.get(part) for part in parts))
    return Stack(groups, parts, tuple(rows))
