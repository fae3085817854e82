"""Resize and Upsample."""

from __future__ import annotations

from typing import cast

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Interpolation, Layer, Nearest
from lrpfast.model.onnx_import.registry import Operation, importer
from lrpfast.model.sampling import COORDINATES, ROUNDINGS, Coordinates, Mode, Rounding, Sampling

#: what files call the modes
MODES: dict[str, Mode] = {
    "nearest": "nearest",
    "linear": "linear",
    "bilinear": "linear",
    "trilinear": "linear",
    "cubic": "cubic",
}


@importer("Resize", "Upsample")
def resize(op: Operation) -> list[Layer]:
    """Nearest elements are routing, linear and cubic interpolation a linear map."""
    if op.attribute("antialias", 0):
        raise UnsupportedError("it smooths what it makes smaller; export it with antialias=0")
    if op.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError("it keeps the aspect ratio; export it with the sizes that come of it")
    mode = MODES.get(op.attribute("mode", "nearest"))
    if mode is None:
        raise UnsupportedError(f"it interpolates in mode '{op.attribute('mode')}'; lrpfast takes {', '.join(MODES)}")
    samplings = _samplings(op, mode)
    if mode == "nearest":
        return [Nearest(samplings)] if any(samplings) else []
    if samplings[0] is not None:
        raise UnsupportedError("it interpolates between channels; resize the spatial axes only")
    return [Interpolation(samplings[1:])] if any(samplings) else []


def _samplings(op: Operation, mode: Mode) -> tuple[Sampling | None, ...]:
    """How each axis of a sample is resized."""
    rank = len(op.sample_shape) + 1
    scales, sizes = _lengths(op)
    axes = [op.axis(axis, rank) for axis in op.attribute("axes", tuple(range(rank)))]
    if len(axes) != len(scales or sizes):
        raise ModelError(f"it gives {len(scales or sizes)} lengths for {len(axes)} axes")
    # Before operator set 11 there is no choice: places are multiples of the scale.
    older = op.node.op_type == "Upsample" or (op.opset < 11)
    coordinates = "asymmetric" if older else op.attribute("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if older else op.attribute("nearest_mode", "round_prefer_floor")
    if coordinates not in COORDINATES or rounding not in ROUNDINGS:
        raise UnsupportedError(f"it finds places by '{coordinates}' and '{rounding}', which lrpfast does not know")
    found: list[Sampling | None] = [None] * rank
    for index, axis in enumerate(axes):
        size = op.batch if axis == 0 else op.sample_shape[axis - 1]
        scale, wanted = (scales[index], None) if scales else (None, sizes[index])
        if scale == 1 or (wanted is not None and wanted == size):
            continue
        if wanted is not None and wanted < 0:
            raise UnsupportedError("it asks for a size that depends on the input's; use scales, or fix the input size")
        if axis == 0:
            raise UnsupportedError("it resizes the batch axis; resize axes of the sample only")
        found[axis] = Sampling(
            mode,
            cast(Coordinates, coordinates),
            scale,
            wanted,
            cast(Rounding, rounding),
            op.attribute("cubic_coeff_a", -0.75),
            bool(op.attribute("exclude_outside", 0)),
        )
    return tuple(found[1:])


def _lengths(op: Operation) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Scales or sizes; one of the two is empty."""
    if op.node.op_type == "Upsample":
        return tuple(op.setting("scales", 1)), ()
    if op.opset < 11:
        return tuple(op.setting("scales", 1)), ()
    given = op.input(3)
    if given is not None:
        return (), tuple(int(size) for size in op.setting("sizes", 3))
    scales = op.setting("scales", 2)
    if not scales or not np.all(np.array(scales) > 0):
        raise ModelError("it gives neither sizes nor scales above 0")
    return tuple(scales), ()
