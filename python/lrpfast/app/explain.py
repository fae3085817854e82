"""The command `explain`: what in a picture speaks for a prediction, and what against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from rich.console import Console

from lrpfast.app.classes import Classes, match_labels, probabilities, read_labels
from lrpfast.app.images import Floats, InputFormat, Preprocessing, Resize, resized
from lrpfast.app.outputs import make_folder, plan_outputs
from lrpfast.app.report import Finding, Prediction, print_finding, print_findings, say, seconds, with_progress
from lrpfast.app.samples import composite_with, require_preset
from lrpfast.errors import FileError, InputError
from lrpfast.lrp import LRP, BackendName
from lrpfast.model import Model, load
from lrpfast.view import compose
from lrpfast.view.heatmap import color_table, colorize, normalise, pool
from lrpfast.view.pictures import read_picture, write_picture

#: Enlargement from which on the model sees so little of a picture that its own pixels are shown.
COARSE = 4


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its options."""

    model: Path
    images: list[Path]
    out: Path | None
    composite: str
    parameters: dict[str, float]
    target: str | None
    labels: Path | None
    preprocessing: Preprocessing
    assumed: bool
    """Nobody said how pixels are scaled."""
    resize: Resize
    size: int | None
    overlay: bool
    colors: str
    top: int
    threads: int | None
    backend: BackendName


def run_explain(request: Request) -> None:
    """Explain the pictures, write one file for each, and print what was found.

    What can be refused before the model is loaded is refused then. A picture that cannot be read does not
    keep the others from being explained; an error at the end names it.
    """
    require_preset(request.composite)
    sources = [request.model, *([request.labels] if request.labels else [])]
    outputs = plan_outputs(request.images, request.out, request.composite, sources)
    color_table(request.colors)
    names = read_labels(request.labels) if request.labels else None

    start = perf_counter()
    model = load(request.model)
    loaded = perf_counter()
    form = InputFormat.of(model, request.size)
    classes = classes_of(model, form)
    if request.labels and names is not None:
        classes = match_labels(request.labels, names, classes.count)
    target = None if request.target is None else classes.find(request.target)
    composite = composite_with(request.composite, *request.preprocessing.bounds(form), **request.parameters)
    lrp = LRP(model, composite, backend=request.backend, threads=request.threads)
    prepared = perf_counter()

    explainer = Explainer(request, lrp, form, classes, target)
    findings, problems = [], []
    for image, output in with_progress(list(zip(request.images, outputs, strict=True))):
        try:
            picture = read_picture(image)
        except FileError as error:
            problems.append(error)
            continue
        findings.append(explainer.explain(picture, image, output))
    if findings:
        times = f"Load {seconds(loaded - start)}, prepare {seconds(prepared - loaded)}"
        print_summary(explainer, findings, times)
    if problems:
        raise FileError("\n".join(map(str, problems))) from problems[0]


def print_summary(explainer: Explainer, findings: list[Finding], times: str) -> None:
    """Print what was found, and what the numbers mean."""
    console = Console(highlight=False)
    if len(findings) == 1:
        print_finding(console, findings[0], explainer.lrp.composite.seed == "score")
        times += f", explain {seconds(findings[0].seconds)}."
    else:
        print_findings(console, findings)
        average = sum(finding.seconds for finding in findings) / len(findings)
        times += f", explain {seconds(average)} a picture."
    say(console, times)
    if explainer.origin:
        say(console, f"Probability: {explainer.origin}.", "dim")
    if explainer.request.assumed:
        say(
            console,
            "Pixels were scaled to 0 ... 1, as no --preprocess was given. If the predictions look wrong, the "
            "model was probably trained with another scale; see lrpfast explain --help.",
            "yellow",
        )


def classes_of(model: Model, form: InputFormat) -> Classes:
    """The classes of a model, without names; raises InputError where its output is no list of scores."""
    shape = model.graph.shapes(form.shape)[model.graph.output]
    if math.prod(shape) != max(shape, default=1):
        raise InputError(
            f"The model '{model.name}' gives an output of shape {shape} a picture, not one score a class. "
            f"Explain it in Python: lrpfast.LRP(model).attribute(x, target), target with the output's shape."
        )
    return Classes(math.prod(shape))


class Explainer:
    """Explains pictures one by one with one prepared `LRP`."""

    def __init__(self, request: Request, lrp: LRP, form: InputFormat, classes: Classes, target: int | None) -> None:
        self.request = request
        self.lrp = lrp
        self.form = form
        self.classes = classes
        self.target = target
        self.origin = ""
        """How probabilities came from the scores, known after the first picture."""

    def explain(self, picture: Image.Image, image: Path, output: Path) -> Finding:
        """Explain one picture that was read from `image`, and write what was found to `output`."""
        form, request = self.form, self.request
        sample = request.preprocessing.sample(resized(picture, form.width, form.height, request.resize), form)
        start = perf_counter()
        attribution = self.lrp.attribute(sample[None], self.target)
        took = perf_counter() - start
        scores = attribution.output.reshape(-1)
        shares, self.origin = probabilities(scores, self.lrp.model.dropped_head)
        predictions = [
            Prediction(int(i), self.classes.name(int(i)), float(scores[i]), float(shares[i]))
            for i in np.argsort(-scores, kind="stable")
        ]
        explained = predictions[0]
        if self.target is not None:
            explained = next(prediction for prediction in predictions if prediction.index == self.target)
        values = normalise(pool(attribution.relevance[0], attribution.channel_axis))
        page = self._page(picture, values, image.name, explained, predictions[0])
        make_folder(output.parent)
        written = write_picture(output, page)
        total = float(attribution.relevance.sum(dtype=np.float64))
        return Finding(image, written, explained, tuple(predictions[: request.top]), total, took)

    def _page(
        self, picture: Image.Image, values: Floats, name: str, explained: Prediction, predicted: Prediction
    ) -> Image.Image:
        """The input beside its relevance, with what is explained above."""
        request = self.request
        heat = compose.enlarge(colorize(values, request.colors))
        photo = self._photo(picture, heat.width, heat.height)
        panels = [compose.panel(photo, name), compose.panel(heat, f"relevance by {request.composite}")]
        if request.overlay:
            panels.append(compose.panel(compose.overlay(photo, values, request.colors), "relevance over the input"))
        row = compose.beside(panels)
        facts = [f"score {explained.score:.2f}", self.lrp.model.name]
        if explained != predicted:
            facts.insert(0, f"predicted: {predicted.name}, {predicted.percent}")
        title = compose.heading(f"{explained.name}, {explained.percent}", " · ".join(facts), row.width)
        return compose.page([title, row], request.colors)

    def _photo(self, picture: Image.Image, width: int, height: int) -> Image.Image:
        """The picture in the size of the enlarged heatmap: as sharp as it came, but as the model saw it if small."""
        form, resize = self.form, self.request.resize
        if width < COARSE * form.width:
            photo = resized(picture, width, height, resize, Image.Resampling.LANCZOS)
        else:
            photo = compose.enlarge(resized(picture, form.width, form.height, resize))
        return photo if form.channels == 3 else photo.convert("L").convert("RGB")
