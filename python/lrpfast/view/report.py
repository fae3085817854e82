"""A report: explanations as one HTML file that shows them without anything else, a network least of all."""

from __future__ import annotations

import hashlib
import html
import json
import platform
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from string import Template
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.view.extras import optional
from lrpfast.view.heatmap import Pixels, color_table
from lrpfast.view.maps import grey

Floats = npt.NDArray[np.floating[Any]]

#: Predictions that are listed of a sample.
LISTED = 5

#: Figures of a layer's account, in the order in which the page takes them.
FIGURES = ("received", "handed_down", "bias", "stabilizer", "rule")


class Origin(Protocol):
    """Where an attribution comes from: see `lrpfast.attribution.Origin`."""

    @property
    def model(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def backend(self) -> str: ...
    @property
    def conserves(self) -> bool: ...


class Attributed(Protocol):
    """What a report shows: see `lrpfast.Attribution`."""

    @property
    def relevance(self) -> Floats: ...
    @property
    def output(self) -> Floats: ...
    @property
    def target(self) -> npt.NDArray[Any]: ...
    @property
    def input(self) -> Floats: ...
    @property
    def audit(self) -> Any: ...
    @property
    def channel_axis(self) -> int | None: ...
    @property
    def layers(self) -> dict[str, Floats]: ...
    @property
    def origin(self) -> Origin | None: ...


@dataclass(frozen=True)
class Subject:
    """What is known of a sample besides its attributions.

    `rival` says what its class was told apart from, `words` what one axis holds: tokens, or names of features.
    """

    name: str = ""
    picture: Pixels | None = None
    probabilities: Floats | None = None
    rival: str = ""
    words: Sequence[str] = ()


def make_report(
    attributions: Mapping[str, Attributed],
    labels: Sequence[str] | None = None,
    subjects: Sequence[Subject] = (),
    command: str = "",
    colors: str | None = None,
    made: datetime | None = None,
) -> str:
    """The page for explanations of the same inputs and targets by several methods.

    Parameters
    ----------
    attributions : mapping of str to Attribution
        By the names of the methods; inputs of one, two or three axes besides the channels.
    labels : sequence of str, optional
        Names of the classes.
    subjects : sequence of Subject
        One for each sample, or none.
    command : str
        What made it, as somebody would type it again.
    colors : str, optional
        Colour map that the page begins with; None takes one for the page's light or dark colours.
    made : datetime, optional
        When; None is now.

    Raises
    ------
    InputError
        The attributions are of different inputs or targets, have more than three axes or values that are not finite,
        or there are not as many labels as classes, or words as elements.
    MissingExtraError
        pillow or matplotlib is not installed.
    """
    first = _of_one_kind(attributions)
    if labels is not None and len(labels) != first.output[0].size:
        raise InputError(f"There are {len(labels)} labels for {first.output[0].size} classes; give one for each.")
    origins = [one.origin for one in attributions.values() if one.origin is not None]
    data = {
        "shape": pooled(first.input[0], first.channel_axis).shape,
        "methods": [_method(name, one) for name, one in attributions.items()],
        "samples": [
            _sample(attributions, index, labels, subjects[index] if subjects else Subject())
            for index in range(len(first.input))
        ],
        "colors": None if colors is None else _stops(colors),
        "model": origins[0].model if origins else "",
        "facts": _facts(origins, list(attributions), command, made or datetime.now().astimezone()),
    }
    return _page(data)


def _of_one_kind(attributions: Mapping[str, Attributed]) -> Attributed:
    """The first of the attributions; InputError where there is none, or the others are not of the same question."""
    if not attributions:
        raise InputError("There is nothing to report: give at least one attribution.")
    first, *others = attributions.values()
    for other in others:
        same = other.relevance.shape == first.relevance.shape and np.array_equal(other.input, first.input)
        if not same or not np.array_equal(other.target, first.target):
            raise InputError("The attributions of a report are of the same inputs and targets; write several reports.")
    return first


def pooled(values: Floats, channel_axis: int | None) -> Floats:
    """Relevance of a sample summed over its channels; InputError where a page cannot show it."""
    if not np.isfinite(values).all():
        raise InputError("The relevance holds values that are not finite (NaN or infinity), which have no colour.")
    places = np.asarray(values if channel_axis is None else values.sum(axis=channel_axis, dtype=np.float64))
    if places.ndim > 3:
        raise InputError(f"Relevance of shape {values.shape} has more than three axes besides the channels.")
    if places.ndim == 2 and places.shape[0] == 1:
        return np.asarray(places[0])  # a signal that is held as a map of one row
    return np.atleast_1d(places)


def _method(name: str, one: Attributed) -> dict[str, Any]:
    layers = [] if one.audit is None else [(layer.name, layer.operator, layer.rule_name) for layer in one.audit]
    return {"name": name, "layers": layers, "conserves": one.origin is None or one.origin.conserves}


def _sample(
    attributions: Mapping[str, Attributed], index: int, labels: Sequence[str] | None, subject: Subject
) -> dict[str, Any]:
    first = next(iter(attributions.values()))
    shape = pooled(first.input[index], first.channel_axis).shape
    if subject.words and shape != (len(subject.words),):
        raise InputError(f"There are {len(subject.words)} words for an input with places {shape}; give one for each.")
    several = first.relevance.ndim > first.input.ndim
    scores = first.output[index].reshape(-1)
    count = first.relevance.shape[1] if several else 1
    by_class = first.target.dtype.kind in "iu"
    classes = np.broadcast_to(first.target[index], count).tolist() if by_class else [None] * count
    names = [f"explanation {place}" if one is None else _class_name(one, labels) for place, one in enumerate(classes)]
    if by_class and len(set(classes)) < count:  # one class through several masks
        names = [f"{name}, explanation {place}" for place, name in enumerate(names)]
    explanations = [
        {
            "name": names[place],
            "index": explained,
            "score": None if explained is None else float(scores[explained]),
            "probability": _share(subject.probabilities, explained),
            "results": [_result(one, (index, place) if several else (index,)) for one in attributions.values()],
        }
        for place, explained in enumerate(classes)
    ]
    order = np.argsort(-scores, kind="stable")[:LISTED] if by_class else ()
    return {
        "name": subject.name or (f"sample {index}" if len(first.input) > 1 else ""),
        "rival": subject.rival,
        "words": [str(word) for word in subject.words],
        **_shown(first.input[index], first.channel_axis, subject.picture),
        "predictions": [
            {
                "index": int(place),
                "name": _class_name(int(place), labels),
                "score": float(scores[place]),
                "probability": _share(subject.probabilities, int(place)),
            }
            for place in order
        ],
        "explanations": explanations,
    }


def _class_name(index: int, labels: Sequence[str] | None) -> str:
    return f"class {index}" if labels is None else str(labels[index])


def _share(probabilities: Floats | None, index: int | None) -> float | None:
    return None if probabilities is None or index is None else float(probabilities[index])


def _result(one: Attributed, place: tuple[int, ...]) -> dict[str, Any]:
    """One explanation by one method: its map, the account of its layers, and maps inside the network."""
    relevance = pooled(one.relevance[place], one.channel_axis)
    layers = [] if one.audit is None else one.audit
    account = [[float(getattr(layer, name)[place]) for name in FIGURES] for layer in layers]
    return {
        "relevance": encoded(relevance),
        "sum": float(relevance.sum(dtype=np.float64)),
        "account": account,
        "inner": [_inner(name, found[place]) for name, found in one.layers.items()],
    }


def _inner(name: str, found: Floats) -> dict[str, Any]:
    places = pooled(found, 0 if found.ndim > 1 else None)
    return {"name": name, "shape": places.shape, "relevance": encoded(places), "units": found.shape}


def _shown(sample: Floats, channel_axis: int | None, picture: Pixels | None) -> dict[str, Any]:
    """What the page shows of an input: a picture, that of all slices of a volume below each other, or a trace."""
    if picture is not None:
        return {"picture": _png(picture), "note": "Input"}
    values = pooled(np.asarray(sample if channel_axis is None else sample.mean(axis=channel_axis), np.float64), None)
    low, high = float(values.min()), float(values.max())
    note = "Input" if values.size == sample.size else "Input, mean over channels"
    if values.ndim < 2:
        return {"trace": encoded(values), "low": low, "high": high, "note": note}
    levels = grey(sample, channel_axis)
    return {"picture": _png(levels.reshape(-1, levels.shape[-1])), "low": low, "high": high, "note": note}


def _png(pixels: Pixels) -> str:
    with optional("Writing a report"):
        from PIL import Image
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def encoded(values: Floats) -> str:
    """Values as the page reads them: float32, little-endian, in base64."""
    return b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _stops(colors: str) -> dict[str, Any]:
    return {"name": colors, "stops": ["#" + bytes(entry).hex() for entry in color_table(colors)]}


def _facts(origins: Sequence[Origin], methods: Sequence[str], command: str, made: datetime) -> list[tuple[str, str]]:
    """What made the report, for somebody who wants to make it again."""
    versions = [f"{name} {version(name)}" for name in ("lrpfast", "numpy", "onnx")]
    facts = [
        ("Model", _listed(origin.model for origin in origins)),
        ("Method", _listed(methods)),
        ("Backend", _listed(origin.backend for origin in origins)),
        ("Versions", ", ".join([*versions, f"Python {platform.python_version()}"])),
        ("Made", made.strftime("%Y-%m-%d %H:%M %Z").strip()),
        ("Command", command),
    ]
    return [fact for fact in facts if fact[1]]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _page(data: dict[str, Any]) -> str:
    """The HTML around the data. Only the scripts and styles that are part of it may run, and nothing may be loaded."""
    script = "\n".join(_asset(name) for name in ("heatmap.js", "report.js"))
    style = "\n".join(_asset(name) for name in ("base.css", "report.css"))
    text = json.dumps(data, separators=(",", ":"))
    for mark in "<>&":  # no tag can end or begin in the data
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    sources = f"img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    return Template(_asset("report.html")).substitute(
        title=html.escape(f"Relevance {data['model']}".strip()).encode(errors="replace").decode(),
        policy=f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=text,
    )


def _asset(name: str) -> str:
    return (files("lrpfast") / "view" / "web" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
