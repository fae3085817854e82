"""python -m benchmarks.dataset: how much of the speed of `LRP.attribute` is left of it in `lrpfast.explain_dataset`.

All explain the same images: the first two in loops over an array in memory that keep nothing, one by one and in
batches, the others in batches of the same size from files into a store, the preparation of the weights included. They
take turns, and ratios are of times of one round.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from PIL import Image

import lrpfast
from lrpfast.app.demo import shipped
from lrpfast.app.images import InputFormat
from lrpfast.dataset import Options, make_job, run_job
from lrpfast.dataset.job import CHUNK_BYTES, MOST_IMAGES

from .tables import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset", description=__doc__)
    parser.add_argument("--model", type=Path, metavar="FILE", help="ONNX file; without it, that of the digits")
    parser.add_argument("--images", type=int, default=2048, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where inputs and stores are put meanwhile")
    given = parser.parse_args()
    model = shipped()[0] if given.model is None else lrpfast.load(given.model)
    with TemporaryDirectory(dir=given.folder) as folder:
        print("\n".join(measured(model, given.images, given.rounds, Path(folder))))


def measured(model: lrpfast.Model, images: int, rounds: int, folder: Path) -> list[str]:
    """A table: seconds, images a second, and the share of the bare loop's speed that is left."""
    form = InputFormat.of(model)
    chunk = min(CHUNK_BYTES // (4 * int(np.prod(form.shape))), MOST_IMAGES, images)
    x = np.random.default_rng(0).random((images, *form.shape), np.float32)
    lrp = lrpfast.LRP(model)
    calls: dict[str, Callable[[], object]] = {
        "attribute, one by one": lambda: loop(lrp, x, 1),
        "attribute, in batches": lambda: loop(lrp, x, chunk),
    }
    for kind, given in inputs(x, form, folder).items():
        calls[f"{kind}, float32"] = store(lrp, given, folder / "out.zarr", Options(chunk=chunk))
        smaller = Options(chunk=chunk, precision="float16", pooled=True)
        calls[f"{kind}, float16 and pooled"] = store(lrp, given, folder / "out.zarr", smaller)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(rounds + 1):  # the first one warms up
        for name, call in calls.items():
            start = perf_counter()
            call()
            if index:
                times[name].append(perf_counter() - start)
            shutil.rmtree(folder / "out.zarr", ignore_errors=True)
    loops = [np.array(times[name]) for name in list(times)[:2]]
    rows = []
    for name, taken in times.items():
        shares = [np.percentile(bare / np.array(taken), (25, 50, 75)) for bare in loops]
        pace = images / float(np.median(taken))
        against = (f"{middle:.3f} ({low:.3f} to {high:.3f})" for low, middle, high in shares)
        rows.append((name, f"{np.median(taken):.2f} s", f"{pace:.1f}", *against))
    head = (
        f"{model.name}, {images} images by {chunk}",
        "median",
        "images a second",
        "speed of one by one",
        "in batches",
    )
    return table(head, rows)


def loop(lrp: lrpfast.LRP, x: np.ndarray, chunk: int) -> None:
    for first in range(0, len(x), chunk):
        lrp.attribute(x[first : first + chunk])


def store(lrp: lrpfast.LRP, given: Path, out: Path, options: Options) -> Callable[[], object]:
    def call() -> None:
        job, _ = make_job(lrp.model, given, out, options)
        run_job(job)

    return call


def inputs(x: np.ndarray, form: InputFormat, folder: Path) -> dict[str, Path]:
    """The images as values in one file, and as a folder of JPEG pictures of the model's size."""
    np.save(folder / "x.npy", x)
    (folder / "pictures").mkdir()
    for index, sample in enumerate(x):
        pixels = np.rint(255 * np.moveaxis(sample, form.channel_axis, -1)).astype(np.uint8)
        picture = Image.fromarray(pixels[..., 0] if form.channels == 1 else pixels)
        picture.save(folder / "pictures" / f"{index:06}.jpg", quality=90)
    return {"values": folder / "x.npy", "pictures": folder / "pictures"}


if __name__ == "__main__":
    main()
