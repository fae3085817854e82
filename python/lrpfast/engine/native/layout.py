"""From a sample's shape to the core's blocked maps: channels, then plane, row and column."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast import _native as core
from lrpfast.errors import Refusal, UnsupportedError
from lrpfast.model.graph import Node
from lrpfast.model.layers import Shape, Window

Size3: TypeAlias = tuple[int, int, int]
Floats: TypeAlias = npt.NDArray[np.float32]

BLOCK = 16
NO_HALO: Size3 = (0, 0, 0)


def size3(spatial: Shape, fill: int = 1) -> Size3:
    """Spatial sizes as plane, row, column; missing axes in front become `fill`."""
    plane, row, column = (fill,) * (3 - len(spatial)) + tuple(spatial)
    return plane, row, column


@dataclass(frozen=True)
class Halo:
    """Zeros that readers of a map need before and after it."""

    before: Size3 = NO_HALO
    after: Size3 = NO_HALO

    def __or__(self, other: Halo) -> Halo:
        return Halo(_larger(self.before, other.before), _larger(self.after, other.after))

    def pixels_around(self, channels: int, *spatial: int) -> int:
        """Pixels of a sample's maps with the halo, of all blocks."""
        sizes = zip(self.before, size3(spatial), self.after, strict=True)
        return -(-channels // BLOCK) * math.prod(sum(size) for size in sizes)


def _larger(one: Size3, other: Size3) -> Size3:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


class Recorder:
    """Makes tensors on a pool and collects the steps that work on them.

    A tensor that is dropped gives its memory to the next one, so a program needs no more than what is alive at once.
    """

    def __init__(self, pool: core.Pool) -> None:
        self.pool, self.lasting = pool, core.Pool()
        self.program = core.Program()
        self.value = ""  # what is being worked on; for times by layer
        self.values: list[str] = []

    def add(self, step: core.Step) -> None:
        """The next step."""
        self.program.add(step)
        self.values.append(self.value)

    def tensor(self, samples: int, shape: Shape, halo: Halo = Halo(), lasting: bool = False) -> core.Tensor:
        """A tensor for `samples` samples of `shape`.

        Its halo is zeros whenever the program runs. A tensor that is kept as long as the program (`lasting`) has
        memory of its own, so its halo stays; other memory may hold anything by the time the step comes.
        """
        pool = self.lasting if lasting else self.pool
        tensor = core.Tensor(pool, samples, shape[0], size3(shape[1:]), halo.before, halo.after)
        if tensor.has_halo and not lasting:
            self.add(core.clear_halo(tensor))
        return tensor


class Bench(Recorder):
    """Runs every step at once, for what is made before the first pass."""

    def __init__(self, threads: int) -> None:
        super().__init__(core.Pool())
        self.threads = threads

    def add(self, step: core.Step) -> None:
        step.run(self.threads)

    def loaded(self, values: npt.NDArray[np.floating], halo: Halo = Halo()) -> core.Tensor:
        """A tensor that holds `values` (N, C, *spatial)."""
        tensor = self.tensor(len(values), values.shape[1:], halo)
        load(tensor, values, self.threads)
        return tensor


def fits_planes(shape: Shape) -> bool:
    """Whether an image of that shape may be held in planes: a channel after the other, 16 columns in the lanes."""
    return len(shape) == 3 and shape[0] <= BLOCK and shape[2] % BLOCK == 0


def planes(shape: Shape) -> Shape:
    """The shape of a tensor that holds an image (C, H, W) in planes."""
    channels, rows, columns = shape
    return BLOCK, channels, rows, columns // BLOCK


def halo_in_planes(halo: Halo) -> Halo:
    """What of a halo such a tensor needs: whole vectors of columns."""
    (_, above, left), (_, below, right) = halo.before, halo.after
    return Halo((0, above, -(-left // BLOCK)), (0, below, -(-right // BLOCK)))


def in_planes(values: Floats) -> Floats:
    """Images (N, C, H, W) as such a tensor has them, seen in the same memory."""
    samples, channels, rows, columns = values.shape
    by_lane = values.reshape(samples, channels, rows, columns // BLOCK, BLOCK)
    return by_lane.transpose(0, 4, 1, 2, 3)


def load(tensor: core.Tensor, values: npt.NDArray[np.floating], threads: int) -> None:
    """Put `values` (N, C, *spatial) into a tensor."""
    whole = values.astype(np.float32, copy=False).reshape(*values.shape[:2], *size3(values.shape[2:]))
    tensor.load(whole, threads)


def stored(tensor: core.Tensor, shape: Shape, threads: int) -> Floats:
    """The values of a tensor as (N, C, *spatial)."""
    return tensor.store(threads).reshape(tensor.samples, *shape)


def stored_image(tensor: core.Tensor, shape: Shape, threads: int) -> Floats:
    """The images that a tensor holds in planes, as (N, C, H, W)."""
    values = np.empty((tensor.samples, *shape), np.float32)
    tensor.store_to(in_planes(values), threads)
    return values


def window3(window: Window, spatial: Shape) -> core.Window:
    """The core's window for a map of that size."""
    before = tuple(pad for pad, _ in window.pads_for(spatial))
    return core.Window(size3(window.kernel), size3(window.strides), size3(window.dilations), size3(before, 0))


def forward_halo(window: Window, spatial: Shape) -> Halo:
    """Halo that a convolution's input needs."""
    pads = window.pads_for(spatial)
    return Halo(
        size3(tuple(max(before, 0) for before, _ in pads), 0),
        size3(tuple(max(after, 0) for _, after in pads), 0),
    )


def adjoint_halo(window: Window, spatial: Shape) -> Halo:
    """Halo that the adjoint needs around its input, the map of the convolution's outputs."""
    before, after = [], []
    out = window.output_size(spatial)
    for axis, (size, (pad, _)) in enumerate(zip(spatial, window.pads_for(spatial), strict=True)):
        stride, reach = window.strides[axis], window.extent(axis) - 1
        before.append(max(-((pad - reach) // stride), 0))
        after.append(max((size - 1 + pad) // stride - (out[axis] - 1), 0))
    return Halo(size3(tuple(before), 0), size3(tuple(after), 0))


def check_rank(node: Node, shape: Shape) -> None:
    """Refuse values that the core's maps cannot hold."""
    if not 1 <= len(shape) <= 4:
        reason = (
            f"a value of shape {shape} per sample, where the native backend holds a channel axis and up to three more; "
            f"use backend='reference' for this model"
        )
        raise UnsupportedError(
            f"{node} has {reason}.", [Refusal(node.name, node.operator, str(node), f"it has {reason}")]
        )


def lanes(values: Floats) -> Floats:
    """Values per channel, zeros behind the last, as the core wants them: a multiple of 16."""
    padded = np.zeros(-(-len(values) // BLOCK) * BLOCK, np.float32)
    padded[: len(values)] = values
    return padded
