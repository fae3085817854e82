"""One LRP for many threads at once: the same bits as alone, and memory for those that are at work."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from lrpfast import LRP
from oracles.threads import pictures, wide_net

THREADS, ROUNDS, PATIENCE = 8, 6, 300


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_that_share_an_lrp_get_the_bits_of_each_alone(threads: int) -> None:
    lrp = LRP(wide_net(), "epsilon_plus_flat", threads=threads)
    batches = [pictures(1 + index % 3, seed=index) for index in range(THREADS)]
    targets = [np.arange(1 + index % 2)[np.newaxis].repeat(len(x), 0) for index, x in enumerate(batches)]
    expected = [lrp.attribute(x, target) for x, target in zip(batches, targets, strict=True)]
    together = Barrier(THREADS)

    def explain(index: int) -> None:
        together.wait(PATIENCE)
        for _ in range(ROUNDS):
            found = lrp.attribute(batches[index], targets[index])
            np.testing.assert_array_equal(found.relevance, expected[index].relevance)
            np.testing.assert_array_equal(found.output, expected[index].output)
            assert str(found.audit) == str(expected[index].audit)

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(explain, index) for index in range(THREADS)]:
            future.result(PATIENCE)


def test_threads_may_meet_a_shape_for_the_first_time_together() -> None:
    model, together = wide_net(), Barrier(THREADS)
    lrp, x = LRP(model, "epsilon_plus", threads=2), pictures(2)
    expected = LRP(model, "epsilon_plus", threads=1).attribute(x, layers=["v3"])

    def explain(_: int) -> None:
        together.wait(PATIENCE)
        found = lrp.attribute(x, layers=["v3"])
        np.testing.assert_array_equal(found.relevance, expected.relevance)
        np.testing.assert_array_equal(found.layers["v3"], expected.layers["v3"])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(explain, range(THREADS), timeout=PATIENCE))


def test_several_lrps_share_the_helping_threads() -> None:
    model, x = wide_net(), pictures(2)
    lrps = [LRP(model, name, threads=threads) for name in ("epsilon_plus", "gradient") for threads in (1, 2, 4, 7)]
    expected = [lrp.attribute(x).relevance for lrp in lrps]
    with ThreadPoolExecutor(len(lrps)) as pool:
        for _ in range(ROUNDS):
            for found, relevance in zip(pool.map(lambda lrp: lrp.attribute(x).relevance, lrps), expected, strict=True):
                np.testing.assert_array_equal(found, relevance)


#: On one thread, since the C library ends the process where memory for a new thread's own variables is missing.
SHORT_OF_MEMORY = """
import resource
import numpy as np
from lrpfast import LRP
from oracles.threads import pictures, wide_net

model, x = wide_net(), pictures(4)
expected = LRP(model, "epsilon_plus", threads=1).attribute(x).relevance
unlimited = resource.getrlimit(resource.RLIMIT_AS)
failed = 0
for spare in range(0, 8 * 2**20, 2**18):
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    lrp = LRP(model, "epsilon_plus", threads=1)
    resource.setrlimit(resource.RLIMIT_AS, (taken + spare, unlimited[1]))
    try:
        found = lrp.attribute(x).relevance
    except MemoryError:
        failed, found = failed + 1, expected
    resource.setrlimit(resource.RLIMIT_AS, unlimited)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(lrp.attribute(x).relevance, expected)
print(failed)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the memory of a process")
def test_where_memory_runs_out_in_a_pass_python_hears_of_it_and_the_lrp_goes_on(path_of_tests: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY],
        env=path_of_tests,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
