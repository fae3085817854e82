# ruff: noqa: D103
"""What only this processor has: its name, and a flush-to-zero mode of its own."""

import platform

import numpy as np
import pytest

from lrpfast import _native as core

SIZE = (1, 64, 64)  # enough work for two threads
SMALL = np.float32(1e-20)


def test_the_processor_is_emulated():
    assert platform.machine() == "aarch64"
    assert core.available_isas() == ["baseline"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("winograd", [False, True])
def test_denormal_numbers_count_as_zero_in_the_core_and_nowhere_else(winograd: bool, threads: int):
    pool = core.Pool()
    x = core.Tensor(pool, 1, 32, SIZE, (0, 1, 1), (0, 1, 1))
    y = core.Tensor(pool, 1, 32, SIZE, (0, 0, 0), (0, 0, 0))
    stored = core.Activation(1, 32, SIZE, core.FunctionParameters(core.Function.identity, 0, 0, 0, 0), None, y=y)

    def convolved(weight: np.float32) -> np.ndarray:
        weights = np.full((32, 32, 9), weight, np.float32)
        if winograd:
            core.winograd(core.WinogradWeights(weights, False), (1, 1), x, stored).run(threads)
        else:
            window = core.Window((1, 3, 3), (1, 1, 1), (1, 1, 1), (0, 1, 1))
            core.convolve(core.PackedWeights(weights, 1, False), window, x, stored).run(threads)
        return y.store(threads)

    x.load(np.full((1, 32, *SIZE), SMALL), threads)
    assert not convolved(SMALL).any()
    assert convolved(np.float32(1)).all()
    assert SMALL * SMALL > 0
