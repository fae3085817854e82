"""What tests of concurrency share."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def path_of_tests() -> dict[str, str]:
    """The environment for a process that imports lrpfast and the tests' oracles from where they are here."""
    tests = str(Path(__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join([tests, *sys.path])}
