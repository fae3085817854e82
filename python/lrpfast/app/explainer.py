"""What a model says of one picture after another, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from lrpfast.app.classes import Classes, probabilities
from lrpfast.app.doubts import doubt, undecided
from lrpfast.app.images import Floats, InputFormat, Preprocessing, Resize, resized
from lrpfast.app.labels import match_labels
from lrpfast.app.report import Account, Finding, Prediction
from lrpfast.app.samples import composites_with
from lrpfast.attribution import Attribution
from lrpfast.engine.audit import Audit
from lrpfast.errors import InputError
from lrpfast.lrp import LRP, BackendName
from lrpfast.model import Model
from lrpfast.seeds import Against


@dataclass(frozen=True)
class Request:
    """What the command was asked for; the fields are its options."""

    model: Path
    images: list[str]
    out: Path | None
    composites: list[str]
    parameters: dict[str, float]
    target: str | None
    against: str | None
    labels: Path | None
    preprocessing: Preprocessing
    assumed: bool
    """Nobody said how pixels are scaled."""
    resize: Resize
    size: int | None
    overlay: bool
    html: bool
    colors: str
    top: int
    threads: int | None
    backend: BackendName
    json: bool


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a model says of one picture, and why: an attribution and an account for each composite.

    `predictions` are all classes, the most probable first; `rival` and `score` are those of `Finding`.
    """

    picture: Image.Image
    predictions: list[Prediction]
    explained: Prediction
    rival: str
    score: float
    attributions: list[Attribution]
    accounts: tuple[Account, ...]

    def finding(self, image: Path, written: Path, top: int) -> Finding:
        """What is told of it, with so many predictions."""
        listed = tuple(self.predictions[:top])
        return Finding(image, written, self.explained, self.rival, self.score, listed, self.accounts)


class Explainer:
    """Explains pictures one by one, with an `LRP` for each composite."""

    def __init__(self, request: Request, model: Model, form: InputFormat, names: tuple[str, ...] | None) -> None:
        self.request = request
        self.model = model
        self.form = form
        self.classes = classes_of(model, form)
        if request.labels and names is not None:
            self.classes = match_labels(request.labels, names, self.classes.count)
        self.target = None if request.target is None else self.classes.find(request.target)
        self.against = None if request.against is None else against_of(request.against, self.classes)
        if self.target is not None and self.target == self.against:
            name = self.classes.name(self.target)
            raise InputError(f"{name} cannot be told apart from itself; choose another class for --against.")
        bounds = request.preprocessing.bounds(form)
        composites = composites_with(request.composites, *bounds, **request.parameters)
        self.inside = stations(model, form.shape) if request.html else ()
        """Layers whose relevance is shown too."""
        self.lrps = [LRP(model, made, backend=request.backend, threads=request.threads) for made in composites]
        self.origin = ""
        """How probabilities came from the scores, known after the first picture."""
        self._first: Image.Image | None = None
        self._highest = 0.0
        """The highest probability of any class of any picture."""
        self._undecided = True
        """Whether the model told its classes hardly apart on all pictures."""

    def explain(self, picture: Image.Image) -> Explanation:
        """Explain one picture; InputError where its class cannot be told apart from what is asked."""
        sample = self.sample(picture, self.request.preprocessing)
        attributions, times = [], []
        for lrp in self.lrps:
            start = perf_counter()
            attributions.append(lrp.attribute(sample[None], self.target, against=self.against, layers=self.inside))
            times.append(perf_counter() - start)
        scores = attributions[0].output.reshape(-1)
        shares, self.origin = probabilities(scores, self.model.dropped_head)
        self._first = self._first or picture
        self._highest = max(self._highest, float(shares.max()))
        self._undecided = self._undecided and undecided(shares)
        order = [int(index) for index in np.argsort(-scores, kind="stable")]
        predictions = [Prediction(i, self.classes.name(i), float(scores[i]), float(shares[i])) for i in order]
        place = 0 if self.target is None else order.index(self.target)
        explained = predictions[place]
        rival, score = self._rival(explained, predictions)
        accounts = tuple(map(account, self.lrps, attributions, [score] * len(times), times))
        return Explanation(picture, predictions, explained, rival, score, attributions, accounts)

    def _rival(self, explained: Prediction, predictions: list[Prediction]) -> tuple[str, float]:
        """What the class is told apart from, in words, and how much its score is above that."""
        if self.against is None:
            return "", explained.score
        others = [prediction for prediction in predictions if prediction != explained]
        if self.against == "others":
            return "the mean of all others", explained.score - math.fsum(other.score for other in others) / len(others)
        runner_up = self.against == "runner_up"
        rival = others[0] if runner_up else next(other for other in others if other.index == self.against)
        return rival.name, explained.score - rival.score

    def sample(self, picture: Image.Image, preprocessing: Preprocessing) -> Floats:
        """What the model takes for a picture."""
        return preprocessing.sample(resized(picture, self.form.width, self.form.height, self.request.resize), self.form)

    def doubts(self) -> list[str]:
        """What is to be told about the scale of the pixels, after the last picture."""
        first = self._first
        if first is None:
            return []

        def scores(preprocessing: Preprocessing) -> Floats:
            return self.lrps[0].scores(self.sample(first, preprocessing)[None]).reshape(-1)

        certainty = self._highest if self._undecided else None
        told = doubt(certainty, self.request.assumed, scores, self.model.dropped_head, self.classes.name)
        return [told] if told else []


def account(lrp: LRP, attribution: Attribution, score: float, took: float) -> Account:
    """What became of the relevance of one picture; a gradient is no share of a score."""
    relevance = float(attribution.relevance.sum(dtype=np.float64))
    if lrp.composite.seed != "score" or not isinstance(attribution.audit, Audit):
        return Account(lrp.composite.name, relevance, None, None, took)
    layers = attribution.audit.layers
    absorbed = {
        cause: math.fsum(float(getattr(layer, cause).sum()) for layer in layers)
        for cause in ("bias", "stabilizer", "rule", "rounding")
    }
    return Account(lrp.composite.name, relevance, relevance / score if score else None, absorbed, took)


def stations(model: Model, sample: tuple[int, ...]) -> tuple[str, ...]:
    """Of the layers that all relevance goes through, the last one for each size of their maps, from the output on."""
    graph, shapes = model.graph, model.graph.shapes(sample)
    last_use = {name: place for place, node in enumerate(graph.nodes) for name in node.inputs}
    found, needed = {}, last_use[graph.input]
    for place, node in enumerate(graph.nodes):
        extent = shapes[node.output][1:]
        if needed <= place and math.prod(extent) > 1:  # what comes later knows of nothing earlier but this
            found[extent] = node.name
        needed = max(needed, last_use.get(node.output, place))
    return tuple(reversed(found.values()))


def against_of(wanted: str, classes: Classes) -> Against:
    """What `wanted` tells a class apart from: "runner_up", "others", or a class."""
    if wanted == "runner_up":
        return "runner_up"
    return "others" if wanted == "others" else classes.find(wanted)


def classes_of(model: Model, form: InputFormat) -> Classes:
    """The classes of a model, without names; raises InputError where its output is no list of scores."""
    shape = model.graph.shapes(form.shape)[model.graph.output]
    if math.prod(shape) != max(shape, default=1):
        raise InputError(
            f"The model '{model.name}' gives an output of shape {shape} a picture, not one score a class. "
            f"Explain it in Python: lrpfast.LRP(model).attribute(x, target), target with the output's shape."
        )
    return Classes(math.prod(shape))
