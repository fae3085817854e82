"""The command `composites`: the presets, and which rule each kind of layer gets under them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from lrpfast.app.report import plain_table, say, write_json
from lrpfast.app.rules import LEGEND, parameters, summary, titled, two_columns
from lrpfast.app.samples import composite_with, require_preset
from lrpfast.composites import PRESETS, Composite
from lrpfast.composites.composite import DEFAULTS
from lrpfast.rules import Rule

DEFAULT = "epsilon_plus_flat"

#: Bounds of the input that presets are shown with.
LOW, HIGH = 0.0, 1.0

BOUNDS = "low and high are the bounds of the input, shown for 0 and 1; explain takes them from --preprocess."


def run_composites(name: str | None, as_json: bool) -> None:
    """Print one preset in full, or all."""
    if name is not None:
        require_preset(name)
    console = Console(highlight=False)
    if as_json:
        write_json([figures(each) for each in PRESETS] if name is None else figures(name))
    elif name is None:
        print_presets(console)
    else:
        print_preset(console, name)


def figures(name: str) -> dict[str, Any]:
    """A preset for a program to read; a parameter without a default is None, `others` is what no entry speaks of."""
    composite = composite_with(name, LOW, HIGH)
    return {
        "name": name,
        "default": name == DEFAULT,
        "summary": summary(PRESETS[name]),
        "parameters": parameters(PRESETS[name]),
        "entries": [
            {"layers": str(match), "rule": str(rule), "formula": rule.formula} for match, rule in composite.entries
        ],
        "others": {kind: str(rule) for kind, rule in others(composite).items()},
        "seed": composite.seed,
        "times_input": composite.times_input,
    }


def others(composite: Composite) -> dict[str, Rule]:
    """The rules of kinds of layers that no entry speaks of as such."""
    spoken_of = {kind for match, _ in composite.entries for kind in getattr(match, "kinds", ())}
    return {kind: rule for kind, rule in DEFAULTS.items() if kind not in spoken_of}


def print_presets(console: Console) -> None:
    """A table of presets: their parameters below the name, conditions and rules beside it."""
    table = two_columns()
    for name, factory in PRESETS.items():
        composite = composite_with(name, LOW, HIGH)
        right = Text(f"{summary(factory)}\n")
        for match, rule in composite.entries:
            right.append_text(Text.assemble(f"{match}: ", (str(rule), "cyan"), "\n"))
        table.add_row(titled(name, parameters(factory), " (default)" if name == DEFAULT else ""), right)
    console.print(table)
    say(console, f"The first condition that a layer meets decides. {BOUNDS}", "dim")
    say(console, "lrpfast composites PRESET shows one in full, lrpfast rules has the formulas.", "dim")


def print_preset(console: Console, name: str) -> None:
    """A preset with its formulas, and what becomes of layers that it does not speak of."""
    composite = composite_with(name, LOW, HIGH)
    given = parameters(PRESETS[name])
    console.print(Text.assemble((name, "bold"), f": {summary(PRESETS[name])}\n"))
    headings = ("layers", "rule", "relevance")
    table = plain_table(headings, left=headings, wrapped=headings)
    for match, rule in composite.entries:
        table.add_row(str(match), Text(str(rule), "cyan"), rule.formula.replace(",  ", ",\n"))
    for kind, rule in others(composite).items():
        table.add_row(kind, str(rule), rule.formula, style="dim")
    console.print(table)
    console.print()
    start = "the class's score" if composite.seed == "score" else "1, as for gradients"
    times = " What arrives at the input is multiplied by it." if composite.times_input else ""
    console.print(f"The first condition that a layer meets decides. The pass begins with {start}.{times}")
    shown = ", ".join(key if default is None else f"{key}={default}" for key, default in given.items())
    if shown:
        console.print(Text(f"Parameters: {shown}." + (f" {BOUNDS}" if "low" in given else "")))
    console.print(Text(f"\n{LEGEND}", style="dim"))
