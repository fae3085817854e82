"""What `check` found, as data, as a table and as JSON."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from lrpfast.check import words
from lrpfast.check.findings import Account, LayerReport, Proof
from lrpfast.composites.composite import table
from lrpfast.errors import UnsupportedError

#: Columns that sentences take.
WIDTH = 100


@dataclass(frozen=True)
class Report:
    """Whether LRP is applicable to a model, layer by layer, and what was measured.

    `lrpfast.check` makes it; ``print(report)`` shows it.

    Attributes
    ----------
    model, composite : str
        Names of the model and of the composite.
    inputs : str
        What was measured on: "given inputs", or "random numbers".
    samples : int
        Number of inputs; 0 where nothing could be measured.
    layers : tuple of LayerReport
        All layers from the output to the input; of a model that is refused, the nodes that stand in the way.
    account : Account or None
        Where the relevance of the whole pass went under the composite; None where nothing was measured.
    without_biases : float or None
        Share of the score that arrives by ZPlus, biases left out; measured where biases absorb most of it.
    proof : Proof or None
        What holds of the model's ReLUs and max pools, whatever the composite.
    """

    model: str
    composite: str
    inputs: str
    samples: int
    layers: tuple[LayerReport, ...]
    account: Account | None = None
    without_biases: float | None = None
    proof: Proof | None = None

    @classmethod
    def refused(cls, model: str, composite: str, error: UnsupportedError) -> Report:
        """The report on a model that cannot be loaded."""
        layers = (LayerReport(node.name, node.operator, "", "", "unsupported", node.reason) for node in error.refusals)
        return cls(model, composite, "nothing", 0, tuple(layers))

    @property
    def applicable(self) -> bool:
        """Whether every layer has a rule."""
        return all(layer.verdict != "unsupported" for layer in self.layers)

    @property
    def verdict(self) -> str:
        """The answer in a sentence."""
        return words.verdict(self.layers, self.proof)

    @property
    def notes(self) -> tuple[str, ...]:
        """What else one should know: reasons of the verdicts, where the score went, warnings."""
        notes = words.reasons(self.layers)
        if self.account is not None:
            notes.append(words.whereabouts(self.account, self.layers))
        if self.without_biases is not None:
            notes.append(words.warning(self.composite, self.without_biases))
        return tuple(notes)

    def cells(self) -> list[tuple[str, ...]]:
        """Headings, then a line for each layer, as tables show them; figures in per cent of the score."""
        headings = ("layer", "operator", "kind", "rule", "verdict", *(("received", "absorbed") if self.account else ()))
        return [headings, *(_cells(layer)[: len(headings)] for layer in self.layers)]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data: the attributes, `applicable`, `verdict` and `notes`."""
        found = {"applicable": self.applicable, "verdict": self.verdict, "notes": list(self.notes)}
        return {**found, **asdict(self), "layers": [asdict(layer) for layer in self.layers]}

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @property
    def title(self) -> str:
        """What was looked at."""
        if not self.applicable:
            return self.model
        samples = "1 sample" if self.samples == 1 else f"{self.samples} samples"
        figures = "; relevance in % of the score" if self.account else ""
        return f"{self.model}, {self.composite}, {samples} ({self.inputs}){figures}"

    def __str__(self) -> str:
        paragraphs = (
            textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
            for text in (*self.notes, self.verdict)
        )
        return "\n\n".join([self.title, *([table(self.cells())] if self.applicable else []), *paragraphs])


def _cells(layer: LayerReport) -> tuple[str, ...]:
    figures = (
        ("", "")
        if layer.account is None
        else (f"{words.percent(layer.account.received):>8}", words.absorbed(layer.account))
    )
    return (layer.name, layer.operator, layer.kind, layer.rule, layer.verdict, *figures)
