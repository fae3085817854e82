"""Files of pictures: their formats, and reading them."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lrpfast.errors import FileError, InputError

#: Formats of pictures that are read from anybody; some others have pillow run programs.
COMMON = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")


def picture_format(path: str | os.PathLike[str]) -> str:
    """The picture format that a path's suffix stands for; InputError where there is none that can be written."""
    suffix = Path(path).suffix.lower()
    name = "SVG" if suffix == ".svg" else Image.registered_extensions().get(suffix, "")
    if name != "SVG" and name not in Image.SAVE:
        what = f"'{suffix}' is the suffix of no picture format" if suffix else "it has no suffix"
        raise InputError(f"Cannot write '{path}' as a picture: {what}. Use .png, .svg, .pdf, .jpg, .webp or .tiff.")
    return name


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Picture in 8-bit RGB, upright as its EXIF orientation says, transparent parts on white.

    Raises
    ------
    FileError
        There is no such file, it cannot be read, or it is no picture, truncated, or too large.
    """
    try:
        return _decoded(path)
    except Exception as error:  # pillow's decoders raise many kinds on broken files
        raise FileError(f"Cannot read the picture '{path}': {_reason(error, path)}") from error


def decode_picture(data: bytes, most_pixels: int) -> Image.Image:
    """As `read_picture`, from the bytes of a file that anybody may have sent.

    Raises
    ------
    FileError
        The bytes are no picture of a common format, truncated, or of more than `most_pixels`.
    """
    try:
        return _decoded(BytesIO(data), COMMON, most_pixels)
    except Exception as error:
        raise FileError(f"Cannot read the picture: {_reason(error)}") from error


def _decoded(
    source: str | os.PathLike[str] | BinaryIO, formats: tuple[str, ...] | None = None, most_pixels: int | None = None
) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow warns of large pictures long before it refuses them
        with Image.open(source, formats=formats) as file:
            if most_pixels is not None and file.width * file.height > most_pixels:
                raise Image.DecompressionBombError(f"{file.width} x {file.height}, the limit is {most_pixels:,}")
            file.load()
            upright = ImageOps.exif_transpose(file)
        return _rgb(upright)


def _reason(error: Exception, path: str | os.PathLike[str] = "") -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file. Check the path."
        case PermissionError():
            return "no permission. Ask for the right to read it."
        case _ if os.path.isdir(path):
            return "it is a folder. Give the picture files in it, for example with a wildcard."
        case UnidentifiedImageError():
            return "it is no picture in a format known here. Give a PNG, JPEG, WebP, TIFF, GIF or BMP file."
        case Image.DecompressionBombError():
            return f"it has more pixels than are safe to unpack ({error}). Scale it down first."
    return f"the file is damaged or incomplete ({error}). Get it again, or convert it with another program."


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits a pixel or more, which a plain conversion would clip at 255
        levels = np.asarray(picture, dtype=np.float64)
        if picture.mode != "I" or levels.max() > 255:
            levels = levels / 257
        return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return picture.convert("RGB")
