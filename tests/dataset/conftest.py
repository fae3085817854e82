"""A model with three scores, which are twice the means of the input's channels, and inputs for it."""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
import pytest
from PIL import Image

import lrpfast
from oracles.onnx_models import color_model

zarr = pytest.importorskip("zarr")


@pytest.fixture(autouse=True)
def unflushed(monkeypatch):
    """Leave out what only a power cut would need, and most of the time would go to."""
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder with a model, seven pictures, and arrays of the same."""
    monkeypatch.chdir(tmp_path)
    onnx.save(color_model(size=(6, 5)), "model.onnx")
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for index in range(7):
        Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).save(f"photos/{index}.png")
    pixels = np.stack([np.asarray(Image.open(f"photos/{index}.png")) for index in range(7)])
    np.save("pixels.npy", pixels)
    np.save("x.npy", (pixels.transpose(0, 3, 1, 2) / 255).astype(np.float32))
    return tmp_path


@pytest.fixture
def explain(here):
    """Explain a dataset on the backend that needs no compiled code, two images a chunk."""
    return partial(lrpfast.explain_dataset, "model.onnx", backend="reference", chunk=2)


@pytest.fixture
def job(here):
    """Make a job of the same kind."""
    from lrpfast.dataset import Options, make_job

    def job(inputs="x.npy", out="out.zarr", **options):
        made, _ = make_job("model.onnx", inputs, out, Options(**{"backend": "reference", "chunk": 2} | options))
        return made

    return job


@pytest.fixture
def content():
    """Everything that a store holds: its arrays by name."""

    def content(path):
        return {name: array[:] for name, array in zarr.open(str(path), mode="r").arrays()}

    return content


@pytest.fixture
def same(content):
    """Whether two stores hold the same values."""

    def same(one, other):
        one, other = content(one), content(other)
        assert one.keys() == other.keys()
        return all(np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f") for name in one)

    return same
