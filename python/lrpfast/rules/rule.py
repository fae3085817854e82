"""What a relevance rule is."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar

import numpy as np

from lrpfast.errors import CompositeError
from lrpfast.model.layers import KINDS, Kind
from lrpfast.rules.terms import Group

#: kinds of layers that are linear maps, so that a rule made of terms applies
LINEAR_KINDS: frozenset[Kind] = frozenset({"conv", "dense", "affine", "sum", "average"})


class Rule:
    """Base of all rules: immutable data that says how a layer hands relevance down.

    `kinds` are the kinds of layers that the rule fits; `formula` is shown in tables, `where` says what its
    letters stand for, and `reference` names the paper.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset(KINDS)
    formula: ClassVar[str]
    where: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def __str__(self) -> str:
        shown = []
        for item in fields(self):  # type: ignore[arg-type]  # every rule is a dataclass
            value = getattr(self, item.name)
            if _same(value, item.default):
                continue
            shown.append(f"{item.name}={_brief(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


class LinearRule(Rule):
    """Base of the rules that divide relevance by contribution: groups of terms and a stabilizer."""

    kinds: ClassVar[frozenset[Kind]] = LINEAR_KINDS

    @property
    def stabilizer(self) -> float:
        """Distance that every denominator is moved away from zero, in the units of the layer's output."""
        raise NotImplementedError

    def groups(self) -> tuple[Group, ...]:
        """The rule in terms of the algebra."""
        raise NotImplementedError


def _same(value: object, default: object) -> bool:
    return not isinstance(value, np.ndarray) and value == default


def _brief(value: object) -> str:
    if isinstance(value, np.ndarray):
        if value.size > 1:
            return f"<{'x'.join(map(str, value.shape))} in {value.min():.4g}..{value.max():.4g}>"
        value = value.item()
    return f"{value:.6g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def require(condition: bool, rule: Rule, demand: str) -> None:
    """Refuse parameters of a rule that make no sense."""
    if not condition:
        raise CompositeError(f"{rule}: {demand}.")


def require_stabilizer(rule: Rule, value: float) -> None:
    """Refuse a stabilizer that is negative or not finite."""
    require(bool(np.isfinite(value)) and value >= 0, rule, "the stabilizer must be finite and >= 0")
