"""From a picture to what a model takes: size, scale of the values, order of the channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.check.probe import DEFAULT_SIZE
from lrpfast.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from lrpfast import Model

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Resize: TypeAlias = Literal["crop", "squash"]


@dataclass(frozen=True)
class InputFormat:
    """Pictures that a model takes; `channel_axis` is an axis of a sample, the batch axis not counted."""

    channels: int
    height: int
    width: int
    channel_axis: int

    @classmethod
    def of(cls, model: Model, size: int | None = None) -> InputFormat:
        """Format of a model's input; `size` is that of axes which the model leaves free."""
        sample = tuple(model.input_shape[1:])
        channel_axis = model.graph.input_permutation[0] if len(model.graph.input_permutation) == 3 else 0
        channels = sample[channel_axis] if len(sample) == 3 else None
        if channels not in (1, 3):
            raise InputError(
                f"The model '{model.name}' takes inputs of shape {_shape(model.input_shape)}, which are no "
                f"pictures with 1 or 3 channels. Explain it in Python: lrpfast.LRP(model).attribute(x)."
            )
        height, width = (sample[axis] for axis in range(3) if axis != channel_axis)
        if size is not None and height and width:
            raise InputError(f"The model '{model.name}' takes pictures of {height} x {width} pixels; leave out --size.")
        free = size or DEFAULT_SIZE
        return cls(channels, height or free, width or free, channel_axis)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        sizes = [self.height, self.width]
        sizes.insert(self.channel_axis, self.channels)
        return tuple(sizes)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


@dataclass(frozen=True)
class Preprocessing:
    """Input values of a model: ``(pixel * scale - mean) / std``, pixels from 0 to 255.

    `mean` and `std` are one number, or one per channel in the order that the model takes them in.
    """

    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False

    def adjusted(
        self, mean: tuple[float, ...] | None, std: tuple[float, ...] | None, bgr: bool | None
    ) -> Preprocessing:
        """The same with what is given in place of its own."""
        return replace(
            self,
            mean=self.mean if mean is None else mean,
            std=self.std if std is None else std,
            bgr=self.bgr if bgr is None else bgr,
        )

    def sample(self, picture: Image.Image, form: InputFormat) -> npt.NDArray[np.float32]:
        """Input of a model, without the batch axis, from a picture that has the model's size."""
        sample = np.empty(form.shape, np.float32)
        self.fill(sample, picture, form)
        return sample

    def fill(self, sample: npt.NDArray[Any], picture: Image.Image, form: InputFormat) -> None:
        """As `sample`, into an array that is there."""
        pixels = np.asarray(picture.convert("L" if form.channels == 1 else "RGB"))
        pixels = pixels.reshape(*pixels.shape[:2], form.channels)[..., :: -1 if self.bgr else 1]
        levels = np.arange(256.0)[:, None] * self.scale - self._per_channel(self.mean, form)
        levels = (levels / self._per_channel(self.std, form)).astype(np.float32)  # what each byte becomes, by channel
        for c, plane in enumerate(np.moveaxis(sample, form.channel_axis, 0)):
            plane[...] = np.take(levels[:, c], pixels[..., c], mode="clip")

    def bounds(self, form: InputFormat) -> tuple[Floats, Floats]:
        """Lowest and highest value that a pixel can take, per channel, shaped to broadcast to a sample."""
        mean, std = self._per_channel(self.mean, form), self._per_channel(self.std, form)
        shape = [1, 1, 1]
        shape[form.channel_axis] = form.channels
        return (-mean / std).reshape(shape), ((255 * self.scale - mean) / std).reshape(shape)

    @staticmethod
    def _per_channel(values: tuple[float, ...], form: InputFormat) -> Floats:
        """One value per channel; a grey model gets the mean of those for three."""
        array = np.asarray(values, dtype=np.float64)
        return np.broadcast_to(array.mean() if form.channels == 1 else array, (form.channels,))


#: What trained models commonly expect.
PREPROCESSINGS = {
    "0-1": Preprocessing(),
    "-1-1": Preprocessing(mean=(0.5,), std=(0.5,)),
    "0-255": Preprocessing(scale=1.0),
    "imagenet": Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": Preprocessing(scale=1.0, mean=(104.0, 117.0, 123.0), bgr=True),
    "lite": Preprocessing(scale=1.0, mean=(127.0,), std=(128.0,)),
}


def resized(
    picture: Image.Image, width: int, height: int, resize: Resize, method: Image.Resampling | None = None
) -> Image.Image:
    """Picture of the given size: its largest centred part of that shape, or all of it, out of shape."""
    from PIL import Image, ImageOps

    method = Image.Resampling.BICUBIC if method is None else method
    if resize == "squash":
        return picture.resize((width, height), method)
    return ImageOps.fit(picture, (width, height), method)
