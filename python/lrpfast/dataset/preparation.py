"""From what a source holds to samples that the model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

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

    def _are_values(self, item: Item | Items) -> TypeGuard[npt.NDArray[Any]]:
        """Whether the model takes something as it is."""
        return isinstance(item, np.ndarray) and not self._are_pixels(item.dtype)

    def samples(self, items: Items, mapper: Mapper = map) -> tuple[npt.NDArray[Any], list[int], dict[int, str]]:
        """Samples, the places of the items that they are made of, and by place why there is none of the others."""
        if self._are_values(items):
            return items, list(range(len(items))), {}
        samples = self._empty(items)

        def fill(first: int) -> list[str | None]:
            return self._fill(samples[first : first + TOGETHER], items[first : first + TOGETHER])

        reasons = chain.from_iterable(mapper(fill, range(0, len(items), TOGETHER)))
        errors = {place: reason for place, reason in enumerate(reasons) if reason is not None}
        places = [place for place in range(len(items)) if place not in errors]
        return samples[places] if errors else samples, places, errors

    def _empty(self, items: Items) -> npt.NDArray[Any]:
        """Where the samples of all items have their places."""
        values = [item for item in items if self._are_values(item)]
        types = {item.dtype for item in values}
        if len(values) == len(items):
            return np.empty((len(items), *values[0].shape), np.result_type(*types))
        assert self.form is not None, "a model that takes no pictures is given none"
        return np.empty((len(items), *self.form.shape), np.result_type(np.float32, *types))

    def _fill(self, samples: npt.NDArray[Any], items: Items) -> list[str | None]:
        """Turn items into samples; of those that are no pictures, why."""
        reasons: list[str | None] = []
        for sample, item in zip(samples, items, strict=True):
            try:
                self._enter(item, sample)
            except LRPError as error:
                reasons.append(str(error))
            else:
                reasons.append(None)
        return reasons

    def _enter(self, item: Item, sample: npt.NDArray[Any]) -> None:
        if isinstance(item, FileError):
            raise item
        if self._are_values(item):
            sample[...] = item
        else:
            assert self.form is not None, "a model that takes no pictures is given none"
            picture = resized(_picture(item), self.form.width, self.form.height, self.resize)
            self.preprocessing.fill(sample, picture, self.form)


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
