"""Explanations beside each other: of several samples, for several classes, by several presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lrpfast.attribution import Attribution, explained
from lrpfast.errors import InputError
from lrpfast.view.extras import optional
from lrpfast.view.heatmap import PERCENTILE

if TYPE_CHECKING:
    from lrpfast.view.saving import Picture


def grid(
    attributions: Attribution | Mapping[str, Attribution],
    *,
    names: Sequence[str] = (),
    labels: Sequence[str] = (),
    words: Sequence[Sequence[str]] = (),
    overlay: bool = False,
    shared: bool = False,
    colors: str = "seismic",
    percentile: float = PERCENTILE,
) -> Picture:
    """A picture of explanations: a row a sample, a column a preset and class.

    Parameters
    ----------
    attributions : Attribution, or mapping of str to Attribution
        Explanations of one batch, under the names of their columns, such as presets.
    names : sequence of str
        What the samples are called; left out, they are numbered.
    labels : sequence of str
        Names of the model's classes, in their order, for the captions.
    words : sequence of sequences of str
        For models of text: the tokens of each sample as text.
    overlay : bool
        Draw each heatmap over its input in grey.
    shared : bool
        Give all maps the same scale, so that their colours can be compared; the colour bar then has numbers.
        Otherwise each map has its own.
    colors, percentile
        As in `Attribution.heatmap`; with `shared` the percentile is that of all maps together.

    Returns
    -------
    Picture
        Has ``save(path)`` for PNG, SVG, PDF and other formats, and shows itself in a notebook.

    Raises
    ------
    InputError
        There is nothing to draw, the attributions or names differ in their number of samples, or relevance cannot be
        drawn: it is not finite, or has more than three axes besides the channels.
    MissingExtraError
        pillow or matplotlib is not installed.

    Examples
    --------
    >>> presets = ("epsilon_plus", "gradient_x_input")
    >>> found = {name: lrpfast.LRP(model, name).attribute(x) for name in presets}
    >>> lrpfast.grid(found, names=["cat", "cup"]).save("presets.pdf")
    """
    with optional("Drawing a picture"):
        from lrpfast.view import grids
        from lrpfast.view.saving import Picture
    columns = {"": attributions} if isinstance(attributions, Attribution) else dict(attributions)
    counts = {len(attribution.relevance) for attribution in columns.values()} or {0}
    if len(counts) > 1:
        raise InputError(f"Attributions in one picture explain the same samples; these have {sorted(counts)}.")
    (count,) = counts
    for what, given in (("names", names), ("words", words)):
        if len(given) not in (0, count):
            raise InputError(f"There are {len(given)} {what} for {count} samples.")
    cells = [
        (header, attribution, place)
        for header, attribution in columns.items()
        for place in range(attribution.explanations)
    ]
    rows = [
        [
            explained(attribution, sample, place, labels=labels, words=words[sample] if words else None)
            for _, attribution, place in cells
        ]
        for sample in range(count)
    ]
    block = grids.grid(
        rows,
        names=names or [f"sample {sample}" for sample in range(count)],
        headers=[header for header, *_ in cells] if any(columns) else (),
        overlay=overlay,
        colors=colors,
        shared=shared,
        percentile=percentile,
    )
    return Picture(block)
