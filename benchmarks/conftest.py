"""Options of the kernels' benchmarks, and the table that they print at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .tables import Results, summary

RESULTS = pytest.StashKey[Results]()

#: read by the libraries under NumPy's matrix product when NumPy is imported, which is after this file
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lrpfast benchmarks")
    cores = os.cpu_count() or 1
    group.addoption("--threads", type=int, default=min(cores, 2), help="threads of every competitor")
    group.addoption("--rows", type=Path, metavar="FILE", help="where the rows go as JSON too")


def pytest_configure(config: pytest.Config) -> None:
    threads = config.getoption("--threads")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["OPENBLAS_THREAD_TIMEOUT"] = "20"  # a millisecond of waiting actively for more work, not a hundred
    config.stash[RESULTS] = Results(threads)


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config) -> Results:
    """Where a benchmark leaves its row."""
    return pytestconfig.stash[RESULTS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    results = config.stash[RESULTS]
    if not results.kernels:
        return
    results.measure_limits()
    if config.getoption("--rows"):
        config.getoption("--rows").write_text(json.dumps(results.figures()))
    terminalreporter.section("lrpfast's kernels, measured in this run")
    for line in summary(results):
        terminalreporter.write_line(line)
