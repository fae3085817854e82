"""Blocks drawn by matplotlib: one figure, from which pixels, SVG and PDF come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, BinaryIO

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from PIL import Image

from lrpfast.errors import InputError
from lrpfast.view.blocks import PAPER, Block, Box, Color, Mark, Raster, Strokes, Words
from lrpfast.view.text import font

#: Pixels an inch, as in CSS, so that a browser shows SVG in the size of the PNG.
DPI = 96

#: Points a pixel: matplotlib measures fonts and lines in points.
POINTS = 72 / DPI

#: Pixels that a side of a picture has at most: matplotlib counts them in 16 bits.
LARGEST = 2**16 - 1

#: Text is as wide as it was measured, and stays text in files: PDF has TrueType fonts, as many journals refuse those of
#: type 3, which would be written sooner. Equal pictures are equal files.
STYLE: Any = {"text.hinting": "no_hinting", "svg.fonttype": "none", "svg.hashsalt": "lrpfast", "pdf.fonttype": 42}

_lock = Lock()


@contextmanager
def _styled() -> Iterator[None]:
    """The settings for drawing; those of matplotlib belong to the process, so that threads take turns."""
    with _lock, matplotlib.rc_context(STYLE):
        yield


class Squares(Artist):
    """A raster at whole pixels: matplotlib's own images are resampled on their way."""

    def __init__(self, left: float, top: float, raster: Raster) -> None:
        super().__init__()
        self.corner = left, top
        self.raster = raster

    def draw(self, renderer: RendererBase) -> None:
        """Hand the enlarged pixels to the renderer, lowest row first.

        They are enlarged in SVG and PDF too, as many viewers blur pictures that they enlarge.
        """
        factor = self.raster.factor
        enlarged = self.raster.pixels.repeat(factor, axis=0).repeat(factor, axis=1)
        image = np.full((*enlarged.shape[:2], 4), 255, np.uint8)
        image[..., :3] = enlarged[::-1]
        height, width = image.shape[:2]
        (left, bottom), (right, top) = self.get_transform().transform(
            [self.corner + np.array([0, height]), self.corner + np.array([width, 0])]
        )
        context = renderer.new_gc()
        if renderer.option_scale_image():
            renderer.draw_image(context, left, bottom, image, Affine2D().scale(right - left, top - bottom))
        else:
            renderer.draw_image(context, round(left), round(bottom), image)
        context.restore()


def figure(block: Block) -> Figure:
    """A block as a figure of matplotlib, `DPI` pixels an inch."""
    result = Figure((block.width / DPI, block.height / DPI), DPI, facecolor=_rgb(PAPER), linewidth=0)
    place = Affine2D().scale(1 / block.width, -1 / block.height).translate(0, 1) + result.transFigure
    for left, top, mark in block.marks:
        artist = _artist(left, top, mark)
        artist.set_zorder(0)  # as they come, whatever their kind
        artist.set_transform(place)
        result.add_artist(artist)
    return result


def _artist(left: int, top: int, mark: Mark) -> Artist:
    match mark:
        case Raster():
            return Squares(left, top, mark)
        case Box(width, height, color):
            return Rectangle((left, top), width, height, facecolor=_rgb(color), linewidth=0, antialiased=False)
        case Words(text, size, bold, color):
            face = font(size * POINTS, bold)
            return Text(left, top, text, fontproperties=face, color=_rgb(color), parse_math=False, usetex=False)
        case Strokes(lines, colors, width):
            moved = list(lines + np.array([left, top]))
            return LineCollection(moved, colors=colors / 255, linewidths=width * POINTS, capstyle="round")


def _rgb(color: Color) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255, green / 255, blue / 255


def image(block: Block) -> Image.Image:
    """A block as pixels; InputError where they are more than can be drawn."""
    if max(block.width, block.height) > LARGEST:
        raise InputError(
            f"The picture would have {block.width} x {block.height} pixels; a side has at most {LARGEST}. Draw fewer "
            f"samples, or save SVG or PDF."
        )
    canvas = FigureCanvasAgg(figure(block))
    with _styled():
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def write(block: Block, file: BinaryIO, form: str) -> None:
    """Write a block to an open file as "SVG", "PDF", or in a format of pillow."""
    if form == "SVG":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        with _styled():
            FigureCanvasSVG(figure(block)).print_svg(file, metadata={"Date": None})
    elif form == "PDF":
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        with _styled():
            FigureCanvasPdf(figure(block)).print_pdf(file, metadata={"CreationDate": None})
    else:
        image(block).save(file, form)
