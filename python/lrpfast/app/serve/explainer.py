"""What the page asks: pictures as the model sees them, scores, and maps of relevance."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from time import perf_counter

import numpy as np
import numpy.typing as npt
from PIL import Image

from lrpfast.app.classes import Classes, probabilities
from lrpfast.app.images import InputFormat, Preprocessing, Resize, resized
from lrpfast.app.page import COARSE
from lrpfast.app.serve.choices import Choice
from lrpfast.errors import InputError
from lrpfast.lrp import LRP
from lrpfast.model import Model
from lrpfast.view.heatmap import Values, pool
from lrpfast.view.pictures import decode_picture

#: Prepared composites that are kept: each holds the model's weights once more, packed.
KEPT = 4

#: Pixels of the longer side of a picture that is shown, about.
SHOWN = 672


@dataclass(frozen=True)
class Answer:
    """Scores and probabilities of all classes, and a map (H, W) of relevance for each class in `targets`."""

    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    origin: str
    """How the probabilities came from the scores."""
    targets: tuple[int, ...]
    maps: npt.NDArray[np.float32]
    sums: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class Seen:
    """A picture as the model sees it, and a JPEG of the same part as a person sees it."""

    pixels: bytes
    shown: bytes


class Explainer:
    """Explains pictures of one model by any preset; not for several threads at once."""

    def __init__(
        self,
        model: Model,
        form: InputFormat,
        preprocessing: Preprocessing,
        classes: Classes,
        resize: Resize = "crop",
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.form = form
        self.preprocessing = preprocessing
        self.classes = classes
        self.resize: Resize = resize
        self.threads = threads
        self._prepared: OrderedDict[Choice, LRP] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes of a picture as the model sees it, one per channel and pixel."""
        return self.form.channels * self.form.height * self.form.width

    def see(self, file: bytes, most_pixels: int) -> Seen:
        """A picture from the bytes of its file; FileError where they are none."""
        form = self.form
        picture = decode_picture(file, most_pixels)
        mode = "L" if form.channels == 1 else "RGB"
        small = resized(picture, form.width, form.height, self.resize).convert(mode)
        factor = max(1, round(SHOWN / max(form.width, form.height)))
        shown = small
        if factor < COARSE:
            shown = resized(
                picture, factor * form.width, factor * form.height, self.resize, Image.Resampling.LANCZOS
            ).convert(mode)
        buffer = BytesIO()
        shown.save(buffer, "JPEG", quality=92, subsampling=0)
        return Seen(small.tobytes(), buffer.getvalue())

    def explain(self, pixels: bytes, choice: Choice, targets: Sequence[int] | None) -> Answer:
        """Explain a picture as `see` gives it; None explains the highest score."""
        form = self.form
        if len(pixels) != self.size:
            raise InputError(
                f"A picture has {form.width} x {form.height} pixels of {form.channels} bytes, {self.size} bytes in "
                f"all; {len(pixels)} came."
            )
        mode = "L" if form.channels == 1 else "RGB"
        picture = Image.frombytes(mode, (form.width, form.height), pixels)
        sample = self.preprocessing.sample(picture, form)
        start = perf_counter()
        wanted = None if targets is None else np.array([targets])
        attribution = self.lrp(choice).attribute(sample[None], wanted)
        maps = attribution.relevance.reshape(-1, *sample.shape)
        pooled = [pool(map, attribution.channel_axis) for map in maps]
        took = perf_counter() - start
        scores = attribution.output.reshape(-1)
        shares, origin = probabilities(scores, self.model.dropped_head)
        return Answer(
            scores=scores.astype(np.float32),
            probabilities=shares.astype(np.float32),
            origin=origin,
            targets=tuple(int(target) for target in attribution.target.reshape(-1)),
            maps=np.stack(pooled).astype(np.float32),
            sums=tuple(_sum(values) for values in pooled),
            seconds=took,
        )

    def lrp(self, choice: Choice) -> LRP:
        """The model prepared for a choice; the choices of late stay prepared."""
        found = self._prepared.pop(choice, None)
        if found is None:
            while len(self._prepared) >= KEPT:  # before the new one is made, so that memory stays bounded
                self._prepared.popitem(last=False)
            composite = choice.composite(*self.preprocessing.bounds(self.form))
            found = LRP(self.model, composite, threads=self.threads)
        self._prepared[choice] = found
        return found


def _sum(values: Values) -> float:
    return float(values.sum(dtype=np.float64))
