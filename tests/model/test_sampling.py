"""Places and weights of resized axes; what they compute is compared with onnxruntime where files are read."""

from __future__ import annotations

from typing import cast, get_args

import numpy as np
import pytest

from lrpfast.model.sampling import COORDINATES, Coordinates, Mode, Sampling


@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_weights_add_up_to_one(mode: Mode, coordinates: str) -> None:
    sampling = Sampling(mode, cast(Coordinates, coordinates), scale=1.7)
    matrix = sampling.matrix(6)
    assert matrix.shape == (10, 6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (matrix >= 0).all() == (mode == "linear")


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_a_single_element_is_everywhere(mode: Mode, coordinates: str) -> None:
    sampling = Sampling(mode, cast(Coordinates, coordinates), size=4)
    if mode == "nearest":
        assert sampling.indices(1).tolist() == [0] * 4
    else:
        np.testing.assert_allclose(sampling.matrix(1), np.ones((4, 1)))


def test_corners_stay_where_they_are() -> None:
    positions = Sampling("linear", "align_corners", size=9).positions(5)
    np.testing.assert_array_equal(positions, np.arange(9) / 2)


def test_a_cubic_kernel_keeps_to_what_is_inside_if_told() -> None:
    inside = Sampling("cubic", "half_pixel", scale=2.0, exclude_outside=True).matrix(5)
    np.testing.assert_allclose(inside.sum(axis=1), 1)
    assert np.abs(inside - Sampling("cubic", "half_pixel", scale=2.0).matrix(5)).max() > 1e-3
