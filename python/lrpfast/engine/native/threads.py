"""How many threads there are unless somebody says."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from lrpfast import _native as core


def default_threads() -> int:
    """Threads of a call for which nobody has set a number.

    As many as OpenMP would take, which is what ``OMP_NUM_THREADS`` or threadpoolctl say. Without the variable no more
    than the cores that this process may run on, nor than the quota of its container pays for.
    """
    wanted = core.openmp_threads()
    if os.environ.get("OMP_NUM_THREADS"):
        return wanted
    return math.ceil(min(wanted, _cores(), _own_quota()))


def _cores() -> int:
    """Cores that the calling thread may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _own_quota() -> float:
    return cpu_quota(Path("/"))


def cpu_quota(root: Path) -> float:
    """Cores' worth of time that control groups grant this process; infinity without a limit.

    Limits of the groups around its own hold too. In a container the paths may be those of the host, of which the
    container sees only the end.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    granted = math.inf
    for mount, path in _groups(root / "proc/self/cgroup"):
        for group in (path, *path.parents):
            granted = min(granted, _granted(root / "sys/fs/cgroup" / mount / group))
    return granted


def _groups(file: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Where limits of CPU time lie: the folder of the hierarchy, none in version 2, and the path in it."""
    for line in _text(file).splitlines():
        match line.split(":", 2):
            case [_, "", path]:
                yield "", PurePosixPath(path.lstrip("/"))
            case [_, controllers, path] if "cpu" in controllers.split(","):
                yield "cpu", PurePosixPath(path.lstrip("/"))


def _granted(group: Path) -> float:
    """Cores' worth of time that one group is granted."""
    limit = _text(group / "cpu.max") or f"{_text(group / 'cpu.cfs_quota_us')} {_text(group / 'cpu.cfs_period_us')}"
    match limit.split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            return int(quota) / int(period)
    return math.inf  # no such group or file, or no limit: "max", or -1


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeError):
        return ""
