"""From picture to input: scale, order of the channels, layout, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lrpfast.app.images import PREPROCESSINGS, InputFormat, resized

PIXEL = np.array([10.0, 100.0, 250.0])
IMAGENET = (PIXEL / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
EXPECTED = {
    "0-1": PIXEL / 255,
    "-1-1": PIXEL / 127.5 - 1,
    "0-255": PIXEL,
    "imagenet": IMAGENET,
    "caffe": PIXEL[::-1] - [104, 117, 123],
    "lite": (PIXEL - 127) / 128,
}
NCHW = InputFormat(channels=3, height=2, width=4, channel_axis=0)
NHWC = InputFormat(channels=3, height=2, width=4, channel_axis=2)
GREY = InputFormat(channels=1, height=2, width=4, channel_axis=0)


def test_every_preprocessing_has_an_expectation():
    assert PREPROCESSINGS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_values_are_those_of_the_training(name):
    picture = Image.new("RGB", (4, 2), tuple(PIXEL.astype(int)))
    sample = PREPROCESSINGS[name].sample(picture, NCHW)
    assert sample.dtype == np.float32
    np.testing.assert_allclose(sample[:, 1, 2], EXPECTED[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("form", [NCHW, NHWC, GREY])
def test_sample_has_the_shape_of_the_format(form):
    picture = Image.new("RGB", (4, 2))
    assert PREPROCESSINGS["caffe"].sample(picture, form).shape == form.shape


def test_layouts_hold_the_same_values():
    picture = Image.fromarray(np.random.default_rng(2).integers(0, 256, (2, 4, 3), dtype=np.uint8))
    samples = [PREPROCESSINGS["imagenet"].sample(picture, form) for form in (NCHW, NHWC)]
    np.testing.assert_array_equal(samples[0], np.moveaxis(samples[1], -1, 0))


@pytest.mark.parametrize("form", [NCHW, NHWC, GREY])
@pytest.mark.parametrize("name", EXPECTED)
def test_bounds_are_what_black_and_white_become(form, name):
    preprocessing = PREPROCESSINGS[name]
    bounds = preprocessing.bounds(form)
    for bound, color in zip(bounds, ("black", "white"), strict=True):
        sample = preprocessing.sample(Image.new("RGB", (4, 2), color), form)
        np.testing.assert_allclose(np.broadcast_to(bound, form.shape), sample, rtol=1e-6, atol=1e-6)


def test_adjusting_replaces_what_is_given_and_keeps_the_rest():
    caffe = PREPROCESSINGS["caffe"]
    assert caffe.adjusted(None, None, None) == caffe
    assert caffe.adjusted((1.0,), None, False).mean == (1.0,)
    assert caffe.adjusted(None, (2.0,), None).bgr


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (3, 2), (500, 1)])
@pytest.mark.parametrize("resize", ["crop", "squash"])
def test_result_has_the_size_asked_for(size, resize):
    assert resized(Image.new("RGB", size), 12, 16, resize).size == (12, 16)


def test_cropping_keeps_circles_round():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255
    assert (np.asarray(resized(Image.fromarray(pixels), 20, 20, "crop")) == 255).all()
