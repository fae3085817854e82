"""Where the elements of a resized axis come from, as ONNX's Resize defines it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

Doubles: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

Mode: TypeAlias = Literal["nearest", "linear", "cubic"]
Coordinates: TypeAlias = Literal[
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"
]
Rounding: TypeAlias = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]

COORDINATES: tuple[str, ...] = get_args(Coordinates)
ROUNDINGS: tuple[str, ...] = get_args(Rounding)


@dataclass(frozen=True)
class Sampling:
    """One axis made `scale` times as long, or as long as `size`."""

    mode: Mode
    coordinates: Coordinates
    scale: float | None = None
    size: int | None = None
    rounding: Rounding = "round_prefer_floor"
    cubic: float = -0.75  # parameter of the cubic kernel
    exclude_outside: bool = False  # whether a cubic kernel that reaches beyond the ends keeps to what is inside

    def output_size(self, size: int) -> int:
        """Length of an axis of length `size` afterwards."""
        if self.size is not None:
            return self.size
        assert self.scale is not None
        return math.floor(size * self.scale)

    def positions(self, size: int) -> Doubles:
        """For each element its place among those before, in fractions of an element."""
        count = self.output_size(size)
        scale = self.scale if self.scale is not None else count / size
        x = np.arange(count, dtype=np.float64)
        match self.coordinates:
            case "half_pixel":
                return (x + 0.5) / scale - 0.5
            case "half_pixel_symmetric":
                return size / 2 * (1 - count / (scale * size)) + (x + 0.5) / scale - 0.5
            case "pytorch_half_pixel":
                return (x + 0.5) / scale - 0.5 if count > 1 else 0 * x
            case "align_corners":
                return x * (size - 1) / (count - 1) if count > 1 else 0 * x
            case "asymmetric":
                return x / scale
            case "tf_half_pixel_for_nn":
                return (x + 0.5) / scale

    def indices(self, size: int) -> Indices:
        """For each element the nearest one before."""
        x = self.positions(size)
        match self.rounding:
            case "round_prefer_floor":
                nearest = np.ceil(x - 0.5)
            case "round_prefer_ceil":
                nearest = np.floor(x + 0.5)
            case "floor":
                nearest = np.floor(x)
            case "ceil":
                nearest = np.ceil(x)
        return np.clip(nearest, 0, size - 1).astype(np.int64)

    def matrix(self, size: int) -> Doubles:
        """Weights (after, before) of linear or cubic interpolation; what lies beyond the ends is like the ends."""
        x = self.positions(size)
        low = np.floor(x)
        taps = low[:, np.newaxis] + (np.arange(2) if self.mode == "linear" else np.arange(-1, 3))
        distance = np.abs(x[:, np.newaxis] - taps)
        weights = 1 - distance if self.mode == "linear" else self._cubic_kernel(distance)
        if self.exclude_outside:
            weights = np.where((taps < 0) | (taps >= size), 0, weights)
            weights = weights / weights.sum(axis=1, keepdims=True)
        matrix = np.zeros((len(x), size))
        rows: Any = np.broadcast_to(np.arange(len(x))[:, np.newaxis], taps.shape)
        np.add.at(matrix, (rows, np.clip(taps, 0, size - 1).astype(np.int64)), weights)
        return matrix

    def _cubic_kernel(self, d: Doubles) -> Doubles:
        """Keys, *Cubic convolution interpolation for digital image processing*, IEEE TASSP 1981."""
        a = self.cubic
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))
