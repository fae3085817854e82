"""The mathematics of heatmaps: pooling, scale, colours."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from lrpfast.errors import InputError
from lrpfast.view.heatmap import color_table, colorize, full_scale, normalise, pool, stretched, strip, tinted

RNG = np.random.default_rng(8)
MAPS = ("seismic", "bwr", "coldnhot", "blueorange")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pooling_sums_over_the_channels(axis):
    relevance = RNG.normal(size=(3, 4, 5))
    np.testing.assert_allclose(pool(relevance, axis), relevance.sum(axis))


def test_pooling_keeps_the_sum():
    relevance = RNG.normal(size=(3, 4, 5)).astype(np.float32)
    assert pool(relevance, 0).sum() == pytest.approx(relevance.sum(dtype=np.float64))


@pytest.mark.parametrize(
    ("shape", "axis", "expected"), [((7,), None, (1, 7)), ((2, 7), 0, (1, 7)), ((1, 7), None, (1, 7))]
)
def test_vectors_become_one_row(shape, axis, expected):
    assert pool(np.ones(shape), axis).shape == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="not finite"):
        pool([[1.0, bad]])


def test_few_extreme_pixels_do_not_set_the_scale():
    relevance = RNG.uniform(-1, 1, (100, 100))
    relevance[0, :3] = 1e6
    assert 0.9 < full_scale(relevance) <= 1.0
    assert full_scale(relevance, percentile=100) == 1e6


def test_scale_of_a_map_with_few_relevant_pixels_is_their_maximum():
    relevance = np.zeros((100, 100))
    relevance[3, 4] = -5.0
    assert full_scale(relevance) == 5.0


def test_map_without_relevance_is_drawn_in_the_color_of_zero():
    assert not normalise(np.zeros((4, 4))).any()


@pytest.mark.parametrize("percentile", [0, -1, 100.1, np.nan])
def test_percentile_outside_its_range_is_refused(percentile):
    with pytest.raises(InputError, match="percentile"):
        full_scale([[1.0]], percentile)


def test_empty_map_is_refused():
    with pytest.raises(InputError, match="empty"):
        full_scale(np.zeros((0, 3)))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scale_that_is_no_magnitude_is_refused(scale):
    with pytest.raises(InputError, match="scale"):
        normalise([[1.0]], scale)


def test_normalising_keeps_signs_and_zero_and_clips():
    np.testing.assert_allclose(normalise([[-8.0, -1.0, 0.0, 2.0, 9.0]], 4.0), [[-1.0, -0.25, 0.0, 0.5, 1.0]])


def test_normalising_is_symmetric():
    values = RNG.normal(size=(20, 20))
    np.testing.assert_array_equal(normalise(-values), -normalise(values))


@pytest.mark.parametrize("name", MAPS)
def test_zero_is_neutral(name):
    expected = [0, 0, 0] if name == "coldnhot" else [255, 255, 255]
    assert colorize(0.0, name).tolist() == expected


@pytest.mark.parametrize("name", MAPS)
def test_for_and_against_differ_at_every_strength(name):
    strengths = np.linspace(0.1, 0.9, 9)
    difference = colorize(strengths, name).astype(int) - colorize(-strengths, name)
    assert (np.abs(difference).max(axis=-1) > 20).all()


@pytest.mark.parametrize("name", MAPS)
def test_ends_of_a_map_are_full_for_and_against(name):
    table = color_table(name)
    assert colorize(-1.0, name).tolist() == table[0].tolist()
    assert colorize(1.0, name).tolist() == table[-1].tolist()


@pytest.mark.parametrize("name", ["seismic", "bwr", "PuOr"])
def test_maps_of_matplotlib_keep_their_colors(name):
    # the tables have 257 and 256 entries, so neighbours may differ by a step
    original = matplotlib.colormaps[name](np.linspace(0, 1, 9))[:, :3] * 255
    found = colorize(np.linspace(-1, 1, 9), name)
    assert np.abs(found - original).max() < 5


def test_blueorange_is_told_apart_without_red_and_green():
    # what is left to a person who confuses red and green: their mean, and blue
    strengths = np.linspace(0.2, 0.8, 7)
    sides = [colorize(sign * strengths, "blueorange").astype(float) for sign in (1, -1)]
    yellow_blue = [side[:, :2].mean(axis=1) - side[:, 2] for side in sides]
    assert (yellow_blue[0] - yellow_blue[1] > 40).all()


def test_unknown_map_is_refused_with_names_that_exist():
    with pytest.raises(InputError, match=r"no colour map 'sesimic'; use seismic"):
        color_table("sesimic")


@pytest.mark.parametrize("name", MAPS)
def test_tint_is_the_full_color_at_the_ends_and_nothing_at_zero(name):
    found = tinted([9, 99, 199], np.array([-1.0, 0.0, 1.0]), name)
    np.testing.assert_array_equal(found, [color_table(name)[0], [9, 99, 199], color_table(name)[-1]])


def test_stretched_values_reach_from_0_to_1():
    np.testing.assert_allclose(stretched([-2.0, 0.0, np.nan, 2.0, np.inf]), [0.0, 0.5, 0.0, 1.0, 0.0])


@pytest.mark.parametrize("values", [[3.0, 3.0], [np.nan, np.inf], []])
def test_flat_values_are_stretched_to_0(values):
    assert not stretched(values).any()


@pytest.mark.parametrize(("length", "height"), [(10, 16), (400, 50), (10_000, 128)])
def test_strip_of_a_vector_is_tall_enough_to_see(length, height):
    assert strip(np.zeros((1, length))).shape == (height, length)


def test_strip_leaves_pictures_alone():
    values = RNG.normal(size=(2, 3))
    assert strip(values) is values
