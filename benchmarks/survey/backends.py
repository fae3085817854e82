"""Explain a sample with every ONNX file of some folders by every preset, natively and by the reference in float64.

python -m benchmarks.survey.backends [FOLDER ...] [--only NAME ...] [--page docs/architectures.md] [-o FILE]

Where the two differ by more than AGREED, it also measures what can be expected there: how far the reference in float32
is from float64, and how far float64 moves when the input and all weights change by CHANGE of themselves. Where that
does not explain it, the native backend's winners of max pools win in float64 too, if they are near-ties.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
import onnx
from onnx import numpy_helper

import lrpfast
from benchmarks.report import write_page
from benchmarks.survey.near_ties import NEAR, settled
from benchmarks.survey.survey import Floats, arguments, chosen_files, difference, sample
from benchmarks.tables import table
from lrpfast.app.samples import composite_with
from lrpfast.composites import PRESETS, Composite

BEGIN = "<!-- figures: written by python -m benchmarks.survey.backends --page -->"

#: of the largest relevance
AGREED = 1e-4

#: about what float32 makes of the values within a network
CHANGE = 1e-6

#: how many times that is drawn, and how many times what it or float32 makes of an explanation passes for rounding
DRAWS, TIMES = 3, 3

#: shorter lists of numbers may be sizes or scales of a file, which are no weights
SHORTEST = 8


@dataclass
class Comparison:
    """One explanation; differences are the largest ones, by the largest relevance."""

    name: str
    source: str
    preset: str
    native: float  # from the reference in float64
    float32: float | None = None  # the reference in float32, from itself in float64
    moved: float | None = None  # float64, from itself for changed input and weights
    turned: int | None = None  # near-ties of max pools that the reference in float64 settles otherwise
    settled: float | None = None  # native, from the reference in float64 that settles these alike

    @property
    def expected(self) -> float:
        """What rounding explains."""
        return max(AGREED, TIMES * max(self.float32 or 0, self.moved or 0))

    @property
    def nearly_tied(self) -> bool:
        """Whether near-ties explain the rest."""
        return self.settled is not None and self.settled <= AGREED


@dataclass(frozen=True, eq=False)
class Drawn:
    """A network and its input with every number changed by up to CHANGE of itself."""

    model: lrpfast.Model
    x: Floats

    @classmethod
    def of(cls, content: onnx.ModelProto, x: Floats, seed: int) -> Drawn:
        rng = np.random.default_rng(seed)
        copy = onnx.ModelProto()
        copy.CopyFrom(content)
        for tensor in copy.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype.kind == "f" and values.size > SHORTEST:
                changed = values * (1 + rng.uniform(-CHANGE, CHANGE, values.shape))
                tensor.CopyFrom(numpy_helper.from_array(changed.astype(values.dtype), tensor.name))
        return cls(lrpfast.load(copy), x * (1 + rng.uniform(-CHANGE, CHANGE, x.shape)))


def compared(name: str, source: str, content: onnx.ModelProto) -> Iterator[Comparison]:
    """Every preset that explains the model."""
    model = lrpfast.load(content)
    x = sample(model)
    draws = [Drawn.of(content, x, seed) for seed in range(DRAWS)]
    for preset in PRESETS:
        composite = composite_with(preset, float(x.min()), float(x.max()))
        try:
            found = lrpfast.LRP(model, composite).attribute(x)
        except lrpfast.LRPError:
            continue
        yield measured(Comparison(name, source, preset, 0), model, composite, x, found, draws)


def measured(
    row: Comparison,
    model: lrpfast.Model,
    composite: Composite,
    x: Floats,
    found: lrpfast.Attribution,
    draws: Sequence[Drawn],
) -> Comparison:
    """The row with its figures."""

    def relevance(network: lrpfast.Model, x: Floats) -> Floats:
        return lrpfast.LRP(network, composite, "reference").attribute(x, found.target).relevance

    exact = relevance(model, x.astype(np.float64))
    row.native = difference(found.relevance, exact)
    if row.native > AGREED:
        row.float32 = difference(relevance(model, x), exact)
        row.moved = max(difference(relevance(drawn.model, drawn.x), exact) for drawn in draws)
    if row.native > row.expected:
        alike, row.turned = settled(model, composite, x, found.target)
        row.settled = difference(found.relevance, alike)
    return row


EXCEPTION_TITLES = ("network", "from", "preset", "native", "float32", "changed", "near-ties", "native, these alike")
TITLES = ("network", "from", "presets", "agree to 1e-4", "largest difference", "native", "float32", "changed")


def cells(rows: Sequence[Comparison]) -> tuple[str, ...]:
    """One file in the table: its presets, and the one in which the backends differ most."""
    worst = max(rows, key=lambda row: row.native)
    figures = (worst.native, worst.float32, worst.moved)
    return (
        worst.name,
        worst.source,
        str(len(rows)),
        str(sum(row.native <= AGREED for row in rows)),
        worst.preset,
        *("" if figure is None else f"{figure:.0e}" for figure in figures),
    )


def lines(rows: Sequence[Comparison]) -> list[str]:
    """How many agree, the exceptions by name, and the table."""
    apart = [row for row in rows if row.native > AGREED]
    beyond = sorted((row for row in apart if row.native > row.expected), key=lambda row: -row.native)
    explained = len(apart) - len(beyond)
    written = [
        f"{len(rows) - len(apart)} of {len(rows)} explanations agree to {AGREED:.0e} of the largest relevance. "
        f"{explained} of the other {len(apart)} differ by what rounding explains: at most {TIMES} times what float32 "
        f"does to the reference, or a change of input and weights by {CHANGE:.0e} of themselves.",
        "",
    ]
    if beyond:
        tied = sum(row.nearly_tied for row in beyond)
        written += [
            f"Near-ties of max pools explain {tied} of the {len(beyond)} that are left: values closer than {NEAR:.0e} "
            f"of the largest one there, of which either may win in single precision. If the native winners of these "
            f"win in float64 too, both agree to {AGREED:.0e}.",
            "",
            *table(EXCEPTION_TITLES, [exception(row) for row in beyond]),
            "",
        ]
    files = groupby(sorted(rows, key=lambda row: (row.name.lower(), row.source)), lambda row: (row.name, row.source))
    return written + table(TITLES, [cells(list(of_file)) for _, of_file in files])


def exception(row: Comparison) -> tuple[str, ...]:
    figures = (row.native, row.float32 or 0, row.moved or 0)
    settled = "" if row.settled is None else f"{row.settled:.0e}"
    return (row.name, row.source, row.preset, *(f"{figure:.0e}" for figure in figures), str(row.turned or 0), settled)


def main() -> None:
    given = arguments("backends", __doc__)
    rows = [Comparison(**entry) for path in given.show or () for entry in json.loads(path.read_text())]
    for name, source, read in () if given.show else chosen_files(given.folders, given.only):
        try:
            rows += compared(name, source, read())
        except lrpfast.LRPError:  # the survey's own table says why
            continue
        if given.out:
            given.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    written = lines(rows)
    print("\n".join(written))
    if given.page:
        write_page(given.page, written, BEGIN)


if __name__ == "__main__":
    main()
