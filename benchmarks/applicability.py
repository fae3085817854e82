"""python -m benchmarks.applicability: the figures of docs/applicability.md, measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import lrpfast
from lrpfast.app.demo import scaled, shipped
from lrpfast.app.images import PREPROCESSINGS
from lrpfast.app.samples import pixels
from lrpfast.check import words
from lrpfast.check.findings import Proof
from lrpfast.check.measure import PROPORTIONAL
from lrpfast.composites import Composite, OfKind
from lrpfast.engine.plan import Step, make_plan
from lrpfast.engine.reference import ReferenceEngine
from lrpfast.engine.reference.engine import unpooled
from lrpfast.engine.reference.maps import windows
from lrpfast.engine.routing import padded
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Array, AveragePool, Convolution, Layer, MaxPool, Weighted, fitted
from lrpfast.rules import Epsilon, Gradient, LinearRule, ZPlus
from lrpfast.view.pictures import read_picture

from .models import subjects
from .report import write_page
from .tables import table

BEGIN = "<!-- figures: written by python -m benchmarks.applicability --page -->"

#: What a model's biases are left in or out of, and the rules of its weighted layers.
CASES: tuple[tuple[str, bool, str | Composite], ...] = (
    ("the model without biases, `epsilon`", False, "epsilon"),
    ("the model, `epsilon`", True, "epsilon"),
    ("the model, `epsilon_plus`", True, "epsilon_plus"),
    ("the model, `epsilon_plus_flat`", True, "epsilon_plus_flat"),
)


def everywhere(rule: LinearRule) -> Composite:
    """One rule for all weighted layers."""
    return Composite(str(rule), [(OfKind("conv", "dense"), rule)])


CASES += tuple(
    (f"the model, `{rule}`", True, everywhere(rule)) for rule in (Epsilon(zero_bias=True), ZPlus(zero_bias=True))
)


@dataclass(frozen=True)
class Subject:
    """A model and its inputs."""

    name: str
    model: lrpfast.Model
    x: Array


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applicability", description=__doc__)
    parser.add_argument("--models", type=Path, nargs="+", default=[], metavar="DIR", help="folders of .onnx files")
    parser.add_argument("--photo", type=Path, metavar="FILE", help="photograph to explain with them")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="Markdown file that gets the tables between its marks"
    )
    given = parser.parse_args()
    if given.models and not given.photo:
        parser.error("--models needs a --photo")
    model, digits = shipped()
    measured = [Subject(f"embedded digits ({len(digits)})", model, scaled(digits)), *trained(given.models, given.photo)]
    written = lines(measured)
    print("\n".join(written))
    if given.page:
        write_page(given.page, written, BEGIN)


def trained(folders: list[Path], photo: Path) -> Iterable[Subject]:
    """Models from files, and the photograph as each takes it."""
    for entry in subjects(folders):
        if entry.weights == "trained" and entry.scaling:
            model = lrpfast.load(entry.read())
            sample, _, _ = pixels(model, read_picture(photo), PREPROCESSINGS[entry.scaling])
            yield Subject(f"{entry.name}, {photo.name}", model, sample[np.newaxis])


def lines(measured: list[Subject]) -> list[str]:
    """All tables."""
    digits = measured[0]
    return [
        "**`lrpfast.check`**, embedded digits",
        "",
        "```text",
        *str(lrpfast.check(digits.model, digits.x)).splitlines(),
        "```",
        "",
        "**ReLU and max pooling**, in proportion to contributions, double precision",
        "",
        *units_table(measured),
        "",
        "**What max pooling moves**, in the same passes",
        "",
        *pools_table(measured),
        "",
        "**Where the score goes**, single precision, in % of the score",
        "",
        *shares_table(measured),
        "",
        "**Strides in place of pools**, embedded digits",
        "",
        *strides_table(digits),
    ]


def units_table(measured: list[Subject]) -> list[str]:
    """What `check` proves of each model, and of the same without its biases."""
    head = ("model", "units behind ReLU", "at zero", "their relevance", "max pools", "lost there")
    rows = []
    for one in measured:
        proof = proof_of(one.model, one.x)
        free = proof_of(replace(one.model, graph=without_biases(one.model.graph)), one.x)
        units = (f"{proof.units:,}", f"{proof.dead:,}", f"{proof.dead_relevance:g}")
        pools = (str(proof.pools), f"{proof.pool_loss:.0e}")
        shares = (percent(proof.arrived), percent(proof.biases), f"{proof.deviation:.0e}")
        without = (percent(free.arrived), f"{free.deviation:.0e}")
        rows.append((one.name, *units, *pools, *shares, *without))
    return table((*head, "input gets %", "biases %", "off by", "without biases, input gets %", "off by"), rows)


def proof_of(model: lrpfast.Model, x: Array) -> Proof:
    """What holds in proportion to contributions."""
    proof = lrpfast.check(model, x).proof
    assert proof is not None, "all scores are zero"
    return proof


def pools_table(measured: list[Subject]) -> list[str]:
    """Ties, and inputs that win several windows."""
    head = (
        "model",
        "windows",
        "that carry relevance",
        "of them tied",
        "relevance there",
        "winners",
        "of several windows",
    )
    rows = []
    for one in measured:
        pools = Pools(one)
        if not pools.windows:
            continue
        counts = [f"{count:,}" for count in (pools.windows, pools.carrying, pools.tied)]
        share = percent(pools.tied_relevance / pools.relevance)
        rows.append((one.name, *counts, f"{share} %", f"{pools.winners:,}", f"{pools.several:,}"))
    return table(head, rows)


class Pools:
    """Counts over the windows of all max pools, in passes in proportion to contributions."""

    def __init__(self, subject: Subject) -> None:
        self.windows = self.carrying = self.tied = self.winners = self.several = 0
        self.relevance = self.tied_relevance = 0.0
        graph = subject.model.graph
        engine = ReferenceEngine(make_plan(graph, PROPORTIONAL))
        for sample in graph.arranged(subject.x.astype(np.float64)):
            output, state = engine.forward(sample[np.newaxis])
            seed = np.where(output == output.max(), output, 0)
            self._values = state.values
            engine.relevance(state, seed[:, np.newaxis], watch=self._look)

    def _look(self, step: Step, output: Array, received: Array, handed: object) -> None:
        layer = step.node.layer
        if not isinstance(layer, MaxPool):
            return
        a = self._values[step.node.inputs[0]]
        carries = received != 0
        tied = carries & is_tied(layer, a, output)
        wins = unpooled(Gradient(), layer, a, carries.astype(np.float64))
        self.windows += output.size
        self.carrying += int(carries.sum())
        self.tied += int(tied.sum())
        self.winners += int((wins > 0).sum())
        self.several += int((wins > 1).sum())
        self.relevance += float(np.abs(received).sum())
        self.tied_relevance += float(np.abs(received).sum(where=tied))


def is_tied(layer: MaxPool, a: Array, largest: Array) -> npt.NDArray[np.bool_]:
    """Which windows hold their largest value more than once."""
    spatial = a.shape[2:]
    window = fitted(layer.window, spatial)
    seen = windows(padded(a, window.pads_for(spatial), -np.inf), window, window.output_size(spatial))
    holders = seen.reshape(*largest.shape, -1) == largest[..., np.newaxis]
    return np.asarray(holders.sum(axis=-1) > 1)


def shares_table(measured: list[Subject]) -> list[str]:
    """Each part of the score under several rules, and what the parts leave open."""
    head = ("model", "rules", "arrives", "bias", "stabilizer", "rule", "all parts off by", "largest pixel")
    rows = []
    for one in measured:
        for title, biased, composite in CASES:
            model = one.model if biased else replace(one.model, graph=without_biases(one.model.graph))
            account = lrpfast.check(model, one.x, composite).account
            assert account is not None
            attribution = lrpfast.LRP(model, composite).attribute(one.x)
            scores = attribution.output.reshape(len(one.x), -1).max(axis=1)
            largest = np.abs(attribution.relevance).reshape(len(one.x), -1).max(axis=1) / scores
            parts = (account.handed_down, account.bias, account.stabilizer, account.rule)
            figures = (*map(percent, parts), f"{abs(account.rounding):.0e}", percent(float(largest.max())))
            rows.append((one.name, title, *figures))
    return table(head, rows)


def strides_table(digits: Subject) -> list[str]:
    """The same weights with strides of two, or other pools, in place of max pooling."""
    head = (
        "between the layers",
        "same answer",
        "input gets %",
        "biases %",
        "sum off by",
        "units of conv1 on",
        "with relevance",
    )
    phases = ("even row and column", "even row, odd column", "odd row, even column", "odd row and column")
    rows = []
    graph = digits.model.graph
    said = lrpfast.LRP(digits.model).attribute(digits.x).output.argmax(axis=1)
    for name, variant in (
        ("max pooling", graph),
        ("strides of 2", strided(graph)),
        ("average pooling", averaged(graph)),
    ):
        model = replace(digits.model, graph=variant)
        proof = proof_of(model, digits.x)
        attribution = lrpfast.LRP(model, "epsilon_plus_flat").attribute(digits.x)
        same = int((attribution.output.argmax(axis=1) == said).sum())
        relevance = np.abs(attribution.relevance)
        landed = [relevance[..., row::2, column::2].sum() / relevance.sum() for row in (0, 1) for column in (0, 1)]
        figures = (percent(proof.arrived), percent(proof.biases), f"{proof.deviation:.0e}", *carrying(model, digits.x))
        rows.append((name, f"{same} of {len(said)}", *figures, *(f"{percent(float(share))} %" for share in landed)))
    return table((*head, *phases), rows)


def carrying(model: lrpfast.Model, x: Array) -> tuple[str, str]:
    """Units of a sample that the first convolution has on, and those that receive relevance, on average."""
    seen: list[float] = []

    def look(step: Step, output: Array, received: Array, handed: object) -> None:
        if step.node.name == "relu1":
            seen.extend(np.count_nonzero(values) / len(x) for values in (output, received))

    engine = ReferenceEngine(make_plan(model.graph, PROPORTIONAL))
    output, state = engine.forward(x.astype(np.float64))
    engine.relevance(state, np.where(output == output.max(axis=1, keepdims=True), output, 0)[:, np.newaxis], watch=look)
    on, received = seen
    return f"{on:,.0f}", f"{received:,.0f}"


def strided(graph: Graph) -> Graph:
    """Convolutions with a stride of two in place of pools, in a chain of layers."""
    nodes, value = [], graph.input
    for node in graph.nodes:
        layer = node.layer
        if isinstance(layer, MaxPool):
            continue
        if isinstance(layer, Convolution):
            layer = replace(layer, window=replace(layer.window, strides=(2, 2)))
        nodes.append(replace(node, layer=layer, inputs=(value,)))
        value = node.output
    return replace(graph, nodes=tuple(nodes))


def averaged(graph: Graph) -> Graph:
    """Means in place of maxima."""
    return changed(graph, lambda layer: AveragePool(layer.window) if isinstance(layer, MaxPool) else layer)


def without_biases(graph: Graph) -> Graph:
    """The same network, its biases left out."""
    return changed(graph, lambda layer: replace(layer, bias=None) if isinstance(layer, Weighted) else layer)


def changed(graph: Graph, change: Callable[[Layer], Layer]) -> Graph:
    """A graph with other layers at its nodes."""
    return replace(graph, nodes=tuple(replace(node, layer=change(node.layer)) for node in graph.nodes))


def percent(share: float) -> str:
    """A share in per cent."""
    return words.percent(share) if abs(share) < 100 else f"{100 * share:.0e}"


if __name__ == "__main__":
    main()
