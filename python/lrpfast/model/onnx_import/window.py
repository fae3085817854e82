"""The sliding window of convolutions and pools."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from lrpfast.errors import ModelError
from lrpfast.model.layers import Pads, Shape, Window
from lrpfast.model.onnx_import.registry import Operation, fixed

AUTO: dict[str, Literal["upper", "lower"]] = {"SAME_UPPER": "upper", "SAME_LOWER": "lower"}


def read_window(op: Operation, kernel: Shape, ceil: bool = False, sized: bool = True) -> Window:
    """The window of a node, its automatic padding resolved where the size of the map is known.

    `sized` says that it slides over the node's input, whose size decides on automatic padding.
    """
    rank = len(kernel)
    if len(op.sample_shape) != rank + 1:
        raise ModelError(
            f"a kernel {kernel} needs a sample with {rank + 1} axes, channels first, but one has the shape "
            f"{op.sample_shape}"
        )
    strides = _entries(op, "strides", (1,) * rank)
    dilations = _entries(op, "dilations", (1,) * rank)
    if min((*kernel, *strides, *dilations)) < 1:
        raise ModelError(f"kernel {kernel}, strides {strides} and dilations {dilations} must be 1 or more")
    auto_pad = op.attribute("auto_pad", "NOTSET")
    if auto_pad in AUTO and sized:
        window = Window(kernel, strides, dilations, ((0, 0),) * rank, auto_pad=AUTO[auto_pad])
        spatial = fixed(op.sample_shape[1:])
        return _resolved(window, spatial) if spatial else window
    if auto_pad in ("VALID", *AUTO):
        return Window(kernel, strides, dilations, ((0, 0),) * rank)
    return Window(kernel, strides, dilations, _pads(op, rank), ceil=ceil)


def _entries(op: Operation, name: str, default: Shape) -> Shape:
    entries: Shape = op.attribute(name, default)
    if len(entries) != len(default):
        raise ModelError(f"'{name}' is {entries}, where {len(default)} numbers are needed")
    return entries


def _pads(op: Operation, rank: int) -> Pads:
    pads = _entries(op, "pads", (0,) * (2 * rank))
    if min(pads, default=0) < 0:
        raise ModelError(f"'pads' is {pads}, but padding cannot be negative here; crop with a Pad or Slice node")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _resolved(window: Window, spatial: Shape) -> Window:
    """Explicit padding in place of an automatic one; a window that skips the end of the map needs none there."""
    pads = tuple((before, max(after, 0)) for before, after in window.pads_for(spatial))
    return replace(window, pads=pads, auto_pad="")
