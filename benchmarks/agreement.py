"""python -m benchmarks.agreement: the figures of docs/agreement.md, measured."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from .models import Subject, set_task, subjects
from .process import Interpreters, Worker
from .report import write_page
from .tables import table
from .turns import CompetitorError

BEGIN = "<!-- figures: written by python -m benchmarks.agreement --page -->"

#: Zennit's presets, and no preset at all
PRESETS = (
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
    "excitation_backprop",
    "gradient",
    "deconvnet",
    "guided_backprop",
    "beta_smooth",
)

#: who is asked; 64 is for double precision
LIBRARIES = ("lrpfast", "reference64", "zennit", "zennit64")

#: who is compared with whom
PAIRS = {
    ("lrpfast", "zennit"): "lrpfast, Zennit",
    ("lrpfast", "zennit64"): "lrpfast, Zennit in float64",
    ("zennit", "zennit64"): "Zennit, Zennit in float64",
    ("reference64", "zennit64"): "lrpfast's reference, Zennit, both in float64",
}

#: what rounding does to one library is the measure for two
OURS, MEASURE = (("lrpfast", "zennit"), ("lrpfast", "zennit64")), ("zennit", "zennit64")

#: the share of pixels that are called the top ones
TOP = 0.01

#: the rank correlation that counts as the same order of pixels
SAME = 0.9999

Maps = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How alike two explanations of the same samples are; of each figure, the worst of all samples.

    `rank` is Spearman's correlation of the pixels, `top` the share of the highest ones that both have in common; both
    look at sums over channels. `largest` and `most` are the largest difference and that which 999 of 1,000 values keep,
    by the largest relevance.
    """

    rank: float
    top: float
    largest: float
    most: float

    @classmethod
    def between(cls, found: Maps, expected: Maps) -> Agreement:
        """For relevance (N, C, ...) of both; differences are by the largest of the second."""
        each = [cls.of_sample(*pair) for pair in zip(found, expected, strict=True)]
        ranks, tops, largest, most = zip(*each, strict=True)
        return cls(min(ranks), min(tops), max(largest), max(most))

    @property
    def same(self) -> bool:
        """Whether both put the pixels in the same order, and the same ones first."""
        return self.rank > SAME and self.top == 1

    def __str__(self) -> str:
        missing = max(1 - self.rank, 0.0)
        return f"{missing:.0e}, {100 * self.top:.4g} %, {self.largest:.0e}, {self.most:.0e}"

    @staticmethod
    def of_sample(found: Maps, expected: Maps) -> tuple[float, float, float, float]:
        if not found.any() and not expected.any():  # as DeconvNet's signal, where nothing of it is positive
            return 1.0, 1.0, 0.0, 0.0
        pixels = [array.sum(axis=0).ravel() for array in (found, expected)]
        rank = np.corrcoef([ranks(each) for each in pixels])[0, 1]
        count = max(round(TOP * pixels[0].size), 1)
        first, second = (set(np.argsort(-array, kind="stable")[:count]) for array in pixels)
        apart = np.abs(found - expected) / np.abs(expected).max()
        return float(rank), len(first & second) / count, float(apart.max()), float(np.quantile(apart, 0.999))


def ranks(values: Maps) -> Maps:
    """The rank of each value; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: Maps = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return shared


@dataclass(frozen=True)
class Compared:
    """A model, what it was shown, and how every pair agrees under each preset, or why that is not known."""

    name: str
    shown: str
    samples: int
    presets: Mapping[str, Mapping[tuple[str, str], Agreement] | str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    add = parser.add_argument
    add("--models", type=Path, nargs="+", default=[], metavar="DIR", help="folders of .onnx files")
    add("--photos", type=Path, metavar="DIR", help="photographs to explain; seeded noise without them")
    add("--only", nargs="+", default=[], metavar="NAME", help="models whose name holds one of these")
    add("--samples", type=int, default=3, help="samples that each model explains")
    add("--threads", type=int, default=min(os.cpu_count() or 1, 2), help="threads of every library")
    add("--peer-python", required=True, metavar="PATH", help="interpreter that has torch and zennit")
    add("--page", type=Path, metavar="FILE", help="Markdown file that gets the tables between its marks")
    given = parser.parse_args()
    trained = [one for one in subjects(given.models, given.only) if one.weights == "trained"]
    pythons = Interpreters(given.peer_python)
    written = lines([compared(subject, given.photos, pythons, given.threads, given.samples) for subject in trained])
    print("\n".join(written))
    if given.page:
        write_page(given.page, written, BEGIN)


def compared(subject: Subject, photos: Path | None, pythons: Interpreters, threads: int, samples: int) -> Compared:
    """All presets on one model."""
    print(subject.name, file=sys.stderr, flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        shown, reason = set_task(subject, folder, photos)
        if reason:
            return Compared(subject.name, shown, samples, dict.fromkeys(PRESETS, reason))
        for library in LIBRARIES:
            explain(library, folder, str(pythons.of(library)), threads, samples)
        return Compared(subject.name, shown, samples, {preset: agreements(folder, preset) for preset in PRESETS})


def explain(library: str, folder: Path, python: str, threads: int, samples: int) -> None:
    """Leave relevance by every preset in the folder, or why there is none."""
    with Worker(python, library, folder, threads, samples) as worker:
        for preset in PRESETS:
            path = found_at(folder, library, preset)
            try:
                worker.ask("result", method=preset, to=str(path))
            except CompetitorError as error:
                path.with_suffix(".txt").write_text(f"{library}: {error}")


def agreements(folder: Path, preset: str) -> dict[tuple[str, str], Agreement] | str:
    """How the pairs agree under a preset; why not all could be asked."""
    paths = {library: found_at(folder, library, preset) for library in LIBRARIES}
    reasons = [path.with_suffix(".txt").read_text() for path in paths.values() if not path.exists()]
    if reasons:
        return "; ".join(reasons)
    maps = {library: np.load(path).astype(np.float64) for library, path in paths.items()}
    return {(one, other): Agreement.between(maps[one], maps[other]) for one, other in PAIRS}


def found_at(folder: Path, library: str, preset: str) -> Path:
    """Where relevance lies."""
    return folder / f"{library}.{preset}.npy"


def lines(models: Sequence[Compared]) -> list[str]:
    """All tables."""
    written = ["**lrpfast against Zennit**", "", *summary(models)]
    for one in models:
        rows = [(f"`{preset}`", *cells(found)) for preset, found in one.presets.items()]
        written += [
            "",
            f"**{one.name}**, {one.shown}, samples: {one.samples}",
            "",
            *table(("preset", *PAIRS.values()), rows),
        ]
    return written


def summary(models: Sequence[Compared]) -> list[str]:
    """What came of each preset on each model."""
    return table(
        ("preset", *(one.name for one in models)),
        [(f"`{preset}`", *(verdict(one.presets[preset]) for one in models)) for preset in PRESETS],
    )


def verdict(found: Mapping[tuple[str, str], Agreement] | str) -> str:
    """Whether lrpfast finds the same, and if not, whether Zennit's float32 does; and the largest difference of both."""
    if isinstance(found, str):
        return "-"
    if all(found[pair].same for pair in OURS):
        words = "the same"
    else:
        words = "not the same" if found[MEASURE].same else "not the same, nor is Zennit's float32"
    return f"{words}, {found[OURS[1]].largest:.0e} / {found[MEASURE].largest:.0e}"


def cells(found: Mapping[tuple[str, str], Agreement] | str) -> list[str]:
    """A cell for every pair."""
    return [found, *[""] * (len(PAIRS) - 1)] if isinstance(found, str) else [str(found[pair]) for pair in PAIRS]


if __name__ == "__main__":
    main()
