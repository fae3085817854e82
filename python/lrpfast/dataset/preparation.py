"""From what a source holds to samples that the model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast.app.images import InputFormat, Preprocessing, Resize, resized
from lrpfast.errors import FileError, LRPError
from lrpfast.view.extras import optional

if TYPE_CHECKING:
    from PIL import Image

#: One input as a source gives it: the file of a picture, the bytes of one, an array, or why there is none.
Item: TypeAlias = Path | bytes | npt.NDArray[Any] | FileError

#: Several inputs, one behind the other.
Items: TypeAlias = Sequence[Item] | npt.NDArray[Any]

#: How a function is applied to many things: `map`, or that of an executor.
Mapper: TypeAlias = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

#: Items that a thread takes at a time: handing each over by itself costs an eighth of decoding a small picture.
TOGETHER = 8


@dataclass(frozen=True)
class Preparation:
    """How pictures become samples, and which arrays are pictures; `form` is None where the model takes none."""

    form: InputFormat | None
    preprocessing: Preprocessing
    resize: Resize

    def shape(self, item_shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
        """Shape of the samples that arrays become: pixels are resized, values stay as they are."""
        return self.form.shape if self.form is not None and self._are_pixels(dtype) else item_shape

    def _are_pixels(self, dtype: np.dtype[Any]) -> bool:
        """Whether numbers of a type are those of pictures, to be resized and scaled."""
        return self.form is not None and dtype == np.uint8

    def samples(self, items: Items, mapper: Mapper = map) -> tuple[npt.NDArray[Any], list[int], dict[int, str]]:
        """Samples, the places of the items that they are made of, and by place why there is none of the others."""
        if isinstance(items, np.ndarray) and not self._are_pixels(items.dtype):
            return items, list(range(len(items))), {}
        groups = (items[first : first + TOGETHER] for first in range(0, len(items), TOGETHER))
        found = list(enumerate(chain.from_iterable(mapper(partial(_samples, self), groups))))
        errors = {place: each for place, each in found if isinstance(each, str)}
        places = [place for place, _ in found if place not in errors]
        samples = [each for _, each in found if not isinstance(each, str)]
        return np.stack(samples) if samples else np.empty(0), places, errors

    def sample(self, item: Item) -> npt.NDArray[Any]:
        """One sample; FileError where the item is no picture."""
        if isinstance(item, FileError):
            raise item
        if isinstance(item, np.ndarray) and not self._are_pixels(item.dtype):
            return item
        assert self.form is not None, "a model that takes no pictures is given none"
        picture = resized(_picture(item), self.form.width, self.form.height, self.resize)
        return self.preprocessing.sample(picture, self.form)


def _samples(preparation: Preparation, items: Items) -> list[npt.NDArray[Any] | str]:
    return [_sample(preparation, item) for item in items]


def _sample(preparation: Preparation, item: Item) -> npt.NDArray[Any] | str:
    try:
        return preparation.sample(item)
    except LRPError as error:
        return str(error)


def _picture(item: Path | bytes | npt.NDArray[Any]) -> Image.Image:
    with optional("Reading a picture"):
        from PIL import Image

        from lrpfast.view.pictures import decode_picture, read_picture
    if isinstance(item, Path):
        return read_picture(item)
    if isinstance(item, bytes):
        return decode_picture(item, 2 * (Image.MAX_IMAGE_PIXELS or 2**30))  # where pillow itself refuses files
    channels_first = item.ndim == 3 and item.shape[-1] not in (1, 3) and item.shape[0] in (1, 3)
    pixels = np.moveaxis(item, 0, -1) if channels_first else item
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
