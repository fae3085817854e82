"""Models and the pictures that they are asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import lrpfast
from lrpfast.app.demo import scaled, shipped
from lrpfast.app.images import PREPROCESSINGS, InputFormat
from lrpfast.app.samples import pixels
from lrpfast.view.pictures import read_picture

from .measures import Box, Floats
from .methods import Question

#: Where the object is in a photograph, in its own pixels, drawn by hand: the face of the cat, the cup without saucer.
BOXES: dict[str, Box] = {"chelsea": (120, 60, 365, 290), "coffee": (170, 15, 410, 310)}

#: Sides of the centred squares that are cut out, as shares of the shorter side; each is mirrored too.
CROPS = (1.0, 0.8)


@dataclass(frozen=True)
class Subject:
    """A model, its pictures, and how they are perturbed.

    Regions have `region` pixels a side; `regions` of them are replaced, `at_once` in a step. Insertion begins with a
    blurred picture, or with zeros where blur would still show the object (`blur`). `boxes` are those of the pictures,
    where there are any; `views` is how many pictures come from one photograph.
    """

    name: str
    question: Question
    region: int
    regions: int
    at_once: int
    blur: bool
    boxes: tuple[Box, ...] = ()
    views: int = 1


def digits() -> Subject:
    """The digits that come with the package."""
    model, images = shipped()
    question = asked(model, scaled(images), np.zeros(1), np.ones(1))
    return Subject(f"digits ({len(images)}, embedded)", question, region=4, regions=49, at_once=1, blur=False)


def photographs(path: Path, folder: Path, scaling: str) -> Subject:
    """Crops of the photographs that have a box, and their mirror images."""
    model = lrpfast.load(path)
    form, preprocessing = InputFormat.of(model), PREPROCESSINGS[scaling]
    samples, boxes = [], []
    for name, box in BOXES.items():
        for picture, inside in views(read_picture(folder / f"{name}.png"), box, form.width):
            sample, _, _ = pixels(model, picture, preprocessing)
            samples.append(sample)
            boxes.append(inside)
    question = asked(model, np.stack(samples), *preprocessing.bounds(form))
    title = f"{path.stem} ({len(samples)} views of {len(BOXES)} photographs)"
    return Subject(title, question, 9, 100, 5, True, tuple(boxes), 2 * len(CROPS))


def asked(model: lrpfast.Model, x: Floats, low: Floats, high: Floats) -> Question:
    """The question for the class that each picture is taken for."""
    return Question(model, x, lrpfast.LRP(model).scores(x).argmax(axis=1), low, high)


def views(picture: Image.Image, box: Box, side: int) -> Iterator[tuple[Image.Image, Box]]:
    """Centred squares of a picture as a model with inputs of `side` pixels sees them, and the box in each."""
    for share in CROPS:
        cut = int(min(picture.size) * share)
        left, top = (picture.width - cut) // 2, (picture.height - cut) // 2
        square = picture.crop((left, top, left + cut, top + cut)).resize((side, side), Image.Resampling.BICUBIC)
        moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        inside = [int(np.clip(round(edge * side / cut), 0, side)) for edge in moved]
        yield square, (inside[0], inside[1], inside[2], inside[3])
        yield ImageOps.mirror(square), (side - inside[2], inside[1], side - inside[0], inside[3])
