"""python -m benchmarks.faithfulness: the figures of docs/quality.md, measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..report import write_page
from .evaluation import evaluate
from .page import draw, lines
from .subjects import digits, photographs

BEGIN = "<!-- figures: written by python -m benchmarks.faithfulness --page -->"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faithfulness", description=__doc__)
    parser.add_argument("--model", type=Path, metavar="FILE", help="classifier of photographs, an .onnx file")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="folder of chelsea.png and coffee.png")
    parser.add_argument("--preprocess", default="caffe", help="how the model's training scaled pixels")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="Markdown file that gets the tables between its marks"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where the perturbation curves are drawn")
    given = parser.parse_args()
    if bool(given.model) != bool(given.photos):
        parser.error("--model and --photos go together")
    subjects = [digits()]
    if given.model:
        subjects.append(photographs(given.model, given.photos, given.preprocess))
    found = [evaluate(subject, lambda line: print(line, file=sys.stderr)) for subject in subjects]
    written = lines(found)
    print("\n".join(written))
    if given.page:
        write_page(given.page, written, BEGIN)
    if given.picture:
        draw(found, given.picture)


if __name__ == "__main__":
    main()
