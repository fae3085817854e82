"""One picture, all presets.

    python examples/compare_presets.py
    python examples/compare_presets.py --model squeezenet.onnx --photo cat.png --out docs/images/presets.jpg

The first line takes a digit and the model that come with the package. The second takes a photograph, scaled as Caffe's
networks take it (BGR minus 104, 117, 123).
"""

import argparse
import inspect
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import lrpfast
from lrpfast.composites import PRESETS

CAFFE_MEAN = np.array([104, 117, 123], np.float32).reshape(3, 1, 1)


def shipped_digit():
    """Model, picture, input, and the bounds of the input."""
    data = files("lrpfast") / "data"
    with (data / "digits.npz").open("rb") as file:
        digit = np.load(file)["images"][9]
    return lrpfast.load((data / "digits.onnx").read_bytes()), digit, digit[None, None] / np.float32(255), 0, 1


def photograph(model_path, photo_path):
    """The same for a photograph: its middle, of the size that the model takes."""
    model = lrpfast.load(model_path)
    side = model.sample_shape[-1] or 224
    with Image.open(photo_path) as image:
        margin = (image.width - image.height) / 2
        box = (max(margin, 0), max(-margin, 0), image.width - max(margin, 0), image.height - max(-margin, 0))
        photo = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box)
    bgr = np.asarray(photo, np.float32)[..., ::-1].transpose(2, 0, 1)
    return model, photo, (bgr - CAFFE_MEAN)[None], 0 - CAFFE_MEAN, 255 - CAFFE_MEAN


def all_composites(low, high):
    """Every preset; those that need the bounds of the input get them."""
    for factory in PRESETS.values():
        takes = inspect.signature(factory).parameters
        yield factory(low, high) if "low" in takes else factory()


def main():
    """Explain, and draw."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", type=Path)
    options.add_argument("--photo", type=Path)
    options.add_argument("--out", type=Path, default=Path("presets.png"))
    given = options.parse_args()
    is_photo = given.model and given.photo
    model, picture, x, low, high = photograph(given.model, given.photo) if is_photo else shipped_digit()
    panels = [("input", picture)]
    for composite in all_composites(low, high):
        panels.append((composite.name, lrpfast.LRP(model, composite).attribute(x).heatmap()))
    columns = 4
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.5 * columns, 2.75 * rows), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, (name, panel) in zip(axes.flat, panels, strict=False):
        axis.imshow(panel, cmap="gray")
        axis.set(title=name, xticks=[], yticks=[])
        axis.title.set_fontsize(12)
        axis.spines[:].set_color("lightgrey")
    figure.savefig(given.out, dpi=110)
    print(f"Written to {given.out}")


if __name__ == "__main__":
    main()
