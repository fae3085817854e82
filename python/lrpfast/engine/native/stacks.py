"""Groups of a rule that run together, as one block matrix of weights.

``z = M x`` where row g of M belongs to a group and column p to a part of the input: what would be several
convolutions with the same geometry is one, with more outputs or more inputs. Back, the blocks of a column hand
down to one part: ``R += x_p . (sum_g M_gp' s_g)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from lrpfast.engine.plan import PlannedGroup
from lrpfast.rules.terms import AS_IS, Fixed, InputPart, WeightPart

#: a modification of the weights and its sign, or None for zeros
Block: TypeAlias = tuple[WeightPart, float] | None
Blocks: TypeAlias = tuple[tuple[Block, ...], ...]

#: the forward pass
WHOLE: Blocks = (((AS_IS, 1.0),),)


@dataclass(frozen=True, eq=False)
class Stack:
    """Some groups, the distinct parts of the input that they take, and ``blocks[group][part]``."""

    groups: tuple[PlannedGroup, ...]
    parts: tuple[InputPart, ...]
    blocks: Blocks

    @property
    def free(self) -> list[int]:
        """The parts that depend on the input."""
        return [index for index, part in enumerate(self.parts) if not isinstance(part, Fixed)]

    def columns(self, parts: list[int]) -> Blocks:
        """The blocks of some of the parts."""
        return tuple(tuple(row[part] for part in parts) for row in self.blocks)

    @property
    def denominator(self) -> str:
        """Where the denominators come from; the same for all groups."""
        return self.groups[0].denominator

    @property
    def is_flat(self) -> bool:
        """Whether every weight counts as one, so that relevance of all channels may be added up first."""
        return self.blocks == ((("ones", 1.0),),)


def stacked(groups: tuple[PlannedGroup, ...], together: bool) -> tuple[Stack, ...]:
    """The groups in stacks; `together` says whether the layer can run several groups at once."""
    fits = [group for group in groups if together and _fits(group)]
    rest = [group for group in groups if group not in fits]
    return tuple(_stack(members) for members in [tuple(fits), *((group,) for group in rest)] if members)


def _fits(group: PlannedGroup) -> bool:
    return group.denominator == "computed" and not any(isinstance(term.input, Fixed) for term in group.terms)


def _stack(groups: tuple[PlannedGroup, ...]) -> Stack:
    parts = tuple(dict.fromkeys(term.input for group in groups for term in group.terms))
    rows = []
    for group in groups:
        found = {term.input: (term.weight, term.sign) for term in group.terms}
        rows.append(tuple(found.get(part) for part in parts))
    return Stack(groups, parts, tuple(rows))
