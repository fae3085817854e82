"""Every method on every picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from lrpfast import LRP, Model
from lrpfast.model.layers import Layer, Weighted

from ..applicability import changed
from .measures import (
    Floats,
    Scores,
    area_over,
    area_under,
    blurred,
    curve,
    mass_inside,
    points_into,
    rank_correlation,
    ranked_pixels,
    ranked_regions,
)
from .methods import BLIND, INTEGRATED, METHODS, Question
from .subjects import Subject

#: Steps of insertion and deletion.
STEPS = 20

#: Shares of the weighted layers that are randomised, from the top; of one layer at least.
SHARES = (0.0, 0.25, 0.5, 1.0)

#: How often their weights are shuffled, and how often that is tried.
SHUFFLES, TRIES = 3, 50


@dataclass
class Results:
    """One value a picture for each measure, or a curve: by measure, then by method."""

    subject: Subject
    values: dict[str, dict[str, list[Floats | float]]] = field(default_factory=dict)

    def add(self, measure: str, method: str, value: Floats | float) -> None:
        self.values.setdefault(measure, {}).setdefault(method, []).append(value)


def evaluate(subject: Subject, say: Callable[[str], None]) -> Results:
    """All measures of all methods."""
    results = Results(subject)
    maps = {}
    for name, method in METHODS.items():
        maps[name] = method(subject.question)
        measure(results, name, maps[name])
        say(f"{subject.name}: {name}")
    completeness(results, INTEGRATED, maps[INTEGRATED])
    for count in depths(subject.question.model):
        randomised(results, maps, count)
        say(f"{subject.name}: {count} layers randomised")
    return results


def measure(results: Results, method: str, maps: Floats) -> None:
    """What is measured on one map at a time."""
    subject, question = results.subject, results.subject.question
    predict = LRP(question.model).scores
    for index, (x, target, relevance) in enumerate(zip(question.x, question.target, maps, strict=True)):
        regions = ranked_regions(relevance, subject.region, subject.at_once, index)
        steps = subject.regions // subject.at_once
        drawn = np.random.default_rng(index).uniform(question.low, question.high, x.shape).astype(np.float32)
        for measured, replacement in (("random", drawn), ("blurred", blurred(x))):
            scores = curve(predict, regions, steps, x, replacement)[:, target]
            results.add(f"flipping, {measured}", method, scores / scores[0])
            results.add(f"AOPC, {measured}", method, area_over(scores / scores[0]))
        pixels, empty = ranked_pixels(relevance, STEPS, index), np.zeros_like(x)
        canvas = blurred(x) if subject.blur else empty
        chance = probability(predict, int(target))
        results.add("deletion", method, area_under(curve(chance, pixels, STEPS, x, empty)))
        results.add("insertion", method, area_under(curve(chance, pixels, STEPS, canvas, x)))
        if subject.boxes:
            results.add("pointing", method, float(points_into(relevance, subject.boxes[index])))
            results.add("mass", method, mass_inside(relevance, subject.boxes[index]))


def completeness(results: Results, method: str, maps: Floats) -> None:
    """What shares miss of the difference between the scores of a picture and of zeros."""
    question = results.subject.question
    predict, chosen = LRP(question.model).scores, (np.arange(len(question.x)), question.target)
    gained = (predict(question.x) - predict(np.zeros_like(question.x)))[chosen]
    for missed in maps.sum(axis=(1, 2)) / gained - 1:
        results.add("incomplete", method, abs(float(missed)))


def probability(predict: Scores, target: int) -> Scores:
    """The probability of a class, by softmax."""

    def of(x: Floats) -> Floats:
        scores = predict(x).astype(np.float64)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers[:, target] / powers.sum(axis=1)

    return of


def randomised(results: Results, maps: dict[str, Floats], count: int) -> None:
    """How like themselves maps stay, by magnitude, when layers from the top get shuffled weights.

    One view of each photograph stands for all. Pixels without a value are left out: methods that multiply by the input
    agree with anything there.
    """
    subject = results.subject
    views = slice(None, None, subject.views)
    question = replace(subject.question, x=subject.question.x[views], target=subject.question.target[views])
    for model in islice(alive(question, count), SHUFFLES):
        other = replace(question, model=model)
        for name in METHODS:
            if name in BLIND:
                continue
            for x, before, after in zip(question.x, maps[name][views], METHODS[name](other), strict=True):
                shown = (x != 0).any(axis=0)
                likeness = rank_correlation(np.abs(before[shown]), np.abs(after[shown]))
                results.add(f"randomised, {count}", name, likeness)


def alive(question: Question, count: int) -> Iterator[Model]:
    """Models with shuffled weights in so many layers whose scores are not zero: those have no explanation.

    SqueezeNet ends in a ReLU, so that half of its classes are off.
    """
    for seed in range(TRIES):
        model = shuffled(question.model, count, seed)
        if LRP(model).scores(question.x)[np.arange(len(question.x)), question.target].all():
            yield model


def depths(model: Model) -> list[int]:
    """How many layers are randomised, in one run after the other."""
    return sorted({max(1, round(share * len(weighted(model)))) for share in SHARES})


def weighted(model: Model) -> list[Layer]:
    """Layers with weights, from the top."""
    return [node.layer for node in reversed(model.graph.nodes) if isinstance(node.layer, Weighted)]


def shuffled(model: Model, count: int, seed: int) -> Model:
    """The model with the weights of so many layers, from the top, in random order."""
    rng, chosen = np.random.default_rng(seed), set(weighted(model)[:count])

    def change(layer: Layer) -> Layer:
        if layer not in chosen or not isinstance(layer, Weighted):
            return layer
        bias = None if layer.bias is None else rng.permutation(layer.bias)
        return replace(layer, weight=rng.permutation(layer.weight.ravel()).reshape(layer.weight.shape), bias=bias)

    return replace(model, graph=changed(model.graph, change))
