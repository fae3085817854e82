"""How many threads a call takes: what is said, else what the machine and its limits allow."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from lrpfast import LRP
from lrpfast.engine.native import NativeEngine, threads
from lrpfast.engine.native.threads import cpu_quota, default_threads
from oracles.threads import wide_net


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One on which OpenMP would take 64 threads on 48 cores, without limits."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.core, "openmp_threads", lambda: 64)
    monkeypatch.setattr(threads, "_cores", lambda: 48)
    monkeypatch.setattr(threads, "_own_quota", lambda: math.inf)
    return monkeypatch


# How many


def test_without_a_limit_all_cores_that_the_process_may_run_on_work(machine: pytest.MonkeyPatch) -> None:
    assert default_threads() == 48


@pytest.mark.parametrize(("quota", "expected"), [(0.5, 1), (1.0, 1), (2.5, 3), (100.0, 48)])
def test_no_more_threads_work_than_the_quota_pays_for(machine: pytest.MonkeyPatch, quota: float, expected: int) -> None:
    machine.setattr(threads, "_own_quota", lambda: quota)
    assert default_threads() == expected


def test_fewer_threads_of_openmp_are_respected(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(threads.core, "openmp_threads", lambda: 3)
    assert default_threads() == 3


def test_the_variable_of_openmp_wins_over_the_limits(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(threads, "_own_quota", lambda: 2.0)
    machine.setenv("OMP_NUM_THREADS", "64")
    assert default_threads() == 64


def test_a_number_that_is_given_wins_over_everything(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(threads, "_own_quota", lambda: 2.0)
    assert engine(LRP(wide_net(8), "epsilon", threads=7)).threads == 7


def test_limits_that_change_hold_from_the_next_call_on(machine: pytest.MonkeyPatch) -> None:
    runner = engine(LRP(wide_net(8), "epsilon"))
    machine.setattr(threads.core, "openmp_threads", lambda: 5)
    assert runner.threads == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_the_cores_that_the_process_may_run_on_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert default_threads() == 1
    finally:
        os.sched_setaffinity(0, before)


def engine(lrp: LRP) -> NativeEngine:
    assert isinstance(lrp._engine, NativeEngine)
    return lrp._engine


# Control groups


def group(root: Path, path: str, **limits: str) -> None:
    """A control group with limits, one file each; "__" in its name is a dot."""
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in limits.items():
        (folder / name.replace("__", ".")).write_text(text)


def member(root: Path, *lines: str) -> None:
    """What this process is a member of."""
    file = root / "proc/self/cgroup"
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def test_a_container_of_version_2_has_its_limit_at_the_root(tmp_path: Path) -> None:
    member(tmp_path, "0::/")
    group(tmp_path, "", cpu__max="150000 100000\n")
    assert cpu_quota(tmp_path) == 1.5


def test_the_tightest_group_around_a_process_decides(tmp_path: Path) -> None:
    member(tmp_path, "0::/user.slice/app.scope")
    group(tmp_path, "user.slice", cpu__max="200000 100000\n")
    group(tmp_path, "user.slice/app.scope", cpu__max="max 100000\n")
    assert cpu_quota(tmp_path) == 2
    group(tmp_path, "user.slice/app.scope", cpu__max="100000 100000\n")
    assert cpu_quota(tmp_path) == 1


def test_groups_of_version_1_say_quota_and_period_apart(tmp_path: Path) -> None:
    member(tmp_path, "5:memory:/job", "4:cpu,cpuacct:/job", "0::/")
    group(tmp_path, "cpu/job", cpu__cfs_quota_us="400000\n", cpu__cfs_period_us="100000\n")
    group(tmp_path, "memory/job", cpu__cfs_quota_us="100\n", cpu__cfs_period_us="100\n")
    assert cpu_quota(tmp_path) == 4


def test_a_path_of_the_host_is_looked_up_at_the_root_of_the_container(tmp_path: Path) -> None:
    member(tmp_path, "4:cpu,cpuacct:/docker/8f3c")
    group(tmp_path, "cpu", cpu__cfs_quota_us="50000\n", cpu__cfs_period_us="100000\n")
    assert cpu_quota(tmp_path) == 0.5


@pytest.mark.parametrize("limit", ["max 100000\n", "", "-1 100000\n", "0 100000\n", "what 1\n", "7\n"])
def test_a_group_without_a_limit_grants_everything(tmp_path: Path, limit: str) -> None:
    member(tmp_path, "0::/")
    group(tmp_path, "", cpu__max=limit)
    assert cpu_quota(tmp_path) == math.inf


@pytest.mark.parametrize("lines", [[], ["0::/gone"], ["0::/../outside"], ["nonsense"], ["::"]])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, lines: list[str]) -> None:
    member(tmp_path, *lines)
    assert cpu_quota(tmp_path) == math.inf


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) == math.inf
