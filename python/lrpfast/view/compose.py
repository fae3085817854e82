"""Pictures made of panels: enlarge, caption, set side by side, add a colour bar.

Each function takes pictures and gives one, on white.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lrpfast.view.heatmap import ENTRIES, Pixels, Values, color_table, colorize

INK = (32, 33, 36)
GREY = (110, 114, 120)
FRAME = (214, 216, 219)
PAPER = (255, 255, 255)

#: Height in pixels that a panel is enlarged to, about.
PANEL = 448
MARGIN = 36
GAP = 20


@lru_cache(maxsize=16)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which covers Latin, Greek and Cyrillic, from matplotlib's data."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def line(
    words: str,
    size: int = 15,
    *,
    bold: bool = False,
    color: tuple[int, int, int] = INK,
    width: int | None = None,
) -> Image.Image:
    """One line of text; where `width` is given, what does not fit is cut and ends in an ellipsis."""
    face = font(size, bold)
    words = " ".join(words.encode(errors="replace").decode().split())  # file names may hold what no font can
    if width is not None and face.getlength(words) > width:
        while words and face.getlength(words + "…") > width:
            words = words[:-1]
        words = words.rstrip() + "…"
    ascent, descent = face.getmetrics()
    picture = Image.new("RGB", (max(1, int(np.ceil(face.getlength(words)))), ascent + descent), PAPER)
    ImageDraw.Draw(picture).text((0, 0), words, font=face, fill=color)
    return picture


def enlarge(picture: Image.Image | Pixels, size: int = PANEL) -> Image.Image:
    """Enlarge by a whole factor, so that the longer side is about `size`; every pixel is a crisp square."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    factor = max(1, round(size / max(image.size)))
    return image.convert("RGB").resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def overlay(photo: Image.Image, normalised: Values, colors: str = "seismic") -> Image.Image:
    """Relevance over a pale grey photograph: the stronger the more opaque, its weakest colours left out.

    Parameters
    ----------
    photo : PIL.Image.Image
        Sets the size of the result, which the relevance is enlarged to in crisp squares.
    normalised : ndarray
        Relevance per place from -1 to 1, shape (H, W).
    colors : str
        Colour map.
    """
    grey = np.asarray(photo.convert("L"), dtype=np.float64)[..., None] * 0.6 + 255 * 0.4
    image = Image.fromarray(np.asarray(normalised, dtype=np.float32))
    values = np.asarray(image.resize(photo.size, Image.Resampling.NEAREST), dtype=np.float64)
    opacity = np.abs(values)[..., None]
    strong = (values + np.sign(values)) / 2  # where the map is pale, opacity alone tells weak from strong
    mixed = grey * (1 - opacity) + colorize(strong, colors) * opacity
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def framed(picture: Image.Image) -> Image.Image:
    """A thin grey line around a picture, which would end nowhere where its border is white."""
    result = Image.new("RGB", (picture.width + 2, picture.height + 2), FRAME)
    result.paste(picture, (1, 1))
    return result


def beside(pictures: Sequence[Image.Image], gap: int = GAP, centered: bool = False) -> Image.Image:
    """Pictures from left to right, the lower ones at the top or centered."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    result = Image.new("RGB", (width, max(picture.height for picture in pictures)), PAPER)
    left = 0
    for picture in pictures:
        result.paste(picture, (left, (result.height - picture.height) // 2 if centered else 0))
        left += picture.width + gap
    return result


def stacked(pictures: Sequence[Image.Image], gap: int = GAP) -> Image.Image:
    """Pictures from top to bottom, the narrower ones at the left."""
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    result = Image.new("RGB", (max(picture.width for picture in pictures), height), PAPER)
    top = 0
    for picture in pictures:
        result.paste(picture, (0, top))
        top += picture.height + gap
    return result


def panel(picture: Image.Image, caption: str, size: int = 15) -> Image.Image:
    """A framed picture with a caption below."""
    picture = framed(picture)
    return stacked([picture, line(caption, size, color=GREY, width=picture.width)], gap=8)


def grid(rows: Sequence[Sequence[Image.Image]], gap: int = GAP) -> Image.Image:
    """Pictures in rows and columns; each column is as wide as its widest picture."""
    widths = [max(picture.width for picture in column) for column in zip(*rows, strict=True)]
    lines = [[_widened(picture, width) for picture, width in zip(row, widths, strict=True)] for row in rows]
    return stacked([beside(row, gap) for row in lines], gap)


def _widened(picture: Image.Image, width: int) -> Image.Image:
    result = Image.new("RGB", (width, picture.height), PAPER)
    result.paste(picture, (0, 0))
    return result


def color_bar(colors: str = "seismic", size: int = 14) -> Image.Image:
    """The colour map with its ends named: against, for."""
    ramp = Image.fromarray(np.broadcast_to(color_table(colors), (12, ENTRIES, 3)).copy())
    words = [line(word, size, color=GREY) for word in ("against", "for")]
    return beside([words[0], framed(ramp.resize((160, 12))), words[1]], gap=10, centered=True)


def page(blocks: Sequence[Image.Image], colors: str, gap: int = GAP) -> Image.Image:
    """Blocks below each other inside a wide margin, the colour bar at the lower right."""
    body = stacked(blocks, gap)
    bar = color_bar(colors)
    foot = Image.new("RGB", (max(body.width, bar.width), bar.height), PAPER)
    foot.paste(bar, (foot.width - bar.width, 0))
    body = stacked([body, foot], gap)
    result = Image.new("RGB", (body.width + 2 * MARGIN, body.height + 2 * MARGIN), PAPER)
    result.paste(body, (MARGIN, MARGIN))
    return result


def heading(title: str, subtitle: str, width: int, size: int = 26) -> Image.Image:
    """A bold line above a grey one."""
    return stacked([line(title, size, bold=True, width=width), line(subtitle, 15, color=GREY, width=width)], gap=6)


def grey(sample: npt.ArrayLike, channel_axis: int | None) -> Pixels:
    """An input of a model as a grey picture: the mean of its channels, from lowest to highest value."""
    values = np.asarray(sample, dtype=np.float64)
    values = np.atleast_2d(values if channel_axis is None else values.mean(axis=channel_axis))
    low, high = values.min(), values.max()
    stretched: Pixels = np.rint((values - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    return stretched
