"""The account of relevance: what each layer received, handed down, and where the rest went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lrpfast.composites.composite import table
from lrpfast.engine.plan import Step

Sums = npt.NDArray[np.float64]

#: What is known of the relevance of a layer, in the order of the fields of `LayerAudit`.
FIGURES = ("received", "handed_down", "bias", "stabilizer", "rule")


class Entry(NamedTuple):
    """What the account calls a layer."""

    name: str
    operator: str
    rule_name: str

    @staticmethod
    def of(step: Step) -> Entry:
        """That of a step of a plan."""
        return Entry(step.node.name, step.node.operator, step.rule_name)


@dataclass(frozen=True, eq=False)
class LayerAudit:
    """Sums of relevance at one layer, per sample, shape (N,) or (N, T) for T explanations a sample.

    `received` arrived at the layer's output; `handed_down` left for its inputs; `bias`, `stabilizer` and
    `rule` are the shares that these absorbed: ``received = handed_down + bias + stabilizer + rule`` up to
    rounding.
    """

    name: str
    operator: str
    rule_name: str
    received: Sums
    handed_down: Sums
    bias: Sums
    stabilizer: Sums
    rule: Sums

    @property
    def rounding(self) -> Sums:
        """What the other figures leave unexplained."""
        return self.received - self.handed_down - self.bias - self.stabilizer - self.rule


class Audit:
    """One `LayerAudit` per layer, from the output to the input. Printed, it is a table of means over samples.

    Made of the layers' names, and of their `FIGURES`, shape (layers, 5, N) or (layers, 5, N, T), or of a function that
    finds these when somebody looks.
    """

    def __init__(self, entries: Sequence[Entry], figures: Sums | Callable[[], Sums]) -> None:
        self._entries, self._figures = entries, figures

    @cached_property
    def figures(self) -> Sums:
        """The `FIGURES` of all layers, shape (layers, 5, N) or (layers, 5, N, T)."""
        return self._figures() if callable(self._figures) else self._figures

    @cached_property
    def layers(self) -> tuple[LayerAudit, ...]:
        """The accounts of all layers."""
        return tuple(LayerAudit(*entry, *of) for entry, of in zip(self._entries, self.figures, strict=True))

    @staticmethod
    def joined(parts: Sequence[Audit]) -> Audit:
        """The account of several batches as that of one."""
        return Audit(parts[0]._entries, lambda: np.concatenate([part.figures for part in parts], axis=2))

    def single(self) -> Audit:
        """The same for one explanation a sample: figures (N,) in place of (N, 1)."""
        return Audit(self._entries, lambda: self.figures[..., 0])

    def __getstate__(self) -> dict[str, Any]:
        return {"_entries": self._entries, "_figures": self.figures}  # what finds them later does not pickle

    def __iter__(self) -> Iterator[LayerAudit]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> LayerAudit:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(f"no layer is named {name!r}; the layers are {', '.join(layer.name for layer in self.layers)}")

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("layer", "rule", "received", "handed down", "bias", "stabilizer", "rule absorbed", "rounding")
        ]
        for layer in self.layers:
            parts = (
                layer.received,
                layer.handed_down,
                layer.bias,
                layer.stabilizer,
                layer.rule,
                layer.rounding,
            )
            rows.append((layer.name, layer.rule_name, *(f"{float(np.mean(part)):.4g}" for part in parts)))
        return table(rows)
