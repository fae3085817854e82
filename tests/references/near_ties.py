"""Pictures of 8 bits that bring max pools near a tie: what float32 makes of it is chance.

They show boxes of one colour, in front of a ramp: where windows see one colour, values tie exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .architectures import ARCHITECTURES
from .golden import Golden
from .settled import network, number
from .single_layers import Shape
from .torch_network import values
from .winners import leads

#: networks with max pools that read values other than zeros and copies
NEARLY_TIED = ("vgg", "alexnet", "inception", "squeezenet", "shufflenet", "unet", "audio", "volume")

#: the lead of a near-tie, as share of the sample's largest value: above what float64 rounds, at what float32 does
NEAR = (1e-12, 1e-6)

SAMPLES, DRAWN_AT_ONCE = 32, 500


def near_tied(name: str) -> Golden:
    """A network with the first pictures drawn in whose max pools at least one winner leads by next to nothing.

    None has ties that float64 tears apart by its own rounding: of these nobody can know the winner.
    """
    _, shape, draw = ARCHITECTURES[name]
    golden, rng = network(1, shape, draw, number(name)), np.random.default_rng(number(name))
    found: list[npt.NDArray[np.float32]] = []
    while len(found) < SAMPLES:
        drawn = np.stack([picture(rng, shape) for _ in range(DRAWN_AT_ONCE)])
        ahead = leads(golden.layers, values(replace(golden, inputs=drawn)))
        near = ((ahead > NEAR[0]) & (ahead < NEAR[1])).any(axis=1)
        torn = ((ahead > 0) & (ahead <= NEAR[0])).any(axis=1)
        found += list(drawn[near & ~torn])
    bounds = np.stack([np.full_like(golden.bounds[0], value) for value in (0, 1)])
    return replace(golden, inputs=np.stack(found[:SAMPLES]), bounds=bounds)


def picture(rng: np.random.Generator, shape: Shape) -> npt.NDArray[np.float32]:
    """Four boxes, each of one colour, in front of a ramp, in 256 steps from 0 to 1."""
    channels, *sizes = shape
    colour = (channels, *(1,) * len(sizes))
    shown = rng.uniform(0.3, 0.7, colour)
    for ramp in np.meshgrid(*(np.linspace(0, 1, size) for size in sizes), indexing="ij"):
        shown = shown + rng.uniform(-0.5, 0.5, colour) * ramp
    for _ in range(4):
        corner = [rng.integers(0, size // 2 + 1) for size in sizes]
        ends = [start + rng.integers(size // 4, size // 2 + 1) for start, size in zip(corner, sizes, strict=True)]
        shown[(slice(None), *map(slice, corner, ends))] = rng.uniform(0, 1, colour)
    return (np.round(shown.clip(0, 1) * 255) / 255).astype(np.float32)
