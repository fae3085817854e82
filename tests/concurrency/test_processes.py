"""An LRP in other processes, spawned or forked: the same bits as here."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lrpfast
from lrpfast import LRP
from lrpfast.composites import EpsilonGammaBox
from oracles.threads import pictures, wide_net

#: seconds after which what has not come back hangs
PATIENCE = 120

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

#: Python 3.12 warns whoever forks a process with threads; that it works for these is what is tested
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def lrp() -> LRP:
    return LRP(wide_net(), EpsilonGammaBox(low=-3, high=3), threads=3)


def spawned() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def succeeds_in_a_fork(work: Callable[[], bool]) -> bool:
    """Whether `work` is true in a forked process; false as well if it hangs there."""
    child = os.fork()
    if child == 0:
        done = False
        try:
            done = work()
        finally:
            os._exit(0 if done else 1)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


# Spawned


def test_a_spawned_process_explains_with_an_lrp_that_it_is_sent(lrp: LRP) -> None:
    x = pictures(3)
    with spawned() as workers:
        found = workers.submit(lrp.attribute, x).result(PATIENCE)
    np.testing.assert_array_equal(found.relevance, lrp.attribute(x).relevance)
    assert str(found.audit) == str(lrp.attribute(x).audit)


def test_weights_in_a_file_of_their_own_travel_with_the_lrp(tmp_path: Path) -> None:
    digits = onnx.load(Path(lrpfast.__file__).parent / "data/digits.onnx")
    path, x = tmp_path / "split.onnx", np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    onnx.save(digits, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    lrp = LRP(path, "epsilon_plus", max_memory=2**20)
    path.unlink()
    (tmp_path / "weights.bin").unlink()
    with spawned() as workers:
        found = workers.submit(lrp.attribute, x).result(PATIENCE)
    np.testing.assert_array_equal(found.relevance, lrp.attribute(x).relevance)


# Forked


@needs_fork
@forks
def test_a_forked_process_goes_on_with_an_lrp_that_has_been_used(lrp: LRP) -> None:
    x = pictures(2)
    expected = lrp.attribute(x).relevance

    def same() -> bool:
        return bool((lrp.attribute(x).relevance == expected).all())

    assert succeeds_in_a_fork(same)
    assert succeeds_in_a_fork(lambda: succeeds_in_a_fork(same) and same()), "a fork of a fork"
    assert same()


@needs_fork
@forks
def test_a_forked_process_has_helping_threads_of_its_own(lrp: LRP) -> None:
    x = pictures(2)
    lrp.attribute(x)

    def helped() -> bool:
        alone = len(os.listdir("/proc/self/task"))
        lrp.attribute(x)
        return alone == 1 and len(os.listdir("/proc/self/task")) >= lrp.threads

    if not os.path.isdir("/proc/self/task"):
        pytest.skip("the system does not list a process's threads")
    assert succeeds_in_a_fork(helped)


@needs_fork
@forks
def test_workers_forked_from_a_server_that_has_explained_share_its_lrp(lrp: LRP) -> None:
    batches = [pictures(2, seed=seed) for seed in range(6)]
    expected = [lrp.attribute(x).relevance for x in batches]
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as workers:
        found = [workers.submit(explain, lrp, x) for x in batches]
        for future, relevance in zip(found, expected, strict=True):
            np.testing.assert_array_equal(future.result(PATIENCE), relevance)


def explain(lrp: LRP, x: Any) -> Any:
    return lrp.attribute(x).relevance


@needs_fork
@forks
def test_a_process_may_be_forked_while_other_threads_explain(lrp: LRP) -> None:
    x, over = pictures(2), threading.Event()
    expected = lrp.attribute(x).relevance

    def busy() -> None:
        while not over.is_set():
            LRP(lrp.model, lrp.composite).attribute(x)
            lrp.attribute(x)

    others = [threading.Thread(target=busy) for _ in range(2)]
    for thread in others:
        thread.start()
    try:
        for _ in range(5):
            assert succeeds_in_a_fork(lambda: bool((lrp.attribute(x).relevance == expected).all()))
    finally:
        over.set()
        for thread in others:
            thread.join()
