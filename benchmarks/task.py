"""What every competitor is given: a folder with a model, its input, and the bounds of that input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: what all explain with, by lrpfast's names
COMPOSITES = ("epsilon_plus_flat", "epsilon_alpha2_beta1_flat", "epsilon_gamma_box")


@dataclass(frozen=True)
class Task:
    """A model and its input; `low` and `high` are the bounds of the input for each channel."""

    folder: Path
    permutation: list[int]
    low: list[float]
    high: list[float]
    threads: int

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def network(self) -> Path:
        """The same model for libraries that cannot read ONNX."""
        return self.folder / "network.npz"

    def samples(self, batch: int) -> Floats:
        """So many samples in the layout of the model."""
        samples: Floats = np.load(self.folder / "samples.npy")
        return np.ascontiguousarray(np.resize(samples, (batch, *samples.shape[1:])))

    def inner(self, samples: Floats) -> Floats:
        """Samples, or relevance, with their channels first."""
        order = [1 + axis for axis in self.permutation]
        return np.ascontiguousarray(samples.transpose(0, *order)) if order else samples

    def bounds(self, channels_first: bool) -> tuple[Floats, Floats]:
        """The bounds, shaped to broadcast to a sample."""
        axis = 0 if channels_first or not self.permutation else self.permutation[0]
        shape = [1] * (np.load(self.folder / "samples.npy", mmap_mode="r").ndim - 1)
        shape[axis] = -1
        low, high = (np.array(bound, np.float32).reshape(shape) for bound in (self.low, self.high))
        return low, high

    def save(self) -> None:
        values = asdict(self)
        del values["folder"]
        (self.folder / "task.json").write_text(json.dumps(values))

    @classmethod
    def load(cls, folder: Path, threads: int) -> Task:
        """The task in a folder, for so many threads."""
        return cls(folder=folder, **json.loads((folder / "task.json").read_text()) | {"threads": threads})
