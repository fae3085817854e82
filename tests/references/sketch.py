"""Networks are drawn layer by layer, with seeded random weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .golden import Layer

Sizes: TypeAlias = int | tuple[int, ...]
Pads: TypeAlias = int | tuple[tuple[int, int], ...]


class Sketch:
    """A network while it is drawn: each method adds a layer and returns the name of its output.

    A single size stands for all axes, a single padding for all sides.
    """

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.rank = len(shape) - 1
        self.rng = np.random.default_rng(seed)
        self.channels = {"x": shape[0]}
        self.layers: list[Layer] = []

    def conv(
        self,
        source: str,
        outputs: int,
        kernel: Sizes,
        strides: Sizes = 1,
        pads: Pads = 0,
        dilations: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> str:
        window = self._window(kernel, strides, pads) | {"dilations": self._sizes(dilations), "groups": groups}
        arrays = self._weights(outputs, self.channels[source] // groups, *window["kernel"], bias=bias)
        return self._add("convolution", [source], outputs, window, arrays)

    def transposed(
        self,
        source: str,
        outputs: int,
        kernel: Sizes,
        strides: Sizes = 1,
        pads: Pads = 0,
        dilations: Sizes = 1,
        groups: int = 1,
        extra: Sizes = 0,
    ) -> str:
        """The adjoint of a convolution; `extra` more elements at the end of each axis."""
        window = self._window(kernel, strides, pads) | {"dilations": self._sizes(dilations), "groups": groups}
        window["extra"] = self._sizes(extra)
        arrays = self._weights(self.channels[source], outputs // groups, *window["kernel"], bias=False)
        arrays["bias"] = self._weights(outputs, bias=True)["bias"]
        return self._add("transposed convolution", [source], outputs, window, arrays)

    def dense(self, source: str, outputs: int, bias: bool = True) -> str:
        arrays = self._weights(outputs, self.channels[source], bias=bias)
        return self._add("dense", [source], outputs, {}, arrays)

    def affine(self, source: str) -> str:
        """A scale and a shift a channel, as of batch normalisation."""
        arrays = self._weights(self.channels[source], bias=True)
        return self._add("affine", [source], self.channels[source], {"rank": self.rank}, arrays)

    def activation(self, source: str, function: str, **parameters: float) -> str:
        return self._add("activation", [source], self.channels[source], {"function": function} | parameters)

    def relu(self, source: str) -> str:
        return self.activation(source, "relu")

    def max_pool(self, source: str, kernel: Sizes, strides: Sizes, pads: Pads = 0, ceil: bool = False) -> str:
        window = self._window(kernel, strides, pads) | {"ceil": ceil}
        return self._add("max pool", [source], self.channels[source], window)

    def average_pool(
        self,
        source: str,
        kernel: Sizes,
        strides: Sizes,
        pads: Pads = 0,
        ceil: bool = False,
        count_include_pad: bool = False,
    ) -> str:
        window = self._window(kernel, strides, pads) | {"ceil": ceil, "count_include_pad": count_include_pad}
        return self._add("average pool", [source], self.channels[source], window)

    def global_average(self, source: str) -> str:
        return self._add("global average", [source], self.channels[source], {"rank": self.rank})

    def sum(self, *sources: str) -> str:
        return self._add("sum", list(sources), self.channels[sources[0]])

    def gate(self, signal: str, gate: str) -> str:
        return self._add("gate", [signal, gate], self.channels[signal])

    def concat(self, *sources: str) -> str:
        """Side by side along the channels."""
        return self._add("concat", list(sources), sum(self.channels[source] for source in sources))

    def gather(self, source: str, axis: int, indices: Iterable[int]) -> str:
        """The elements at `indices` along an axis, channels being axis 0."""
        given = {"axis": axis, "indices": list(indices)}
        return self._add("gather", [source], len(given["indices"]) if axis == 0 else self.channels[source], given)

    def upsample(self, source: str, size: int, times: int) -> str:
        """Each element of a map of `size` on each axis that many times in a row."""
        for axis in range(1, self.rank + 1):
            source = self.gather(source, axis, (index for index in range(size) for _ in range(times)))
        return source

    def nearest(self, source: str, mode: str, before: tuple[int, ...], after: tuple[int, ...]) -> str:
        """A map of other size, each element the nearest one before in one of torch's two modes."""
        given = {"mode": mode, "before": before, "after": after}
        return self._add("nearest", [source], self.channels[source], given)

    def interpolation(
        self, source: str, mode: str, before: tuple[int, ...], after: tuple[int, ...], align_corners: bool = False
    ) -> str:
        """A map of other size, each element a weighted mean of those before in one of torch's modes."""
        given = {"mode": mode, "before": before, "after": after, "align_corners": align_corners}
        return self._add("interpolation", [source], self.channels[source], given)

    def local_response(self, source: str, shape: tuple[int, ...], **constants: float) -> str:
        """Division by a power of the squares of neighbouring channels; `shape` is that of a sample."""
        return self._add("local response", [source], shape[0], {"shape": shape, "constants": constants})

    def normalized(self, source: str, by: str, shape: tuple[int, ...], groups: int = 1) -> str:
        """Zero mean and unit variance by "instance", "group" or "layer"; then a scale and a shift."""
        given: dict[str, Any] = {"shape": shape, "epsilon": 1e-3} | ({"groups": groups} if by == "group" else {})
        parameters = shape if by == "layer" else shape[:1]
        arrays = {"weight": self.rng.uniform(0.5, 1.5, parameters), "bias": self.rng.uniform(-0.5, 0.5, parameters)}
        return self._add(f"{by} norm", [source], shape[0], given, as_stored(arrays))

    def shuffle(self, source: str, size: int, groups: int) -> str:
        """The channels of all groups by turns; the map is of `size` on each axis."""
        shape = (self.channels[source], *(size,) * self.rank)
        return self._add("shuffle", [source], self.channels[source], {"groups": groups, "shape": shape})

    def flatten(self, source: str, size: int) -> str:
        """All channels and places as one vector of `size`."""
        return self._add("flatten", [source], size)

    def _add(
        self,
        kind: str,
        sources: list[str],
        channels: int,
        settings: dict[str, Any] | None = None,
        arrays: dict[str, npt.NDArray[np.float32]] | None = None,
    ) -> str:
        output = f"v{len(self.layers)}"
        self.layers.append(Layer(kind, sources, output, settings or {}, arrays or {}))
        self.channels[output] = channels
        return output

    def _weights(self, *shape: int, bias: bool) -> dict[str, npt.NDArray[np.float32]]:
        """Weights that keep the size of what passes through a ReLU, as half precision holds them."""
        arrays = {"weight": self.rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))}
        if bias:
            arrays["bias"] = self.rng.standard_normal(shape[0]) * 0.2
        return as_stored(arrays)

    def _window(self, kernel: Sizes, strides: Sizes, pads: Pads) -> dict[str, Any]:
        sides = ((pads, pads),) * self.rank if isinstance(pads, int) else pads
        return {"kernel": self._sizes(kernel), "strides": self._sizes(strides), "pads": sides}

    def _sizes(self, sizes: Sizes) -> tuple[int, ...]:
        return (sizes,) * self.rank if isinstance(sizes, int) else sizes


def as_stored(arrays: dict[str, npt.NDArray[np.float64]]) -> dict[str, npt.NDArray[np.float32]]:
    """Weights as half precision holds them."""
    return {name: array.astype(np.float16).astype(np.float32) for name, array in arrays.items()}
