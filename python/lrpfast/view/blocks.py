"""Blocks of a page, measured in pixels: what is drawn where, whatever the format of the file.

Functions take blocks and give one; `lrpfast.view.render` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lrpfast.view.heatmap import Pixels, Values

Color: TypeAlias = tuple[int, int, int]

INK: Color = (32, 33, 36)
GREY: Color = (110, 114, 120)
FRAME: Color = (214, 216, 219)
PAPER: Color = (255, 255, 255)

GAP = 20


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture of shape (H, W, 3), every pixel of which is a square of `factor` pixels."""

    pixels: Pixels
    factor: int = 1


@dataclass(frozen=True)
class Box:
    """A rectangle filled with one colour."""

    width: int
    height: int
    color: Color


@dataclass(frozen=True)
class Words:
    """Text that stands on the line at which it is placed, and begins there; `size` is that of the font."""

    text: str
    size: int
    bold: bool
    color: Color


@dataclass(frozen=True, eq=False)
class Strokes:
    """N lines through K points each, shape (N, K, 2), `width` wide, in N colours; later ones cover earlier ones."""

    lines: Values
    colors: Pixels
    width: float


Mark: TypeAlias = Raster | Box | Words | Strokes


@dataclass(frozen=True, eq=False)
class Block:
    """A rectangle, and the marks in it, each with its distance from the left and the top."""

    width: int
    height: int
    marks: tuple[tuple[int, int, Mark], ...] = ()


def pile(placed: Sequence[tuple[int, int, Block]], width: int, height: int) -> Block:
    """A block of the given size with others at a distance from its left and top, later ones over earlier ones."""
    marks = ((left + x, top + y, mark) for left, top, block in placed for x, y, mark in block.marks)
    return Block(width, height, tuple(marks))


def beside(blocks: Sequence[Block], gap: int = GAP, centered: bool = False) -> Block:
    """Blocks from left to right, the lower ones at the top or centered."""
    height = max(block.height for block in blocks)
    placed, left = [], 0
    for block in blocks:
        placed.append((left, (height - block.height) // 2 if centered else 0, block))
        left += block.width + gap
    return pile(placed, left - gap, height)


def stacked(blocks: Sequence[Block], gap: int = GAP) -> Block:
    """Blocks from top to bottom, the narrower ones at the left."""
    placed, top = [], 0
    for block in blocks:
        placed.append((0, top, block))
        top += block.height + gap
    return pile(placed, max(block.width for block in blocks), top - gap)


def table(rows: Sequence[Sequence[Block]], gap: int = GAP) -> Block:
    """Blocks in rows and columns; each column is as wide as its widest block."""
    widths = [max(block.width for block in column) for column in zip(*rows, strict=True)]
    cells = [
        [pile([(0, 0, cell)], width, cell.height) for cell, width in zip(row, widths, strict=True)] for row in rows
    ]
    return stacked([beside(row, gap) for row in cells], gap)


def inside(block: Block, margin: int) -> Block:
    """A block with space around it."""
    return pile([(margin, margin, block)], block.width + 2 * margin, block.height + 2 * margin)


def box(width: int, height: int, color: Color) -> Block:
    """A rectangle filled with one colour."""
    return Block(width, height, ((0, 0, Box(width, height, color)),))


def raster(pixels: Pixels, factor: int = 1) -> Block:
    """A picture, grey (H, W) or coloured (H, W, 3), enlarged by a whole factor to crisp squares."""
    colored = np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels
    return Block(pixels.shape[1] * factor, pixels.shape[0] * factor, ((0, 0, Raster(colored, factor)),))


def framed(block: Block) -> Block:
    """A thin grey line around a picture, which would end nowhere where its border is white."""
    width, height = block.width + 2, block.height + 2
    return pile([(0, 0, box(width, height, FRAME)), (1, 1, block)], width, height)
