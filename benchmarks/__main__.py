"""python -m benchmarks: lrpfast and its competitors on the same models, in one run; see docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .libraries import METHODS
from .machine import circumstances, import_seconds
from .measure import start_and_memory, times
from .models import Subject, set_task, subjects
from .process import ROOT, Interpreters, environment
from .report import lines, write_page

#: who can be asked without ONNX
ONNX_READERS = ("lrpfast", "reference", "onnxruntime")

#: the parts of a run beside the times
PARTS = ("starts", "imports", "kernels")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add, cores = parser.add_argument, os.cpu_count() or 1
    add("--models", type=Path, nargs="+", default=[], metavar="DIR", help="folders of further .onnx files")
    add("--photos", type=Path, metavar="DIR", help="photographs to explain; seeded noise without them")
    add("--threads", type=int, nargs="+", default=[min(cores, 2)], help="threads of every competitor")
    add("--batch", type=int, nargs="+", default=[1], help="samples a call")
    add("--only", nargs="+", default=[], metavar="NAME", help="models whose name holds one of these; none: 'nothing'")
    add("--peers", nargs="+", default=list(METHODS), choices=METHODS, metavar="NAME", help=", ".join(METHODS))
    add("--peer-python", metavar="PATH", help="interpreter that has torch, zennit, captum")
    add("--innvestigate-python", metavar="PATH", help="interpreter that has iNNvestigate")
    add("--seconds", type=float, default=40.0, help="seconds of turns for a model, thread count and batch")
    add("--without", nargs="+", default=[], choices=PARTS, help="parts to leave out")
    add("-o", "--out", type=Path, metavar="FILE", help="where all figures go as JSON")
    add("--page", type=Path, metavar="FILE", help="Markdown file that gets the tables between its marks")
    add("--show", type=Path, nargs="+", metavar="FILE", help="measure nothing, print the figures of JSON files")
    add("--remark", metavar="TEXT", help="printed with the description of the machine")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    found = together([json.loads(path.read_text()) for path in given.show]) if given.show else run(given)
    if given.remark:
        found["machine"]["remark"] = given.remark
    written = lines(found)
    print("\n".join(written))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    if given.page:
        write_page(given.page, written)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that was asked for."""
    pythons = Interpreters(given.peer_python, given.innvestigate_python)
    libraries = [name for name in METHODS if name in given.peers and pythons.of(name)]
    others = dict.fromkeys(python for python in (given.peer_python, given.innvestigate_python) if python)
    found: dict[str, Any] = {"machine": circumstances(others)}
    found["models"] = [model(subject, libraries, pythons, given) for subject in subjects(given.models, given.only)]
    found["imports"] = [] if "imports" in given.without else imports(pythons, libraries)
    found["kernels"] = {} if "kernels" in given.without else kernels(given.threads[0])
    return found


def together(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several runs on one machine as one: its first description, all models."""
    found = {"machine": runs[0]["machine"], "models": [model for run in runs for model in run["models"]]}
    return found | {part: next((run[part] for run in runs if run[part]), None) for part in ("imports", "kernels")}


def model(
    subject: Subject, libraries: Sequence[str], pythons: Interpreters, given: argparse.Namespace
) -> dict[str, Any]:
    """Measure one model."""
    say(subject.name)
    with TemporaryDirectory() as name:
        folder = Path(name)
        shown, reason = set_task(subject, folder, given.photos)
        able = [library for library in libraries if not reason or library in ONNX_READERS]
        rows = []
        for threads in given.threads:
            for batch in given.batch:
                say(f"  {threads} threads, batch {batch}: {', '.join(able)}")
                rows += times(folder, able, pythons, threads, batch, given.seconds)
        say("  start and memory")
        starts = [] if "starts" in given.without else start_and_memory(folder, able, pythons, given.threads[0])
    head = {"name": subject.name, "weights": subject.weights, "input": shown, "peers": reason}
    return {**head, "times": rows, "starts": starts}


def imports(pythons: Interpreters, libraries: Sequence[str]) -> list[dict[str, Any]]:
    """What importing a library costs once NumPy and onnx are there."""
    say("imports")
    before = {"lrpfast": "numpy, onnx", "onnxruntime": "numpy, onnx", "torch": "numpy", "captum": "numpy"}
    packages = {"captum": "captum.attr"}
    rows = []
    for library in libraries:
        python = pythons.of(library)
        if library in before and python:
            took = import_seconds(python, before[library], packages.get(library, library))
            if took is not None:
                rows.append({"package": library, "before": before[library], "seconds": took})
    return rows


def kernels(threads: int) -> dict[str, Any]:
    """The kernels' benchmarks, which pytest runs."""
    say("kernels")
    with TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "pytest", "-q", "benchmarks", f"--threads={threads}", f"--rows={rows}"]
        done = subprocess.run(command, cwd=ROOT, env=environment(threads), capture_output=True, text=True, check=False)
        if not rows.exists():
            say(f"no kernels were measured: {(done.stdout + done.stderr).strip().splitlines()[-1:]}")
            return {}
        measured: dict[str, Any] = json.loads(rows.read_text())
        return measured


def say(text: str) -> None:
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
