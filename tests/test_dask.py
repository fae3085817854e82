"""Dask arrays are explained chunk by chunk, by whichever process has the chunk, and one that dies costs nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import OrderedDict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import lrpfast
from lrpfast import LRP, InputError, InputTypeError, MissingExtraError
from lrpfast.composites import Composite, Where
from lrpfast.rules import Epsilon
from oracles.graphs import model_of, small_cnn
from oracles.onnx_models import make_model, node

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
from lrpfast.dask import KEPT, Packed, attribute  # noqa: E402  # needs Dask

MODEL = model_of(small_cnn())
X = np.random.default_rng(1).standard_normal((7, 3, 12, 12)).astype(np.float32)
CHUNKED = da.from_array(X, (2, 3, 12, 12))
SEVERAL = np.arange(14).reshape(7, 2) % 5
SEED = np.random.default_rng(2).standard_normal((7, 5)).astype(np.float32)
TARGETS = {
    "highest": None,
    "one for all": 3,
    "one each": np.arange(7) % 5,
    "several": SEVERAL,
    "seed": SEED,
    "several in chunks": da.from_array(SEVERAL, 3),
    "seed in chunks": da.from_array(SEED.astype(np.float64), (7, 2)),
}


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_numbers_shapes_and_types_are_those_of_one_array(target, backend):
    lrp = LRP(MODEL, backend=backend)
    found = attribute(lrp, CHUNKED, target)
    expected = lrp.attribute(X, None if target is None else np.asarray(target))
    for name, lazy, computed in zip(found._fields, found, dask.compute(*found), strict=True):
        whole = getattr(expected, name)
        assert (lazy.shape, lazy.dtype) == (computed.shape, computed.dtype) == (whole.shape, whole.dtype)
        assert lazy.chunks[0] == (2, 2, 2, 1)
        same(computed, whole, backend)


def same(found, expected, backend="native"):
    """The same bits, or what NumPy's products of matrices make of them in batches of other sizes."""
    if backend == "native":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_reference_keeps_double_precision():
    lrp = LRP(MODEL, backend="reference")
    found = attribute(lrp, CHUNKED.astype(np.float64)).relevance
    assert found.dtype == found.compute().dtype == np.float64
    np.testing.assert_allclose(found, lrp.attribute(X.astype(np.float64)).relevance, rtol=1e-9, atol=1e-12)


def test_classes_are_told_apart():
    lrp = LRP(MODEL)
    np.testing.assert_array_equal(
        attribute(lrp, CHUNKED, 3, against="others").relevance, lrp.attribute(X, 3, against="others").relevance
    )


def test_chunks_may_be_empty():
    lrp, some = LRP(MODEL), CHUNKED[CHUNKED[:, 0, 0, 0] > 1].compute_chunk_sizes()
    assert 0 in some.chunks[0]
    np.testing.assert_array_equal(attribute(lrp, some).relevance, lrp.attribute(X[X[:, 0, 0, 0] > 1]).relevance)


def test_arrays_of_zarr_go_in_and_out(tmp_path):
    pytest.importorskip("zarr")
    CHUNKED.to_zarr(tmp_path / "images.zarr")
    found = attribute(LRP(MODEL), da.from_zarr(tmp_path / "images.zarr"), 3).relevance
    found.astype(np.float16).to_zarr(tmp_path / "relevance.zarr")
    expected = LRP(MODEL).attribute(X, 3).relevance.astype(np.float16)
    np.testing.assert_array_equal(da.from_zarr(tmp_path / "relevance.zarr"), expected)


@pytest.mark.parametrize(
    ("x", "target", "against", "error", "message"),
    [
        (X, None, None, InputTypeError, r"x is a ndarray, not a Dask array; lrp.attribute takes other arrays"),
        (CHUNKED.astype(complex), None, None, InputTypeError, r"real numbers, not complex128"),
        (CHUNKED[:, :2], None, None, InputError, r"takes an input of shape \(N, 3, 12, 12\), not \(7, 2, 12, 12\)"),
        (CHUNKED[:0], None, None, InputError, r"empty: shape \(0, 3, 12, 12\)"),
        (
            CHUNKED.rechunk((2, 1, 12, 6)),
            None,
            None,
            InputError,
            r"Chunks of shape \(2, 1, 12, 6\) cut .*; join them: x.rechunk\(\{1: -1, 3: -1\}\)",
        ),
        (
            CHUNKED[CHUNKED[:, 0, 0, 0] > 1],
            None,
            None,
            InputError,
            r"not known before .*; x.compute_chunk_sizes\(\) does",
        ),
        (CHUNKED, 5, None, InputError, r"target 5 is out of range"),
        (CHUNKED, [1, 2], None, InputError, r"give one class, 7 classes"),
        (CHUNKED, da.zeros(6, dtype=int), None, InputError, r"shape \(6,\) and type int64; give 7 classes"),
        (CHUNKED, da.zeros(7, dtype=bool), None, InputError, r"type bool"),
        (CHUNKED, da.from_array(SEED[:, :4]), None, InputError, r"a float seed of shape \(7, 5\)"),
        (CHUNKED, 3, 3, InputError, r"cannot be told apart from itself"),
        (CHUNKED, da.from_array(SEVERAL), "nothing", InputError, r"against is 'runner_up'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_computed(x, target, against, error, message):
    with pytest.raises(error, match=message):
        attribute(LRP(MODEL), x, target, against=against)


def test_what_chunks_hold_is_checked_when_they_are_computed():
    bad = CHUNKED.copy()
    bad[3, 0, 0, 0] = np.nan
    found = attribute(LRP(MODEL), bad).relevance
    with pytest.raises(InputError, match="holds 1 values that are NaN"):
        found.compute()
    np.testing.assert_array_equal(found[4:], LRP(MODEL).attribute(X[4:]).relevance)


@pytest.fixture
def explained(monkeypatch):
    """Grows by the LRP that a chunk is explained with, for each chunk; no LRPs of other tests are kept."""
    used, attributed = [], LRP.attribute
    monkeypatch.setattr(Packed, "_unpacked", OrderedDict())
    monkeypatch.setattr(
        LRP, "attribute", lambda lrp, *given, **more: used.append(lrp) or attributed(lrp, *given, **more)
    )
    return used


def test_parts_that_are_computed_together_share_one_explanation(explained):
    dask.compute(*attribute(LRP(MODEL), CHUNKED))
    assert len(explained) == CHUNKED.npartitions


def test_a_process_prepares_a_model_once_for_all_chunks_and_computations(explained):
    for _ in range(2):
        attribute(LRP(MODEL), CHUNKED).relevance.compute()
    assert len(explained) == 2 * CHUNKED.npartitions
    assert len(set(explained)) == 1


def test_a_process_keeps_the_last_few_models(explained):
    for number in (*range(KEPT + 1), KEPT, 0):
        composite = Composite(f"number {number}", [("conv", Epsilon()), ("dense", Epsilon())])
        attribute(LRP(MODEL, composite), CHUNKED).relevance.compute()
    assert len(set(explained)) == KEPT + 2
    assert len(Packed._unpacked) == KEPT


@pytest.mark.parametrize(("given", "taken"), [(None, 1), (2, 2)])
def test_a_chunk_takes_one_thread_unless_told_otherwise(given, taken, explained):
    attribute(LRP(MODEL, threads=given), CHUNKED).relevance.compute()
    assert {lrp.threads for lrp in explained} == {taken}


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "lrpfast.dask")
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(MissingExtraError, match=r'pip install "lrpfast\[dask\]"'):
        import_module("lrpfast.dask")


# Functions that workers run are made inside others: they travel whole, as workers do not know this file.


@pytest.fixture(scope="module")
def client():
    """A cluster of two processes, two threads each, that leaves OpenMP more threads than Dask does."""
    environ = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 4}
    with (
        dask.config.set(environ),
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def many():
    return np.random.default_rng(3).standard_normal((60, 3, 12, 12)).astype(np.float32)


def test_every_process_prepares_the_model_once(client, many):
    def count():
        used, attributed = set(), lrpfast.LRP.attribute
        lrpfast.LRP.attribute = lambda lrp, *given, **more: used.add(lrp) or attributed(lrp, *given, **more)
        lrpfast.LRP.used = used

    client.run(count)
    lrp = LRP(MODEL, Composite("mine", [(Where(lambda layer: layer.kind in ("conv", "dense")), Epsilon())]))
    expected = lrp.attribute(many)
    for size in (1, 4):
        found = attribute(lrp, da.from_array(many, (size, 3, 12, 12)))
        for part, computed in zip(found._fields, client.compute(list(found), sync=True), strict=True):
            np.testing.assert_array_equal(computed, getattr(expected, part))
    counts = client.run(lambda: len(lrpfast.LRP.used)).values()
    assert len(counts) == 2
    assert max(counts) == 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list threads")
def test_workers_make_no_more_threads_than_dask_gave_them(client):
    def beside_python():
        return len(os.listdir("/proc/self/task")) - threading.active_count()

    weight = np.random.default_rng(5).standard_normal((16, 3, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "x w", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("GlobalAveragePool", "r", "g"),
        node("Flatten", "g", "y"),
    ]
    lrp = LRP(lrpfast.load(make_model(nodes, ["N", 3, 96, 96], {"w": weight})))  # enough work for several threads
    x = da.ones((20, 3, 96, 96), chunks=(1, 3, 96, 96), dtype=np.float32)
    before = client.run(beside_python)
    client.compute(attribute(lrp, x).relevance, sync=True)
    assert client.run(beside_python) == before


def test_chunks_of_a_worker_that_is_killed_are_explained_by_another(client, many, tmp_path):
    def lethal(chunk, block_id):
        if block_id[0] == 40 and not victim.exists():
            victim.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk

    victim = tmp_path / "victim"
    x = da.from_array(many, (1, 3, 12, 12)).map_blocks(lethal, dtype=many.dtype, meta=many[:0])
    found = client.compute(attribute(LRP(MODEL), x, 3).relevance, sync=True)
    assert int(victim.read_text()) not in client.run(os.getpid).values()
    np.testing.assert_array_equal(found, LRP(MODEL).attribute(many, 3).relevance)
