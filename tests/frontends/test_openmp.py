"""Wheels bring an OpenMP of their own, and so does torch: whichever comes first, both compute in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")

COMPUTE = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

model = lrpfast.load(Path(lrpfast.__file__).parent / "data" / "digits.onnx")
lrp = lrpfast.LRP(model, threads=2)
digits = np.random.default_rng(0).random((64, *model.input_shape[1:]), dtype=np.float32)
torch.set_num_threads(2)
images, weights = torch.rand(8, 16, 64, 64), torch.rand(16, 16, 3, 3)

works = [lambda: lrp.attribute(digits).relevance, lambda: torch.nn.functional.conv2d(images, weights).numpy()]
expected = [work() for work in works]
with ThreadPoolExecutor(4) as pool:  # in turns and at once
    found = list(pool.map(lambda work: work(), works * 20))
for relevance, convolved in zip(found[::2], found[1::2]):
    assert np.array_equal(relevance, expected[0])
    assert np.allclose(convolved, expected[1], atol=1e-5)
"""


@pytest.mark.parametrize("first, second", [("torch", "lrpfast"), ("lrpfast._native, lrpfast", "torch")])
def test_both_compute_in_one_process(first: str, second: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {first}\nimport {second}\n{COMPUTE}"], check=True, timeout=300)
