"""What tests of several folders use."""

from __future__ import annotations

import signal
from importlib import import_module
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def harness(monkeypatch):
    """Modules of benchmarks/, by name."""
    root = Path(__file__).parents[1]
    if not (root / "benchmarks").is_dir():
        pytest.skip("the benchmarks are not beside the tests")
    monkeypatch.syspath_prepend(root)
    return lambda name: import_module(f"benchmarks.{name}")
