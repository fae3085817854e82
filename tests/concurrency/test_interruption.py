"""Ctrl-C in the middle of a pass ends it, and leaves everything in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest

from lrpfast import LRP
from oracles.threads import pictures, wide_net

PATIENCE = 120

#: One call of the core that takes some ten minutes
LONG_CALL = """
import sys
from lrpfast import LRP
from lrpfast import _native as core
from oracles.threads import pictures, wide_net

threads = int(sys.argv[1])
lrp, x = LRP(wide_net(), "epsilon_plus", threads=threads), pictures(1)
expected = lrp.attribute(x).relevance
program, pool = core.Program(), core.Pool()
step = core.fill(core.Tensor(pool, 1, 64, (1, 512, 512)), 1.0)
for _ in range(100_000):
    program.add(step)
print("ready", flush=True)
try:
    program.run(threads)
except KeyboardInterrupt:
    print("interrupted")
assert (lrp.attribute(x).relevance == expected).all()
print("goes on")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")
@pytest.mark.parametrize("threads", [1, 3])
def test_an_interruption_ends_a_call_long_before_its_end(threads: int, path_of_tests: dict[str, str]) -> None:
    command = [sys.executable, "-c", LONG_CALL, str(threads)]
    with subprocess.Popen(command, env=path_of_tests, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(1)  # well into the call
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert said.splitlines() == ["interrupted", "goes on"]
    assert process.returncode == 0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of POSIX")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python drops what comes in a __del__
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("composite", ["epsilon_plus_flat", "preset_b", "gradient_x_input"])
def test_after_interruptions_anywhere_results_are_as_before(composite: str, threads: int) -> None:
    lrp, x = LRP(wide_net(64), composite, threads=threads), pictures(2, 64)
    target = np.array([[0, 1], [2, 3]])
    expected = lrp.attribute(x, target)
    took = min(seconds(lambda: lrp.attribute(x, target)) for _ in range(3))
    for moment in np.linspace(0.05, 0.95, 15) * took:
        interrupted_after(moment, lambda: lrp.attribute(x, target))
        found = lrp.attribute(x, target)
        np.testing.assert_array_equal(found.relevance, expected.relevance)
        assert str(found.audit) == str(expected.audit)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of POSIX")
def test_other_threads_are_not_interrupted() -> None:
    lrp, x = LRP(wide_net(), "epsilon_plus", threads=2), pictures(2)
    expected = lrp.attribute(x).relevance
    with ThreadPoolExecutor(1) as pool:
        found = [pool.submit(lrp.attribute, x) for _ in range(20)]
        interrupted_after(0.01, lambda: wait(found, PATIENCE))
        assert all((future.result(PATIENCE).relevance == expected).all() for future in found)


class InterruptionError(Exception):
    """What the handler of these tests raises."""


def interrupted_after(moment: float, work: Callable[[], Any]) -> None:
    """Runs `work`, which is interrupted at that time if it is not over by then."""

    def interrupt(*_: object) -> None:
        raise InterruptionError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, moment)
        work()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except InterruptionError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
