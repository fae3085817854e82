"""Tables of the documentation, made from the code as Markdown, so that they say what the code does.

``python docs/tables.py NAME`` prints one of them: such as ``rules`` or ``operators``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from types import CodeType
from typing import Any

import onnx
import typer

from lrpfast import composites, rules
from lrpfast.app.commands import app
from lrpfast.composites import OfKind
from lrpfast.model.layers import KINDS, Layer
from lrpfast.model.onnx_import.registry import IMPORTERS
from lrpfast.model.onnx_import.source import OLDEST_OPSET


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def summary(thing: object) -> str:
    """First paragraph of a docstring on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def kinds_text(kinds: Iterable[str]) -> str:
    """Kinds of layers in the order that the model names them in."""
    found = [kind for kind in KINDS if kind in set(kinds)]
    return "all" if len(found) == len(KINDS) else ", ".join(found)


def rule_table() -> str:
    """Every rule, its formula and reference, and the kinds of layers that it fits."""
    found = [getattr(rules, name) for name in rules.__all__]
    rows = [
        (f"[`{rule.__name__}`](#lrpfast.rules.{rule.__name__})", formula_text(rule), kinds_text(rule.kinds))
        for rule in found
        if hasattr(rule, "formula")
    ]
    return table(("rule", "relevance of the input", "layers"), rows)


def formula_text(rule: type[rules.Rule]) -> str:
    """A rule's formula, and on lines of their own what its letters stand for and where it is from."""
    formulas = [f"`{part}`" for text in (rule.formula, rule.where) for part in text.split(",  ") if part]
    return "<br>".join([*formulas, *([f"*{rule.reference}*"] if rule.reference else [])])


def preset_table() -> str:
    """Every preset, the rules that it gives to layers, and its parameters."""
    rows = []
    for name, factory in composites.PRESETS.items():
        takes = inspect.signature(factory).parameters
        composite = factory(**{key: 0.0 for key in ("low", "high") if key in takes})
        given = [f"{match_text(match)}: {rule}" for match, rule in composite.entries]
        entries = "; ".join(given).replace("ZBox(low=0, high=0)", "ZBox(low, high)")
        rows.append((f"`{name}`", f"`{factory.__name__}`", entries, ", ".join(map(parameter_text, takes.values()))))
    return table(("preset", "in `lrpfast.composites`", "rules", "parameters"), rows)


def factory_text() -> str:
    """The factories of presets, for the API reference."""
    names = [f".. autofunction:: {factory.__name__}" for factory in composites.PRESETS.values()]
    return "\n".join(["```{eval-rst}", *names, "```"])


def match_text(match: object) -> str:
    """A condition; "others" for one that every layer meets."""
    return "others" if isinstance(match, OfKind) and kinds_text(match.kinds) == "all" else str(match)


def parameter_text(parameter: inspect.Parameter) -> str:
    """A parameter and its default."""
    return f"`{parameter.name}`" if parameter.default is parameter.empty else f"`{parameter.name}={parameter.default}`"


def operator_tables() -> str:
    """Every operator, by the file that reads it: its operator sets, what it can become, and how it is read."""
    parts = []
    for module, entries in groupby(IMPORTERS.items(), key=lambda entry: inspect.getmodule(entry[1])):
        rows = [
            (f"`{name}`", operator_sets(name), kinds_text(becomes(function)) or "nothing", summary(function))
            for name, function in sorted(entries)
        ]
        title = summary(module).split(":")[0].rstrip(".")
        parts += [f"**{title}**", table(("operator", "operator sets", "can become", "read as"), rows)]
    return "\n\n".join(parts)


def operator_sets(name: str) -> str:
    """The operator sets that have an operator, from the oldest that is read on."""
    domain, _, operator = name.rpartition(".")
    if domain == "com.microsoft":
        return "onnxruntime's"
    history = onnx.defs.get_all_schemas_with_history()
    found = [schema for schema in history if (schema.domain, schema.name) == (domain, operator)]
    versions = sorted((schema.since_version, schema.deprecated) for schema in found)
    oldest = versions[0][0] if domain else max(versions[0][0], OLDEST_OPSET)
    newest, is_gone = versions[-1]
    return f"{oldest} to {newest - 1}" if is_gone else f"{oldest}+"


def becomes(function: Callable[..., Any]) -> set[str]:
    """Kinds of the layers that an importer can make, itself or by functions that it calls."""
    found: set[str] = set()
    seen, waiting = set(), [function]
    while waiting:
        maker = waiting.pop()
        seen.add(maker)
        for name in names(maker.__code__):
            thing = maker.__globals__.get(name)
            if inspect.isclass(thing) and issubclass(thing, Layer) and hasattr(thing, "kind"):
                found.add(thing.kind)
            elif inspect.isfunction(thing) and "onnx_import" in thing.__module__ and thing not in seen:
                waiting.append(thing)
    return found


def names(code: CodeType) -> Iterator[str]:
    """Names that a function uses, and functions inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names(constant)


def command_text() -> str:
    """Every command: what it does, how it is called, its options, and examples."""
    group = typer.main.get_command(app)
    parts = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        context = typer.Context(command, info_name=f"lrpfast {name}")
        usage = re.sub("[{}]", "", " ".join(command.collect_usage_pieces(context)))
        records = [parameter.get_help_record(context) for parameter in command.params]
        rows = [(f"`{left}`", text_of(right)) for left, right in filter(None, records)]
        call = f"```text\nlrpfast {name} {usage}\n```"
        examples = "\n".join(["```bash", *command.examples, "```"])
        what = with_options(inspect.cleandoc(command.help or ""))
        parts += [f"## {name}", what, call, table(("argument or option", "meaning"), rows), examples]
    return "\n\n".join(parts)


def text_of(help_text: str) -> str:
    """The help of an option on one line, its default between round brackets."""
    words = re.sub(r"\[default: \((.*?)\)", r"[default: \1", " ".join(help_text.split()))
    return with_options(words.replace("[", "(").replace("]", ")"))


def with_options(text: str) -> str:
    """A text that speaks of options, with these as code."""
    return re.sub(r"(?<!\S)--[a-z-]*[a-z]", r"`\g<0>`", text)


TABLES: dict[str, Callable[[], str]] = {
    "rules": rule_table,
    "presets": preset_table,
    "factories": factory_text,
    "operators": operator_tables,
    "commands": command_text,
}

if __name__ == "__main__":
    print(TABLES[sys.argv[1]]())
