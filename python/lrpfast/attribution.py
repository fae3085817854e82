"""The explanation of a batch of inputs."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError, LRPError
from lrpfast.view.extras import optional
from lrpfast.view.files import check_writable, write_whole
from lrpfast.view.heatmap import PERCENTILE, Pixels, normalise, pool, strip
from lrpfast.view.maps import grey, heat

if TYPE_CHECKING:
    from lrpfast.view.grids import Explained

#: Samples, and explanations of each, that a notebook shows.
SHOWN = (4, 5)


@dataclass(frozen=True)
class Origin:
    """Where an attribution comes from.

    Attributes
    ----------
    model : str
        Name of the model.
    method : str
        Name of the composite, or of what was computed in its place.
    backend : str
        What computed, with which instructions.
    conserves : bool
        Whether relevance is a share of what was explained, rather than a gradient.
    """

    model: str
    method: str
    backend: str
    conserves: bool


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """What each element of the input contributed to the explained scores.

    `LRP.attribute` and the functions of `lrpfast.baselines` make it; N is the number of samples, T that of
    explanations per sample.

    Attributes
    ----------
    relevance : ndarray, shape (N, ...) or (N, T, ...)
        Relevance of every input element: the shape of the input, with a second axis where several
        explanations per sample were asked for. Positive speaks for what was explained, negative against it.
    output : ndarray, shape (N, classes)
        Scores of the model, before a final softmax or sigmoid.
    target : ndarray
        What was explained: class indices of shape (N,) or (N, T), or the seed itself, of the output's shape.
    input : ndarray, shape (N, ...)
        What the model was given.
    audit : object
        Where relevance was absorbed, layer by layer; ``print(attribution.audit)`` shows a table. None where no
        relevance went through the layers.
    channel_axis : int or None
        Axis of a sample (the batch not counted) that holds the channels: 0 for NCHW, 2 for NHWC, None for
        vectors.
    layers : dict of str to ndarray, shape (N, C, ...) or (N, T, C, ...)
        Relevance at the output of the layers that were asked for, channels first.
    origin : Origin or None
        The model, the method and the backend.
    """

    relevance: npt.NDArray[np.floating[Any]]
    output: npt.NDArray[np.floating[Any]]
    target: npt.NDArray[Any]
    input: npt.NDArray[np.floating[Any]]
    audit: object = None
    channel_axis: int | None = None
    layers: dict[str, npt.NDArray[np.floating[Any]]] = field(default_factory=dict)
    origin: Origin | None = None

    def __repr__(self) -> str:
        relevance = f"{self.relevance.dtype} {self.relevance.shape}"
        return f"Attribution(relevance={relevance}, output={self.output.shape})"

    @property
    def explanations(self) -> int:
        """How many explanations each sample has."""
        return self.relevance.shape[1] if self._several else 1

    @property
    def _several(self) -> bool:
        return self.relevance.ndim == self.input.ndim + 1

    def channels(self, layer: str) -> npt.NDArray[np.floating[Any]]:
        """Relevance of each channel of a layer that was asked for, summed over its map.

        ``channels(layer)[0].argsort()[::-1]`` ranks those of the first sample by what they contributed.

        Parameters
        ----------
        layer : str
            Its name, as it was given in ``layers=``.

        Returns
        -------
        ndarray, shape (N, C) or (N, T, C)

        Raises
        ------
        InputError
            The layer was not among those that `LRP.attribute` was asked for.
        """
        if layer not in self.layers:
            listing = ", ".join(self.layers) or "none"
            raise InputError(
                f"Relevance of the layer {layer!r} was not asked for (only: {listing}); pass it in layers=."
            )
        found, leading = self.layers[layer], self.relevance.ndim - self.input.ndim + 2
        return np.asarray(found.reshape(*found.shape[:leading], -1).sum(axis=-1))

    def heatmap(
        self,
        sample: int = 0,
        explanation: int = 0,
        *,
        overlay: bool = False,
        colors: str = "seismic",
        scale: float | None = None,
        percentile: float = PERCENTILE,
    ) -> Pixels:
        """Relevance of one sample as a picture.

        Relevance is summed over the channels. Its colours are symmetric about zero, which is white in most
        colour maps (black in "coldnhot").

        Parameters
        ----------
        sample : int
            Which sample of the batch.
        explanation : int
            Which of several explanations of that sample.
        overlay : bool
            Draw relevance over the input in grey, the stronger the more opaque.
        colors : str
            "seismic", "bwr", "coldnhot", "blueorange" (told apart by colour-blind people), or another colour
            map of matplotlib.
        scale : float, optional
            Relevance that gets the full colour; give several heatmaps the same one to compare them.
        percentile : float
            Where `scale` is None, it is this percentile of the magnitude of the pooled relevance rather than
            its maximum, so that a few extreme pixels do not leave the rest of the picture blank.

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
            Colours. The relevance of a vector gives a strip with one column per element.

        Raises
        ------
        InputError
            There is no such sample or explanation, or its relevance is no picture or vector.
        MissingExtraError
            matplotlib is not installed.
        """
        pooled = strip(pool(self._selected(sample, explanation), self.channel_axis))
        under = np.broadcast_to(grey(self.input[sample], self.channel_axis), pooled.shape) if overlay else None
        return heat(normalise(pooled, scale, percentile), colors, under)

    def save(
        self,
        path: str | os.PathLike[str],
        sample: int = 0,
        explanation: int = 0,
        *,
        beside: bool = True,
        overlay: bool = False,
        words: Sequence[str] | None = None,
        colors: str = "seismic",
        scale: float | None = None,
        percentile: float = PERCENTILE,
    ) -> Path:
        """Write one explanation to a file, which then is there as a whole or not at all.

        The shape of a sample, channels aside, decides how it is shown: two axes as a heatmap beside the input in
        grey, one as a trace of the input in the colours of its relevance (as many traces as there are channels, up to
        12; where positions are more than pixels, their mean relevance), three as slices along the first.

        Parameters
        ----------
        path : path-like
            Ends in ".npy" for the relevance as an array, or in the suffix of a picture: ".png", ".jpg", ".webp",
            ".tiff", or ".svg" and ".pdf", in which text is text.
        sample, explanation : int
            As in `heatmap`.
        beside : bool
            Show the input and a colour bar too. Otherwise the picture is what `heatmap` returns.
        overlay : bool
            Draw heatmaps over the input, as in `heatmap`.
        words : sequence of str, optional
            The sample's tokens as text, to be shaded by their relevance.
        colors, scale, percentile
            As in `heatmap`.

        Returns
        -------
        Path
            Where it was written.

        Raises
        ------
        InputError
            As `heatmap`, or the suffix is that of no picture.
        LRPError
            The file cannot be written: the folder is missing, the path is a folder, there is no permission.
        MissingExtraError
            pillow or matplotlib is not installed.
        """
        path = Path(path)
        if path.suffix.lower() == ".npy":
            relevance = self._selected(sample, explanation)
            return write_whole(path, lambda file: np.save(file, relevance))
        with optional("Writing a picture"):
            from lrpfast.view.blocks import raster
            from lrpfast.view.grids import grid
            from lrpfast.view.pictures import picture_format
            from lrpfast.view.saving import write_picture
        picture_format(path)
        check_writable(path)
        if not beside:
            pixels = self.heatmap(
                sample, explanation, overlay=overlay, colors=colors, scale=scale, percentile=percentile
            )
            return write_picture(path, raster(pixels))
        rows = [[explained(self, sample, explanation, words=words)]]
        page = grid(rows, names=[""], overlay=overlay, colors=colors, scale=scale, percentile=percentile)
        return write_picture(path, page)

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        labels: Sequence[str] | None = None,
        words: Sequence[Sequence[str]] | None = None,
    ) -> str:
        """A report: one HTML page that needs no network, with everything that there is to see.

        It shows the input, the highest scores, the heatmaps with values under the pointer, all samples and explanations
        to choose from, relevance of the layers that were asked for, the account layer by layer with the rules, and what
        made it. Volumes are shown slice by slice, vectors and signals as lines and bars. Each explanation of 224 by 224
        pixels takes 270 KB.

        Parameters
        ----------
        path : path-like, optional
            Where to write it, whole or not at all.
        labels : sequence of str, optional
            Names of the classes, in their order.
        words : sequence of sequences of str, optional
            For each sample of one axis what it holds: the tokens of a text, or the names of features.

        Returns
        -------
        str
            The page.

        Raises
        ------
        InputError
            The input has more than three axes besides the channels, the relevance is not finite, or there are not as
            many labels as classes, or words as elements.
        FileError
            The file cannot be written.
        MissingExtraError
            pillow or matplotlib is not installed.

        Examples
        --------
        >>> attribution.to_html("cat.html", labels=names)
        """
        from lrpfast.view.report import Subject, make_report

        if path is not None:
            check_writable(path)
        method = "relevance" if self.origin is None else self.origin.method
        if words is not None and len(words) != len(self.input):
            raise InputError(f"There are words for {len(words)} samples, and {len(self.input)} samples.")
        page = make_report({method: self}, labels, [Subject(words=tokens) for tokens in words or ()])
        if path is not None:
            write_whole(path, lambda file: file.write(page.encode()))
        return page

    def _repr_png_(self) -> bytes | None:
        """The first explanations of the first samples, for a notebook; None where they cannot be drawn."""
        try:
            with optional("Drawing a picture"):
                from lrpfast.view.grids import grid
                from lrpfast.view.saving import Picture
            there = len(self.relevance), self.explanations
            samples, explanations = map(min, SHOWN, there)
            rows = [[explained(self, sample, place) for place in range(explanations)] for sample in range(samples)]
            names = [f"sample {sample}" for sample in range(samples)]
            left_out = (samples, explanations) != there
            note = f"The first {samples} of {there[0]} samples, {explanations} of {there[1]} explanations of each"
            return Picture(grid(rows, names=names, note=note if left_out else ""))._repr_png_()
        except LRPError:
            return None

    def _selected(self, sample: int, explanation: int) -> npt.NDArray[np.floating[Any]]:
        _check_index("sample", sample, len(self.relevance))
        _check_index("explanation", explanation, self.explanations)
        chosen = self.relevance[sample]
        return np.asarray(chosen[explanation] if self._several else chosen)


def explained(
    attribution: Attribution,
    sample: int = 0,
    explanation: int = 0,
    *,
    labels: Sequence[str] = (),
    words: Sequence[str] | None = None,
) -> Explained:
    """One explanation as it is drawn; its caption says which class was explained, by its label if there is one."""
    from lrpfast.view.grids import Explained

    relevance = attribution._selected(sample, explanation)
    caption = "relevance"
    target = np.asarray(attribution.target)
    if np.issubdtype(target.dtype, np.integer):
        indices = target.reshape(len(target), -1)[sample]
        index = int(indices[explanation if len(indices) > 1 else 0])  # one class may be explained through several masks
        name = labels[index] if index < len(labels) else f"class {index}"
        caption = f"{name}, score {attribution.output[sample].reshape(-1)[index]:.2f}"
    return Explained(relevance, attribution.input[sample], attribution.channel_axis, caption, words)


def _check_index(name: str, index: int, count: int) -> None:
    if not 0 <= operator.index(index) < count:
        raise InputError(f"There is no {name} {index}: there are {count}, counted from 0.")
