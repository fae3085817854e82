"""The cases of each kind, by seed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from tools.fuzz.graphs import random_model
from tools.fuzz.loading import outcome
from tools.fuzz.mutations import damaged, mutated

ROOT = Path(__file__).parents[2]


def of_models(seed: int) -> str:
    """A valid model, up to four things of it changed."""
    rng = np.random.default_rng(seed)
    return outcome(mutated(rng, random_model(rng)).SerializeToString(), seed)


def of_bytes(seed: int) -> str:
    """A file of a model with other bytes here and there."""
    rng = np.random.default_rng(seed)
    files = corpus()
    content = random_model(rng).SerializeToString() if rng.random() < 0.5 else files[rng.integers(len(files))]
    return outcome(damaged(rng, content), seed)


@cache
def corpus() -> list[bytes]:
    """Real files, those of real networks without their weights."""
    light = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    paths = [*sorted(light.glob("*.onnx")), *sorted((ROOT / "python").rglob("*.onnx"))]
    return [path.read_bytes() for path in paths]


def of_geometries(seed: int) -> str:
    """A few layers of any size on the native kernels, against NumPy."""
    from tools.fuzz.geometries import compare

    return compare(seed)


def of_calls(seed: int) -> str:
    """A function of the compiled core, on operands that fit one another, or nearly."""
    from tools.fuzz.geometries import call

    return call(seed)


KINDS = {"models": of_models, "bytes": of_bytes, "geometries": of_geometries, "calls": of_calls}
