"""The account of relevance: what each layer received, handed down, and where the rest went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lrpfast.composites.composite import table

Sums = npt.NDArray[np.float64]


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

    def single(self) -> LayerAudit:
        """The same for one explanation a sample: figures (N,) in place of (N, 1)."""
        figures = (self.received, self.handed_down, self.bias, self.stabilizer, self.rule)
        return LayerAudit(self.name, self.operator, self.rule_name, *(figure[:, 0] for figure in figures))

    @staticmethod
    def joined(*parts: LayerAudit) -> LayerAudit:
        """The figures of one layer for several batches behind one another."""
        names = ("received", "handed_down", "bias", "stabilizer", "rule")
        figures = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
        return LayerAudit(parts[0].name, parts[0].operator, parts[0].rule_name, *figures)

    @property
    def rounding(self) -> Sums:
        """What the other figures leave unexplained."""
        return self.received - self.handed_down - self.bias - self.stabilizer - self.rule


class Audit:
    """One `LayerAudit` per layer, from the output to the input. Printed, it is a table of means over
    samples.

    Made of the layers, or of a function that lists them when somebody looks.
    """

    def __init__(self, layers: Iterable[LayerAudit] | Callable[[], Iterable[LayerAudit]]) -> None:
        self._layers = layers

    @cached_property
    def layers(self) -> tuple[LayerAudit, ...]:
        """The accounts of all layers."""
        return tuple(self._layers() if callable(self._layers) else self._layers)

    @staticmethod
    def joined(parts: Sequence[Audit]) -> Audit:
        """The account of several batches as that of one."""
        return parts[0] if len(parts) == 1 else Audit(lambda: map(LayerAudit.joined, *(part.layers for part in parts)))

    def single(self) -> Audit:
        """The same for one explanation a sample: figures (N,) in place of (N, 1)."""
        return Audit(lambda: [layer.single() for layer in self.layers])

    def __getstate__(self) -> dict[str, tuple[LayerAudit, ...]]:
        return {"_layers": self.layers}  # what lists them later does not pickle

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
