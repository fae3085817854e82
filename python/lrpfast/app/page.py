"""What `explain` writes: the input beside its relevance, with what is explained above, as a picture or as a report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from lrpfast.app.images import resized
from lrpfast.view.blocks import Block, beside, raster, stacked
from lrpfast.view.files import write_whole
from lrpfast.view.grids import LARGE
from lrpfast.view.heatmap import Pixels, full_scale, normalise, pool
from lrpfast.view.maps import enlarged, heat
from lrpfast.view.page import heading, page, panel
from lrpfast.view.report import Subject, make_report

if TYPE_CHECKING:
    from lrpfast.app.explainer import Explainer, Explanation

#: Enlargement from which on the model sees so little of a picture that its own pixels are shown.
COARSE = 4

#: Panels beside each other.
ABREAST = 4


def draw(explainer: Explainer, explanation: Explanation, name: str) -> Block:
    """The page for the picture called `name`: what each composite says of it, on a scale of its own."""
    request, explained = explainer.request, explanation.explained
    panels: list[Block] = []
    scales = []
    for lrp, attribution in zip(explainer.lrps, explanation.attributions, strict=True):
        values = pool(attribution.relevance[0], attribution.channel_axis)
        scales.append(full_scale(values))
        normalised = normalise(values, scales[-1])
        relevance = enlarged(heat(normalised, request.colors), LARGE)
        photo = _photo(explainer, explanation.picture, relevance.width, relevance.height)
        panels += [] if panels else [panel(raster(photo), name)]
        maps = [panel(relevance, f"relevance by {lrp.composite.name}")]
        if request.overlay:
            maps.append(panel(raster(heat(normalised, request.colors, photo)), "relevance over the input"))
        panels += maps if len(explainer.lrps) == 1 else [stacked(maps)]
    rows = stacked([beside(panels[first : first + ABREAST]) for first in range(0, len(panels), ABREAST)])
    facts = [f"score {explained.score:.2f}", explainer.model.name]
    if explanation.rival:
        facts.insert(0, f"against {explanation.rival}")
    if explained != explanation.predictions[0]:
        facts.insert(0, f"predicted: {explanation.predictions[0].name}, {explanation.predictions[0].percent}")
    title = heading(f"{explained.name}, {explained.percent}", " · ".join(facts), rows.width)
    return page([title, rows], request.colors, scales[0] if len(scales) == 1 else None)


def write_report(path: Path, explainer: Explainer, explanation: Explanation, name: str) -> Path:
    """Write the report for the picture called `name`."""
    request, form, classes = explainer.request, explainer.form, explainer.classes
    factor = max(1, round(LARGE / max(form.width, form.height)))
    photo = _photo(explainer, explanation.picture, factor * form.width, factor * form.height)
    probabilities = np.zeros(classes.count)
    for prediction in explanation.predictions:
        probabilities[prediction.index] = prediction.probability
    report = make_report(
        {lrp.composite.name: made for lrp, made in zip(explainer.lrps, explanation.attributions, strict=True)},
        [classes.name(index) for index in range(classes.count)],
        [Subject(name, photo, probabilities, explanation.rival)],
        shlex.join(["lrpfast", *sys.argv[1:]]),
        None if request.colors == "seismic" else request.colors,  # the first of the page, which has another in the dark
    )
    return write_whole(path, lambda file: file.write(report.encode()))


def _photo(explainer: Explainer, picture: Image.Image, width: int, height: int) -> Pixels:
    """The picture in the size of the enlarged heatmap: as sharp as it came, but as the model saw it if small."""
    form, resize = explainer.form, explainer.request.resize
    if width < COARSE * form.width:
        photo = resized(picture, width, height, resize, Image.Resampling.LANCZOS)
    else:
        seen = resized(picture, form.width, form.height, resize)
        photo = seen.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(photo.convert("RGB" if form.channels == 3 else "L"))
