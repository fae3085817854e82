"""A run overlaps its steps within bounds, and whatever ends it, the next one finishes the same store."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lrpfast.dataset import Job, run_job, store
from lrpfast.dataset.run import AHEAD, BEHIND
from lrpfast.errors import FileError

zarr = pytest.importorskip("zarr")


class Stopped(BaseException):
    """The end of a process, as far as a test can have it inside its own."""


def leftovers(path="."):
    return [file for file in Path(path).rglob("*.part")]


def test_progress_is_told_after_each_chunk(explain):
    told = []
    done = explain("x.npy", "out.zarr", progress=told.append)
    assert [state.done for state in told] == [2, 4, 6, 7]
    assert told[-1] == done and done.images == 7


def test_a_finished_store_is_left_as_it_is(explain, content):
    explain("x.npy", "out.zarr")
    times = {file: file.stat().st_mtime_ns for file in Path("out.zarr").rglob("*")}
    again = explain("x.npy", "out.zarr")
    assert (again.earlier, again.explained) == (7, 7)
    assert times == {file: file.stat().st_mtime_ns for file in Path("out.zarr").rglob("*")}


def test_only_what_is_missing_is_done(explain, job, monkeypatch):
    explain("x.npy", "out.zarr")
    os.remove("out.zarr/committed/2")
    read = []
    monkeypatch.setattr(
        Job, "read", lambda self, chunk, mapper, inner=Job.read: (read.append(chunk), inner(self, chunk))[1]
    )
    assert run_job(job()).earlier == 5
    assert read == [2]


def test_a_run_stopped_at_any_write_is_finished_by_the_next(explain, same, monkeypatch):
    """Also one that stops while the store is made."""
    explain("x.npy", "expected.zarr")
    write, writes = store._write, 0
    steps = 2 * 7 + 9 + 2

    for stop in range(steps):
        out, writes = f"{stop}.zarr", 0

        def stopping(path, content, stop=stop):
            nonlocal writes
            writes += 1
            if writes > stop:
                raise Stopped
            write(path, content)

        monkeypatch.setattr(store, "_write", stopping)
        with pytest.raises(Stopped):
            explain("x.npy", out)
        monkeypatch.setattr(store, "_write", write)
        explain("x.npy", out)
        assert same("expected.zarr", out), f"after {stop} writes"
    assert leftovers() == []


def test_what_was_not_committed_is_worth_nothing(explain, same):
    explain("x.npy", "expected.zarr")
    explain("x.npy", "out.zarr")
    os.remove("out.zarr/committed/1")
    Path("out.zarr/relevance/1.0.0.0").write_bytes(b"torn")
    os.remove("out.zarr/scores/1.0")
    Path("out.zarr/relevance/.0123456789abcdef.part").write_bytes(b"left")
    assert explain("x.npy", "out.zarr").earlier == 5
    assert same("expected.zarr", "out.zarr")
    assert leftovers("out.zarr") == []


KILLED = """
import os, random, signal, sys, time
import lrpfast, zarr
from PIL import Image

def explain():
    lrpfast.explain_dataset("model.onnx", "many.npy", "killed.zarr", backend="reference", chunk=2)

rng, kills, ended = random.Random(int(sys.argv[1])), 0, False
while kills < 20 and not ended:
    child = os.fork()
    if not child:
        explain()
        os._exit(0)
    time.sleep(rng.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    ended = os.waitpid(child, 0)[1] == 0
    kills += not ended
explain()
print(kills)
"""


def test_a_run_killed_twenty_times_makes_the_same_store(explain, same):
    """By a process that forks, which costs no imports."""
    np.save("many.npy", np.random.default_rng(1).random((200, 3, 6, 5), np.float32))
    done = subprocess.run([sys.executable, "-c", KILLED, "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    explain("many.npy", "expected.zarr")
    assert same("expected.zarr", "killed.zarr")
    assert leftovers() == []


def test_a_full_disk_is_told_and_can_be_gone_on_from(explain, same, monkeypatch):
    explain("x.npy", "expected.zarr")
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(store.os, "fsync", full)
        with pytest.raises(FileError, match=r"out.zarr': the disk is full. Make room, then run the same again"):
            explain("x.npy", "out.zarr")
    assert leftovers("out.zarr") == []
    done = explain("x.npy", "out.zarr")
    assert 0 < done.earlier < 7
    assert same("expected.zarr", "out.zarr")


def test_an_interrupt_ends_a_run_that_can_be_gone_on_with(explain, same):
    def interrupt(state):
        raise KeyboardInterrupt

    explain("x.npy", "expected.zarr")
    with pytest.raises(KeyboardInterrupt):
        explain("x.npy", "out.zarr", progress=interrupt)
    assert threading.active_count() == 1 or not any("ThreadPool" in each.name for each in threading.enumerate())
    assert explain("x.npy", "out.zarr").earlier >= 2
    assert same("expected.zarr", "out.zarr")


def test_two_calls_do_not_work_on_one_store(explain, job):
    work = job()
    with work.store.held(), pytest.raises(FileError, match="Another process is writing to the store"):
        run_job(work)
    assert run_job(work).done == 7


@pytest.mark.parametrize("slow", ["read", "explain", "commit"])
def test_no_step_runs_away_from_the_others(job, monkeypatch, slow):
    """However slow one of them is, only so many chunks are held."""
    np.save("many.npy", np.zeros((80, 3, 6, 5), np.float32))
    held, most, lock = set(), 0, threading.Lock()
    delay = threading.Event()

    def counted(name, inner):
        def step(self, chunk, *arguments):
            nonlocal most
            with lock:
                if name == "read":
                    held.add(chunk)
                most = max(most, len(held))
            if name == slow:
                delay.wait(0.005)
            result = inner(self, chunk, *arguments)
            with lock:
                if name == "commit":
                    held.discard(chunk)
            return result

        return step

    for name in ("read", "explain", "commit"):
        monkeypatch.setattr(Job, name, counted(name, getattr(Job, name)))
    assert run_job(job("many.npy")).done == 80
    assert most <= AHEAD + 1 + BEHIND + 1
