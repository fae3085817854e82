"""The command `rules`: what there is to choose from, as the rules themselves say it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lrpfast import rules
from lrpfast.app.report import write_json
from lrpfast.errors import CompositeError
from lrpfast.model.layers import KINDS
from lrpfast.rules import Rule

#: What the letters of formulas mean.
LEGEND = (
    "R: relevance at the layer's output. x: its input. W, b: its weights and bias. W+, W-: its positive and "
    "negative part, and so with x and b. W': the transposed map. A: sum or average. J: Jacobian. z = Wx + b. "
    "stab(z): z moved away from zero by the stabilizer. 1: ones in place of weights or input. l, h: low, high."
)

#: All rules by their names.
RULES: dict[str, type[Rule]] = {
    name: kind
    for name, kind in vars(rules).items()
    if isinstance(kind, type) and issubclass(kind, Rule) and is_dataclass(kind)
}


def run_rules(names: Sequence[str], as_json: bool) -> None:
    """Print some rules, or all."""
    chosen = [find_rule(name) for name in names] or sorted(RULES)
    if as_json:
        write_json([rule_figures(name) for name in chosen])
    else:
        print_rules(Console(highlight=False), chosen)


def find_rule(name: str) -> str:
    """The name of a rule, in whatever case; CompositeError where there is none of that name."""
    by_folded = {known.casefold(): known for known in RULES}
    if name.casefold() not in by_folded:
        close = [by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)]
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise CompositeError(f"There is no rule '{name}'. {hint}The rules are: {', '.join(sorted(RULES))}.")
    return by_folded[name.casefold()]


def rule_figures(name: str) -> dict[str, Any]:
    """What a rule says of itself, for a program to read; a parameter without a default is None."""
    rule = RULES[name]
    return {
        "name": name,
        "summary": summary(rule),
        "formula": rule.formula,
        "where": rule.where or None,
        "parameters": parameters(rule),
        "layers": [kind for kind in KINDS if kind in rule.kinds],
        "reference": rule.reference or None,
    }


def print_rules(console: Console, names: Sequence[str]) -> None:
    """A table of rules: their parameters below the name, the rest beside it."""
    table = two_columns()
    for name in names:
        rule = RULES[name]
        right = Text(f"{summary(rule)}\n")
        for part in ",  ".join(filter(None, (rule.formula, rule.where))).split(",  "):
            right.append(f"{part}\n", "cyan")
        kinds = [kind for kind in KINDS if kind in rule.kinds]
        right.append(f"for {'all layers' if len(kinds) == len(KINDS) else ', '.join(kinds)}\n")
        right.append(f"{rule.reference}\n" if rule.reference else "", "dim")
        table.add_row(titled(name, parameters(rule)), right)
    console.print(table)
    console.print(Text(LEGEND, style="dim"))


def two_columns() -> Table:
    """A table for names with their parameters, and what there is to say beside them."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    return table


def titled(name: str, given: Mapping[str, Any], note: str = "") -> Text:
    """A name, with a parameter and its default on each line below."""
    lines = [parameter if default is None else f"{parameter}={default}" for parameter, default in given.items()]
    return Text.assemble((name, "bold"), (note, "dim"), *((f"\n  {line}", "dim") for line in lines))


def parameters(factory: Callable[..., Any]) -> dict[str, Any]:
    """Parameters of a rule or preset and their defaults, None for those that must be given."""
    given = inspect.signature(factory).parameters.values()
    return {item.name: None if item.default is item.empty else item.default for item in given}


def summary(documented: object) -> str:
    """The first paragraph of a docstring in plain words, without a formula after a colon."""
    first = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    words = re.sub(r":\s*``[^`]*``", "", first)
    return " ".join(re.sub("[`*]", "", words).split())
