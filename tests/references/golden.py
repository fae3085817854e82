"""A golden file: a network as plain data, inputs, and the scores and the relevance that the field finds for them.

Needs NumPy alone: files are written beside torch and read beside lrpfast.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent

#: kinds of layers that divide a signal by what is measured on the sample: gates, made of several nodes in ONNX's words
NORMALISATIONS = ("local response", "instance norm", "group norm", "layer norm")


@dataclass(frozen=True)
class Layer:
    """One layer: its kind, the values that it reads, the one that it makes, and whatever else describes it."""

    kind: str
    inputs: list[str]
    output: str
    settings: dict[str, Any]
    arrays: dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Golden:
    """A network whose input is called x and whose output is that of the last layer, and what is known of it.

    `target` is what is explained: a class per sample, or relevance of the output's shape. `rules` says for each case
    of `relevance` which rule the network's linear layers get; a case without an entry is the preset of that name.
    `bounds` are the smallest and the largest input of each channel. `rounding` says of presets what float32 costs who
    was asked: the `errors` of relevance.
    """

    layers: list[Layer]
    inputs: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.float32]
    target: npt.NDArray[Any]
    scores: npt.NDArray[np.float64]
    rules: dict[str, dict[str, Any]]
    relevance: dict[str, npt.NDArray[np.float64]]
    rounding: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    @property
    def box(self) -> dict[str, npt.NDArray[np.float32]]:
        """The bounds by the names that rules and presets give them."""
        return dict(zip(("low", "high"), self.bounds, strict=True))


def save(folder: str, name: str, golden: Golden) -> None:
    """Write a golden file and say so; weights are such that half precision holds them."""
    layers = [[layer.kind, layer.inputs, layer.output, layer.settings] for layer in golden.layers]
    arrays: dict[str, npt.NDArray[Any]] = {
        "head": np.array(json.dumps({"layers": layers, "rules": golden.rules})),
        "inputs": golden.inputs,
        "bounds": golden.bounds,
        "target": golden.target,
        "scores": golden.scores,
    }
    for index, layer in enumerate(golden.layers):
        arrays |= {f"layer/{index}/{name}": array.astype(np.float16) for name, array in layer.arrays.items()}
    arrays |= {f"relevance/{case}": array for case, array in golden.relevance.items()}
    arrays |= {f"rounding/{case}": array for case, array in golden.rounding.items()}
    path = FOLDER / folder / f"{name.replace(',', '').replace(' ', '-')}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **arrays)
    cases = len(golden.relevance | golden.rounding)
    print(f"{path.relative_to(FOLDER)}: {cases} cases, {path.stat().st_size // 1024} kB", flush=True)


def read(path: Path) -> Golden:
    """Read what `save` wrote."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    head = json.loads(str(arrays["head"]))
    layers = [
        Layer(*entry, {name: array.astype(np.float32) for name, array in under(arrays, f"layer/{index}/").items()})
        for index, entry in enumerate(head["layers"])
    ]
    known = {name: arrays[name] for name in ("inputs", "bounds", "target", "scores")}
    found = {name: under(arrays, f"{name}/") for name in ("relevance", "rounding")}
    return Golden(layers, **known, rules=head["rules"], **found)


def errors(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The largest error, and the one that 999 of 1,000 values keep, as shares of the largest value of a sample."""
    largest = np.abs(expected).max(axis=tuple(range(1, expected.ndim)), keepdims=True)
    apart = np.abs(found - expected) / largest
    return np.quantile(apart, (1, 0.999))


def under(arrays: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays whose names begin with `prefix`, by the rest of the name."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
