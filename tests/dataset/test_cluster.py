"""Workers of a cluster make the store that one process makes, whichever of them dies meanwhile."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lrpfast.app.commands import app
from lrpfast.errors import FileError, InputError, LRPError

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
from lrpfast.dataset.cluster import run_on_cluster  # noqa: E402  # needs Dask

CHUNKS, SIZE = 20, 3


@pytest.fixture(scope="module")
def cluster():
    """Two processes, two threads each."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def many(here):
    """A file of inputs of which one cannot be explained."""
    x = np.random.default_rng(4).random((CHUNKS * SIZE - 1, 3, 6, 5), np.float32)
    x[17, 0, 0, 0] = np.nan
    np.save("many.npy", x)
    return "many.npy"


@pytest.fixture
def before_commits(cluster):
    """Have workers do something between the rows of a chunk and its commit, a number of times altogether."""

    def before_commits(action, times):
        def install():  # functions travel whole from here, as workers do not know this file
            from lrpfast.dataset import store

            flushed = store._flush_folder

            def flush(folder):
                here = folder.is_relative_to(count.parent)  # and no chunk of an ended run, still under way
                if here and folder.name != "committed" and (left := os.stat(count).st_size):
                    os.truncate(count, left - 1)
                    action(folder)
                flushed(folder)

            store._flush_folder = flush

        count = Path("times").absolute()
        count.write_bytes(bytes(times))
        with distributed.Client(cluster, set_as_default=False) as client:
            client.wait_for_workers(2)  # also one that comes back from the dead
            client.run(install)

    yield before_commits
    Path("times").write_bytes(b"")


def die():
    def action(folder):
        (folder / ".half.part").touch()
        os.kill(os.getpid(), signal.SIGKILL)

    return action


def fail():
    def action(folder):
        raise OSError(5, "Input/output error")

    return action


def test_a_cluster_makes_the_store_that_one_process_makes(cluster, many, explain, job, same, monkeypatch):
    monkeypatch.setattr("lrpfast.dataset.cluster.UNDER_WAY", 5)
    told = []
    done = run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address, told.append)
    assert (done.images, done.explained, done.earlier) == (CHUNKS * SIZE - 1, CHUNKS * SIZE - 2, 0)
    assert len(told) == CHUNKS
    assert told[-1] == done and done.done == done.images
    explain(many, "alone.zarr", chunk=SIZE)
    assert same("out.zarr", "alone.zarr")


def test_a_chunk_of_a_worker_that_is_killed_is_done_by_another(cluster, many, explain, job, same, before_commits):
    before_commits(die(), 1)
    assert run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address).done == CHUNKS * SIZE - 1
    assert not Path("times").stat().st_size
    assert not list(Path("out.zarr").rglob("*.part"))
    explain(many, "alone.zarr", chunk=SIZE)
    assert same("out.zarr", "alone.zarr")


def test_a_chunk_that_fails_is_tried_again(cluster, many, job, before_commits):
    before_commits(fail(), 1)
    assert run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address).done == CHUNKS * SIZE - 1
    assert not Path("times").stat().st_size


def test_what_keeps_failing_ends_the_run_and_the_next_one_goes_on(cluster, many, explain, job, same, before_commits):
    before_commits(fail(), 1000)
    with pytest.raises(FileError, match=r"Cannot write to the store .* Input/output error"):
        run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address)
    Path("times").write_bytes(b"")
    assert run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address).done == CHUNKS * SIZE - 1
    explain(many, "alone.zarr", chunk=SIZE)
    assert same("out.zarr", "alone.zarr")


def test_failures_that_dask_does_not_raise_end_the_run(cluster, many, job, before_commits, monkeypatch):
    """It raises that of the first chunk of a batch, and hands out those behind it as they are."""

    class AsTheyAre(distributed.as_completed):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **{**options, "raise_errors": False})

    monkeypatch.setattr(distributed, "as_completed", AsTheyAre)
    before_commits(fail(), 1000)
    with pytest.raises(FileError, match=r"Cannot write to the store .* Input/output error"):
        run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address)


def test_a_chunk_that_worker_after_worker_dies_of_ends_the_run(cluster, many, job, before_commits, monkeypatch):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    before_commits(die(), 1)
    with pytest.raises(LRPError, match=r"1 workers died of one chunk, the last one at tcp://"):
        run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address)


def test_what_is_committed_is_not_done_again(cluster, many, explain, job):
    explain(many, "out.zarr", chunk=SIZE)
    os.remove("out.zarr/committed/7")
    told = []
    done = run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address, told.append)
    assert done.earlier == CHUNKS * SIZE - 1 - SIZE
    assert told == [done]
    assert run_on_cluster(job(many, chunk=SIZE), cluster.scheduler_address).earlier == done.done


def test_the_command_and_the_function_take_a_scheduler(cluster, many, explain, same):
    done = explain(many, "out.zarr", scheduler=cluster.scheduler_address)
    assert done.done == done.images
    arguments = ["batch", "model.onnx", many, "-o", "told.zarr", "--chunk", 2, "--backend", "reference"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--scheduler", cluster.scheduler_address])
    assert result.exit_code == 1, "one input cannot be explained"
    assert f"{done.explained} of {done.images} inputs" in result.output
    assert same("out.zarr", "told.zarr")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://here"])
def test_an_address_without_a_scheduler_is_named(address, many, job):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(InputError, match=f"No Dask scheduler answers at '{address}'"),
    ):
        run_on_cluster(job(many), address)
