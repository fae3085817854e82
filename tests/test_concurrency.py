"""An LRP in other processes and in many threads at once: the same bits as alone."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lrpfast import LRP, load
from lrpfast.composites import EpsilonGammaBox
from oracles.graphs import model_of, small_cnn
from oracles.onnx_models import make_model, node

#: seconds after which what has not come back hangs
PATIENCE = 120

SHAPE = (3, 12, 12)


def samples(count: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def lrp() -> LRP:
    return LRP(model_of(small_cnn()), EpsilonGammaBox(low=-3, high=3), threads=2)


# Spawned processes


def test_a_spawned_process_explains_with_an_lrp_that_it_is_sent(lrp: LRP) -> None:
    x = samples(3)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        found = workers.submit(lrp.attribute, x).result(PATIENCE)
    np.testing.assert_array_equal(found.relevance, lrp.attribute(x).relevance)
    assert str(found.audit) == str(lrp.attribute(x).audit)


def test_weights_in_a_file_of_their_own_travel_with_the_lrp(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "p"), node("Flatten", "p", "y")]
    path, x = tmp_path / "split.onnx", samples(2)
    proto = make_model(nodes, ["N", *SHAPE], {"w": weight})
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    lrp = LRP(load(path), "epsilon_plus", max_memory=2**20)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        workers.submit(int).result(PATIENCE)
        (tmp_path / "weights.bin").unlink()
        path.unlink()
        found = workers.submit(lrp.attribute, x).result(PATIENCE)
    np.testing.assert_array_equal(found.relevance, lrp.attribute(x).relevance)
