"""The explanation of a batch of inputs."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrpfast.errors import InputError
from lrpfast.view.extras import optional
from lrpfast.view.files import check_writable, write_whole
from lrpfast.view.heatmap import PERCENTILE, Pixels, colorize, normalise, pool, strip

if TYPE_CHECKING:
    from PIL import Image


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
    """

    relevance: npt.NDArray[np.floating[Any]]
    output: npt.NDArray[np.floating[Any]]
    target: npt.NDArray[Any]
    input: npt.NDArray[np.floating[Any]]
    audit: object = None
    channel_axis: int | None = None
    layers: dict[str, npt.NDArray[np.floating[Any]]] = field(default_factory=dict)

    def __repr__(self) -> str:
        relevance = f"{self.relevance.dtype} {self.relevance.shape}"
        return f"Attribution(relevance={relevance}, output={self.output.shape})"

    def channels(self, layer: str) -> npt.NDArray[np.floating[Any]]:
        """Relevance of each channel of a layer that was asked for, summed over its map.

        ``channels(layer)[0].argsort()[::-1]`` ranks those of the first sample by what they contributed.

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
        return colorize(normalise(pooled, scale, percentile), colors)

    def save(
        self,
        path: str | os.PathLike[str],
        sample: int = 0,
        explanation: int = 0,
        *,
        beside: bool = True,
        colors: str = "seismic",
        scale: float | None = None,
        percentile: float = PERCENTILE,
    ) -> Path:
        """Write one explanation to a file, which then is there as a whole or not at all.

        Parameters
        ----------
        path : path-like
            Ends in ".npy" for the relevance as an array, or in the suffix of a picture, such as ".png".
        sample, explanation : int
            As in `heatmap`.
        beside : bool
            Show the input beside the heatmap, in grey, with small inputs enlarged. Otherwise the picture is
            what `heatmap` returns.
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
            from lrpfast.view.pictures import picture_format, write_picture
        picture_format(path)
        check_writable(path)
        heatmap = self.heatmap(sample, explanation, colors=colors, scale=scale, percentile=percentile)
        return write_picture(path, self._picture(heatmap, sample, colors, beside))

    def _picture(self, heatmap: Pixels, sample: int, colors: str, beside: bool) -> Image.Image:
        from PIL import Image

        from lrpfast.view import compose

        if not beside:
            return Image.fromarray(heatmap)
        panels = [compose.framed(compose.enlarge(heatmap))]
        shown = compose.grey(self.input[sample], self.channel_axis)
        if shown.shape == heatmap.shape[:2]:
            panels.insert(0, compose.framed(compose.enlarge(shown)))
        return compose.page([compose.beside(panels)], colors)

    def _selected(self, sample: int, explanation: int) -> npt.NDArray[np.floating[Any]]:
        several = self.relevance.ndim == self.input.ndim + 1
        _check_index("sample", sample, self.relevance.shape[0])
        _check_index("explanation", explanation, self.relevance.shape[1] if several else 1)
        chosen = self.relevance[sample, explanation] if several else self.relevance[sample]
        return np.asarray(chosen)


def _check_index(name: str, index: int, count: int) -> None:
    if not 0 <= operator.index(index) < count:
        raise InputError(f"There is no {name} {index}: there are {count}, counted from 0.")
