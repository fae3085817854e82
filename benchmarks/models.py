"""The models: the embedded one, structures that the onnx package brings along, and files of yours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Floats = npt.NDArray[np.float32]

STRUCTURES = ("squeezenet", "resnet50", "vgg19")
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@dataclass(frozen=True)
class Case:
    """A model, loaded when its benchmark begins."""

    name: str
    weights: str
    read: Callable[[], bytes]
    sample: Callable[[tuple[int, ...]], Floats]


def cases(folder: Path | None) -> list[Case]:
    """All models, and those of a folder."""
    digits = files("lrpfast") / "data" / "digits.onnx"
    found = [Case("digits (embedded)", "trained", digits.read_bytes, sample_digits)]
    found += [Case(name, "seeded random", lambda name=name: structure(name), noise) for name in STRUCTURES]
    further = sorted(folder.glob("*.onnx")) if folder else []
    return found + [Case(path.stem, "trained", path.read_bytes, noise) for path in further]


def noise(shape: tuple[int, ...]) -> Floats:
    """Seeded input between -1 and 1."""
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def sample_digits(shape: tuple[int, ...]) -> Floats:
    """As many of the embedded digits as asked for, over and over."""
    with (files("lrpfast") / "data" / "digits.npz").open("rb") as file:
        images = np.load(file)["images"]
    return np.resize(images, shape).astype(np.float32) / 255


def structure(name: str) -> bytes:
    """A structure of the onnx package with seeded random weights that keep activations near one.

    The files make each weight with ConstantOfShape; it becomes an initializer here.
    """
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    graph, rng = model.graph, np.random.default_rng(0)
    given = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    made = [entry for entry in graph.node if entry.op_type == "ConstantOfShape"]
    kept = [entry for entry in graph.node if entry.op_type != "ConstantOfShape"]
    shapes = {entry.output[0]: tuple(int(size) for size in given[entry.input[0]]) for entry in made}
    shapes |= {name: array.shape for name, array in given.items() if array.dtype == np.float32}
    readers = roles(kept)
    drawn = [numpy_helper.from_array(draw(rng, readers.get(name), shape), name) for name, shape in shapes.items()]
    sizes = [numpy_helper.from_array(array, name) for name, array in given.items() if name not in shapes]
    inputs = [entry for entry in graph.input if entry.name not in given]
    rebuilt = helper.make_graph(kept, graph.name, inputs, graph.output, [*sizes, *drawn])
    return helper.make_model(rebuilt, opset_imports=model.opset_import, ir_version=8).SerializeToString()


def roles(nodes: Iterable[onnx.NodeProto]) -> dict[str, tuple[str, int]]:
    """For each value the operator that reads it, looking through Unsqueeze, and the number of the operator's input."""
    found: dict[str, tuple[str, int]] = {}
    for node in reversed(list(nodes)):
        for index, name in enumerate(node.input):
            through = found.get(node.output[0]) if node.op_type == "Unsqueeze" else None
            found[name] = through or (node.op_type, index)
    return found


def draw(rng: np.random.Generator, role: tuple[str, int] | None, shape: tuple[int, ...]) -> Floats:
    """Weights as they are drawn ahead of training; statistics and scales below one; small biases."""
    if role in (("Conv", 1), ("Gemm", 1)):
        return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if role in (("BatchNormalization", 1), ("BatchNormalization", 4), ("Mul", 1)):
        return rng.uniform(0.5, 1.0, shape).astype(np.float32)
    return rng.standard_normal(shape, np.float32) * np.float32(0.1)
