"""What the texts of options mean, how help pages end, and how a command ends when something fails."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from lrpfast.app.images import PREPROCESSINGS, Preprocessing
from lrpfast.app.options import Preprocess
from lrpfast.errors import LRPError
from lrpfast.view.extras import optional


class _Examples:
    """Ends the help of a command with examples, line by line; how typer breaks an epilog depends on its version."""

    examples: ClassVar[tuple[str, ...]] = ()

    def format_help(self, context: Any, formatter: Any) -> None:
        super().format_help(context, formatter)  # type: ignore[misc]  # the commands of typer have it
        lines = (typer.style(line, dim=True) if line.startswith("#") else line for line in self.examples)
        formatter.write("".join(f" {line}\n" for line in (typer.style("Examples", bold=True), *lines)))


def command(*examples: str) -> type[TyperCommand]:
    """A kind of command whose help ends with what to type, each after a line in which `#` says what for."""
    return type("Command", (_Examples, TyperCommand), {"examples": examples})


def group(*examples: str) -> type[TyperGroup]:
    """The same for all commands together."""
    return type("Group", (_Examples, TyperGroup), {"examples": examples})


def numbers(option: str, text: str | None, above: float = -math.inf) -> tuple[float, ...] | None:
    """One or three numbers from the text of an option, such as "0.5" or "104,117,123"; None stays None."""
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(above < value < math.inf for value in values):
        bound = f" above {above:g}" if above > -math.inf else ""
        raise typer.BadParameter(f"{option} '{text}': give one number{bound}, or three with commas between them.")
    return values


def scaling(
    preprocess: Preprocess | None, mean: str | None = None, std: str | None = None, bgr: bool | None = None
) -> Preprocessing:
    """What the options of that name ask for together."""
    chosen = PREPROCESSINGS[preprocess.value if preprocess else "0-1"]
    return chosen.adjusted(numbers("--mean", mean), numbers("--std", std, above=0), bgr)


def given(**values: Any) -> dict[str, Any]:
    """Those of some options that the command line gives."""
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def failures(debug: bool) -> Iterator[None]:
    """Turn an error of the package into a paragraph and exit code 1, an interrupt into exit code 130."""
    try:
        with optional("This command"):
            yield
    except LRPError as error:
        if debug:
            raise
        typer.echo(f"lrpfast: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(130) from interrupt


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from lrpfast import __version__

        typer.echo(f"lrpfast {__version__}")
        raise typer.Exit
