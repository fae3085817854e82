"""A composite: which rule each layer gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lrpfast.composites.matching import LayerInfo, Match, OfKind
from lrpfast.errors import CompositeError
from lrpfast.model.layers import Kind
from lrpfast.rules import Gradient, Norm, Pass, Rule

Seed: TypeAlias = Literal["score", "one"]

#: what layers get that no entry speaks of; weighted layers must be spoken of
DEFAULTS: dict[Kind, Rule] = {
    "affine": Pass(),
    "activation": Pass(),
    "sum": Norm(),
    "average": Norm(),
    "max": Gradient(),
    "gate": Pass(),
    "routing": Gradient(),
}


@dataclass(frozen=True)
class Composite:
    """A list of conditions and rules; the first condition that a layer meets decides.

    Parameters
    ----------
    name : str
        Shown in tables and captions.
    entries : sequence of (condition, rule)
        A condition is a kind of layer as a string, or one of the conditions of `lrpfast.composites`:
        `OfKind`, `Named`, `First`, `Last`, `Depth`, `Where`, joined by ``&`` and negated by ``~``. Layers
        without weights that no entry speaks of get: activation, affine and gate `Pass`, sum and average `Norm`, max
        pooling its winner.
    seed : {"score", "one"}
        What a class index puts at the output: the class's score, so that relevance sums to it, or 1, as for
        gradients.
    times_input : bool
        Multiply what arrives at the input by the input.

    Raises
    ------
    CompositeError
        An entry is no pair of a condition and a rule.

    Examples
    --------
    >>> from lrpfast.composites import Composite, First
    >>> from lrpfast.rules import Epsilon, Flat, Gamma
    >>> mine = Composite("mine", [(First(), Flat()), ("conv", Gamma(0.1)), ("dense", Epsilon())])
    """

    name: str
    entries: Sequence[tuple[str | Match, Rule]]
    seed: Seed = "score"
    times_input: bool = False

    def __post_init__(self) -> None:
        if self.seed not in get_args(Seed):
            raise CompositeError(f"Composite '{self.name}': the seed is 'score' or 'one', not {self.seed!r}.")
        object.__setattr__(self, "entries", tuple(self._entry(entry) for entry in self.entries))

    def _entry(self, entry: tuple[str | Match, Rule]) -> tuple[Match, Rule]:
        problem = f"Composite '{self.name}': {entry!r} is no pair of a condition and a rule"
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise CompositeError(f"{problem}; write for example ('conv', ZPlus()).")
        condition, rule = entry
        if isinstance(condition, str):
            try:
                condition = OfKind(condition)  # type: ignore[arg-type]  # it refuses what is no kind
            except CompositeError as error:
                raise CompositeError(f"{problem}: {error}") from None
        if not isinstance(condition, Match) or not isinstance(rule, Rule):
            raise CompositeError(f"{problem}; write for example ('conv', ZPlus()).")
        return condition, rule

    def rule_for(self, layer: LayerInfo) -> Rule | None:
        """The rule of a layer, or None for a weighted layer that no entry speaks of."""
        for match, rule in self.entries:
            assert isinstance(match, Match), "strings are made into conditions at the beginning"
            if match(layer):
                return rule
        return DEFAULTS.get(layer.kind)

    def __str__(self) -> str:
        rows = [("layers", "rule", "relevance")]
        rows += [(str(match), str(rule), rule.formula) for match, rule in self.entries]
        return f"{self.name}\n{table(rows)}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned columns, the first one underlined."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rule = ("-" * width for width in widths)
    lines = [rows[0], tuple(rule), *rows[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
