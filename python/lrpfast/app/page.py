"""The picture that `explain` writes: the input beside its relevance, with what is explained above."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from lrpfast.app.images import resized
from lrpfast.view import compose
from lrpfast.view.heatmap import colorize, normalise, pool

if TYPE_CHECKING:
    from lrpfast.app.explainer import Explainer, Explanation

#: Enlargement from which on the model sees so little of a picture that its own pixels are shown.
COARSE = 4

#: Panels beside each other.
ABREAST = 4


def draw(explainer: Explainer, explanation: Explanation, name: str) -> Image.Image:
    """The page for the picture called `name`: what each composite says of it."""
    request, explained = explainer.request, explanation.explained
    panels: list[Image.Image] = []
    for lrp, attribution in zip(explainer.lrps, explanation.attributions, strict=True):
        values = normalise(pool(attribution.relevance[0], attribution.channel_axis))
        heat = compose.enlarge(colorize(values, request.colors))
        photo = _photo(explainer, explanation.picture, heat.width, heat.height)
        panels += [] if panels else [compose.panel(photo, name)]
        panels.append(compose.panel(heat, f"relevance by {lrp.composite.name}"))
        if request.overlay:
            panels.append(compose.panel(compose.overlay(photo, values, request.colors), "relevance over the input"))
    lines = [compose.beside(panels[first : first + ABREAST]) for first in range(0, len(panels), ABREAST)]
    rows = compose.stacked(lines)
    facts = [f"score {explained.score:.2f}", explainer.model.name]
    if explanation.rival:
        facts.insert(0, f"against {explanation.rival}")
    if explained != explanation.predictions[0]:
        facts.insert(0, f"predicted: {explanation.predictions[0].name}, {explanation.predictions[0].percent}")
    title = compose.heading(f"{explained.name}, {explained.percent}", " · ".join(facts), rows.width)
    return compose.page([title, rows], request.colors)


def _photo(explainer: Explainer, picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture in the size of the enlarged heatmap: as sharp as it came, but as the model saw it if small."""
    form, resize = explainer.form, explainer.request.resize
    if width < COARSE * form.width:
        photo = resized(picture, width, height, resize, Image.Resampling.LANCZOS)
    else:
        photo = compose.enlarge(resized(picture, form.width, form.height, resize))
    return photo if form.channels == 3 else photo.convert("L").convert("RGB")
