"""The command `explain`: what in a picture speaks for a prediction, and what against it."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console

from lrpfast.app.explainer import Explainer, Request
from lrpfast.app.images import InputFormat
from lrpfast.app.inputs import find_pictures, is_picture
from lrpfast.app.labels import read_labels
from lrpfast.app.outputs import make_folder, plan_outputs
from lrpfast.app.page import draw, write_report
from lrpfast.app.report import Finding, advise, print_finding, print_findings, say, seconds, with_progress, write_json
from lrpfast.app.samples import require_preset
from lrpfast.errors import FileError, InputError, LRPError
from lrpfast.model import load
from lrpfast.view.heatmap import color_table
from lrpfast.view.pictures import read_picture
from lrpfast.view.saving import write_picture


def run_explain(request: Request) -> None:
    """Explain the pictures, write one file for each, and print what was found.

    What can be refused before the model is loaded is refused then. A picture that cannot be read does not
    keep the others from being explained; an error at the end names it.
    """
    for name in request.composites:
        require_preset(name)
    if is_picture(request.model) and any(image.endswith(".onnx") for image in request.images):
        raise InputError(f"'{request.model}' is a picture. The model comes first: lrpfast explain MODEL IMAGE...")
    pictures = find_pictures(request.images)
    sources = [request.model, *([request.labels] if request.labels else [])]
    suffix = ".html" if request.html else ".png"
    outputs = plan_outputs(pictures.files, request.out, "_".join(request.composites), sources, suffix)
    color_table(request.colors)
    names = read_labels(request.labels) if request.labels else None

    start = perf_counter()
    model = load(request.model)
    loaded = perf_counter()
    form = InputFormat.of(model, request.size)
    explainer = Explainer(request, model, form, names)
    times = {"load": loaded - start, "prepare": perf_counter() - loaded}

    findings: list[Finding] = []
    problems: dict[Path, LRPError] = {}
    for image, output in with_progress(list(zip(pictures.files, outputs, strict=True))):
        try:
            explanation = explainer.explain(read_picture(image))
        except FileError as error:
            problems[image] = error
            continue
        except InputError as error:
            problems[image] = InputError(f"'{image}': {error}")
            continue
        make_folder(output.parent)
        if request.html:
            written = write_report(output, explainer, explanation, image.name)
        else:
            written = write_picture(output, draw(explainer, explanation, image.name))
        findings.append(explanation.finding(image, written, request.top))
    notes = [*pictures.notes(), *explainer.doubts()]
    if request.json:
        write_json(figures(explainer, findings, problems, notes, times))
    elif findings:
        print_summary(explainer, findings, notes, times)
    if problems:
        first, *others = problems.values()
        raise LRPError("\n".join(map(str, problems.values()))) if others else first


def print_summary(explainer: Explainer, findings: list[Finding], notes: list[str], times: dict[str, float]) -> None:
    """Print what was found, and what the numbers mean."""
    console = Console(highlight=False)
    if len(findings) == 1:
        print_finding(console, findings[0])
        each = seconds(findings[0].seconds)
    else:
        print_findings(console, findings)
        each = f"{seconds(sum(finding.seconds for finding in findings) / len(findings))} a picture"
    say(console, f"Load {seconds(times['load'])}, prepare {seconds(times['prepare'])}, explain {each}.")
    if explainer.origin:
        say(console, f"Probability: {explainer.origin}.", "dim")
    for note in notes:
        advise(console, note)


def figures(
    explainer: Explainer,
    findings: list[Finding],
    problems: dict[Path, LRPError],
    notes: list[str],
    times: dict[str, float],
) -> dict[str, Any]:
    """What was found, for a program to read; times in seconds."""
    return {
        "model": str(explainer.request.model),
        "composites": explainer.request.composites,
        "probabilities": explainer.origin or "as the model gives them",
        "seconds": times,
        "images": [finding.figures() for finding in findings],
        "errors": [{"image": str(image), "error": str(error)} for image, error in problems.items()],
        "notes": notes,
    }
