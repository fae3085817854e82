"""Names of classes from a file: lines, numbered lines, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lrpfast.app.classes import Classes
from lrpfast.errors import FileError, InputError

#: "0 name", "0: name", "0,name", "0;name", or a tab between.
NUMBERED = re.compile(r"\s*(\d+)\s*[\s:,;]\s*(\S.*)")

#: WordNet's number ahead of a name of ImageNet: "n02123045 tabby, tabby cat".
WORDNET = re.compile(r"n\d{8}\s+(\S.*)")

#: Names of a class that some files have, and some models have not.
BACKGROUND = ("background", "__background__", "dummy", "???")

#: Numbers of classes (ImageNet, COCO) that models often extend by a background class.
OFTEN_WITH_BACKGROUND = (1000, 80, 90)


def read_labels(path: Path) -> tuple[str, ...]:
    """Names of classes in the order of the model's outputs.

    The file holds a name a line, or lines such as ``0 name`` that number all classes from 0, or JSON: a list of names
    or an object that gives each number its name (``{"0": "cat"}``) or each name its number.

    Raises
    ------
    FileError
        The file cannot be read, or its JSON is something else.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"Cannot read the labels '{path}': it is no text in UTF-8 ({error.reason}).") from error
    except OSError as error:
        raise FileError(f"Cannot read the labels '{path}': {error.strerror}.") from error
    if path.suffix.lower() == ".json":
        return _from_json(path, text)
    lines = [line.strip() for line in text.rstrip().splitlines()]
    return _from_numbered(lines) or _from_wordnet(lines) or tuple(lines)


def match_labels(path: Path, names: tuple[str, ...], count: int) -> Classes:
    """The classes of a model with `count` outputs; InputError where the labels are of another number."""
    if len(names) != count:
        raise InputError(
            f"The labels '{path}' have {len(names)} names, but the model has {count} classes. {_remedy(names, count)}"
        )
    return Classes(count, names)


def _remedy(names: tuple[str, ...], count: int) -> str:
    if len(names) == count + 1 and names[0].casefold() in BACKGROUND:
        return f"Line 1 names a class that the model does not have: '{names[0]}'. Remove that line."
    if len(names) == count - 1 and len(names) in OFTEN_WITH_BACKGROUND:
        return "Models of TensorFlow count a background class first: if this is one, put a line 'background' on top."
    blank = [str(line) for line, name in enumerate(names, 1) if not name]
    if blank:
        return f"Lines without a name count too: line {', '.join(blank[:5])}. Remove them, or use another file."
    return "Give one name per line, in the order of the model's outputs; the first line names class 0."


def _from_numbered(lines: Sequence[str]) -> tuple[str, ...] | None:
    """Names of lines that number all classes from 0, in any order; None where the lines are no such ones."""
    found = [match.groups() for match in map(NUMBERED.fullmatch, filter(None, lines)) if match]
    names = {int(number): name for number, name in found}
    if len(found) < len(list(filter(None, lines))) or sorted(names) != list(range(len(found))):
        return None
    return tuple(names[index] for index in range(len(names)))


def _from_wordnet(lines: Sequence[str]) -> tuple[str, ...] | None:
    """Names behind WordNet's numbers; None where some line has none."""
    found = [WORDNET.fullmatch(line) for line in lines]
    return tuple(match.group(1) for match in found if match) if all(found) else None


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    problem = f"Cannot read the labels '{path}'"
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise FileError(f"{problem}: line {error.lineno} is no JSON ({error.msg}).") from error
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return tuple(content)
    if isinstance(content, dict) and content:
        return _from_object(problem, content)
    raise FileError(f'{problem}: give a list of names, or an object such as {{"0": "cat", "1": "dog"}}.')


def _from_object(problem: str, content: Mapping[str, Any]) -> tuple[str, ...]:
    if all(isinstance(value, int) for value in content.values()):  # as folders of classes are numbered
        content = {str(index): name for name, index in content.items()}
    if all(isinstance(value, list) and value for value in content.values()):  # WordNet's number, name
        content = {index: value[-1] for index, value in content.items()}
    names = []
    for index in range(len(content)):
        name = content.get(str(index))
        if not isinstance(name, str):
            told = "has no name" if name is None else f"is called {name!r}, which is no text"
            raise FileError(
                f"{problem}: class {index} {told}. An object of {len(content)} classes names each from "
                f'"0" to "{len(content) - 1}".'
            )
        names.append(name)
    return tuple(names)
