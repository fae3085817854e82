"""Explain a sample with every ONNX file of some folders, and put what was found into a table.

python -m benchmarks.survey.survey [FOLDER ...] [--only NAME ...] [--page docs/architectures.md] [-o FILE]

A folder's name says where its files come from.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

import lrpfast
from benchmarks.applicability import without_biases
from benchmarks.models import LIGHT, structure
from benchmarks.report import write_page
from benchmarks.tables import table
from lrpfast.check.verdicts import verdict_on
from lrpfast.composites import Composite, OfKind
from lrpfast.model.layers import Activation
from lrpfast.rules import Epsilon

Floats = npt.NDArray[Any]

BEGIN = "<!-- figures: written by python -m benchmarks.survey.survey --page -->"

#: operators at the end of a classifier that lrpfast leaves out
HEADS = ("Softmax", "LogSoftmax", "Sigmoid")

#: sizes of the axes that a file leaves free: of vectors, sound, pictures and films
FREE = {1: (16,), 2: (1, 4096), 3: (3, 96, 96), 4: (3, 8, 32, 32)}

#: what layers leave to convention, by their kind
CONVENTIONS = {"gate": "gate", "affine": "shift"}

#: in a network without biases only a stabilizer takes anything, and this one next to nothing
EPSILON = Composite("epsilon 1e-9", [(OfKind("conv", "dense", "sum", "average"), Epsilon(1e-9))])


@dataclass
class Row:
    """What was found about one file.

    Differences are the largest ones, by the largest score or relevance; sums are by the explained score.
    """

    name: str
    source: str
    opset: int
    nodes: int
    layers: int = 0
    verdict: str = ""
    forward: float | None = None  # scores, native from onnxruntime's
    native: float | None = None  # relevance, native from the reference's in float64
    rounding: float | None = None  # relevance, the reference's in float32 from its own in float64
    arrived: float | None = None  # relevance of the input
    absorbed: float | None = None  # what the layers kept, by the audit
    epsilon: float | None = None  # the same two together under Epsilon, in float64
    without_biases: float | None = None  # relevance of the input under EPSILON, of the network without its biases


def surveyed(name: str, source: str, content: onnx.ModelProto) -> Row:
    """Everything about one file."""
    opset = next(entry.version for entry in content.opset_import if entry.domain in ("", "ai.onnx"))
    row = Row(name, source, opset, len(content.graph.node))
    try:
        model = lrpfast.load(content)
    except lrpfast.LRPError as error:
        row.verdict = f"refused: {refusal(error)}"
        return row
    row.layers, row.verdict = len(model.graph.nodes), verdict(model)
    try:
        measure(row, content, model)
    except Exception as error:  # a mistake in one network is a line of the table, not its end
        row.verdict = f"failed: {type(error).__name__}: {error}"
    return row


def measure(row: Row, content: onnx.ModelProto, model: lrpfast.Model) -> None:
    """Fill in the figures."""
    x = sample(model)
    found = lrpfast.LRP(model).attribute(x)
    row.forward = difference(found.output, scores(content, model, x))
    exact = relevance(model, x.astype(np.float64), found.target)
    row.native = difference(found.relevance, exact)
    row.rounding = difference(relevance(model, x, found.target), exact)
    row.arrived, row.absorbed = account(found)
    if only_relu_and_pooling(model):
        wide = x.astype(np.float64)
        row.epsilon = sum(account(lrpfast.LRP(model, "epsilon", "reference").attribute(wide, found.target)))
        free = replace(model, graph=without_biases(model.graph))
        row.without_biases = account(lrpfast.LRP(free, EPSILON).attribute(x))[0]


def account(found: lrpfast.Attribution) -> tuple[float, float]:
    """Relevance of the first sample's input, and what its layers absorbed, by the explained score."""
    score = float(found.output[0].reshape(-1)[int(found.target[0])])
    absorbed = sum(float(layer.bias[0] + layer.stabilizer[0] + layer.rule[0]) for layer in found.audit)
    return float(found.relevance[0].sum(dtype=np.float64)) / score, absorbed / score


def relevance(model: lrpfast.Model, x: Floats, target: Floats) -> Floats:
    """What the reference says, in the float type of the input."""
    return lrpfast.LRP(model, backend="reference").attribute(x, target).relevance


def refusal(error: lrpfast.LRPError) -> str:
    """The operators that stand in the way, or else the message."""
    nodes = [line for line in str(error).splitlines() if line.startswith("  - node ")]
    return ", ".join(dict.fromkeys(line.partition("(")[2].partition(")")[0] for line in nodes)) or str(error)


def verdict(model: lrpfast.Model) -> str:
    """Whether every layer keeps relevance or accounts for it; else what is settled by convention."""
    conventions = {
        step.node.layer.function if isinstance(step.node.layer, Activation) else CONVENTIONS[step.info.kind]
        for step in lrpfast.LRP(model).plan.steps
        if verdict_on(step)[0] == "heuristic"
    }
    return f"heuristic: {', '.join(sorted(conventions))}" if conventions else "exact"


def only_relu_and_pooling(model: lrpfast.Model) -> bool:
    """Whether everything beside linear layers is ReLU or a pool."""
    layers = [node.layer for node in model.graph.nodes]
    functions = {layer.function for layer in layers if isinstance(layer, Activation)}
    return functions <= {"relu"} and not {layer.kind for layer in layers} & {"gate", "affine"}


def sample(model: lrpfast.Model) -> Floats:
    """Random numbers of the model's shape, the same at every call; as many samples as the file fixes, or one."""
    free = FREE[len(model.sample_shape)]
    shape = tuple(known or size for known, size in zip(model.sample_shape, free, strict=True))
    return np.random.default_rng(0).standard_normal((model.input_shape[0] or 1, *shape), np.float32)


def scores(content: onnx.ModelProto, model: lrpfast.Model, x: Floats) -> Floats:
    """What onnxruntime computes where a final softmax or sigmoid does nothing."""
    opened = onnx.ModelProto()
    opened.CopyFrom(content)
    if model.dropped_head:
        makers, name = {made: node for node in opened.graph.node for made in node.output}, model.output_name
        while makers[name].op_type not in HEADS:
            name = makers[name].input[0]
        makers[name].op_type = "Identity"
        makers[name].ClearField("attribute")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([model.output_name], {model.input_name: x})[0])


def difference(found: Floats, expected: Floats) -> float:
    """The largest difference, by the largest magnitude that was expected; infinity where a value found is no number."""
    largest = np.abs(found - expected).max()
    if largest == 0:
        return 0.0
    return float(largest / np.abs(expected).max()) if np.isfinite(largest) else float("inf")


def files(folders: Sequence[Path]) -> Iterator[tuple[str, str, Callable[[], onnx.ModelProto]]]:
    """Name, source and content of the folders' models, and of the onnx package's structures with seeded weights."""
    for folder in folders:
        for path in sorted(folder.glob("*.onnx")):
            yield path.stem, folder.resolve().name, partial(onnx.load, path)
    for path in sorted(LIGHT.glob("*.onnx")):
        name = path.stem.removeprefix("light_")
        yield name, "onnx package", partial(seeded, name)


def seeded(name: str) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(structure(name))


def chosen_files(
    folders: Sequence[Path], only: Sequence[str]
) -> Iterator[tuple[str, str, Callable[[], onnx.ModelProto]]]:
    """Those whose source and name hold one of `only`, announced as they come; all where there is none."""
    for name, source, read in files(folders):
        title = f"{source}/{name}"
        if not only or any(part in title for part in only):
            print(title, file=sys.stderr, flush=True)
            yield name, source, read


TITLES = (
    "network",
    "from, opset",
    "nodes",
    "layers",
    "verdict",
    "forward",
    "native",
    "float32",
    "arrives",
    "unexplained",
    "Epsilon: unexplained",
    "without biases: lost",
)


def cells(row: Row) -> tuple[str, ...]:
    """One file in the table."""
    explained = None if row.arrived is None or row.absorbed is None else row.arrived + row.absorbed
    return (
        row.name,
        f"{row.source}, {row.opset}",
        str(row.nodes),
        str(row.layers or ""),
        row.verdict,
        *("" if part is None else f"{part:.0e}" for part in (row.forward, row.native, row.rounding)),
        "" if row.arrived is None else f"{row.arrived:.3f}",
        *("" if part is None else f"{abs(1 - part):.0e}" for part in (explained, row.epsilon, row.without_biases)),
    )


def arguments(module: str, description: str | None) -> argparse.Namespace:
    """What a command of the survey is given: files to look at, and where to put what was found."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.survey.{module}", description=description)
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="folders of .onnx files")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="only sources/names that hold one of these"
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where all figures go as JSON")
    parser.add_argument("--page", type=Path, metavar="FILE", help="Markdown file that gets the table between its marks")
    parser.add_argument("--show", type=Path, nargs="+", metavar="FILE", help="run nothing, show JSON files together")
    return parser.parse_args()


def main() -> None:
    given = arguments("survey", __doc__)
    if given.show:
        rows = [Row(**entry) for path in given.show for entry in json.loads(path.read_text())]
    else:
        rows = [surveyed(name, source, read()) for name, source, read in chosen_files(given.folders, given.only)]
    rows.sort(key=lambda row: (row.name.lower(), row.source))
    written = [f"{sum(bool(row.layers) for row in rows)} of {len(rows)} files are explained.", ""]
    written += table(TITLES, [cells(row) for row in rows])
    print("\n".join(written))
    if given.out:
        given.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if given.page:
        write_page(given.page, written, BEGIN)


if __name__ == "__main__":
    main()
