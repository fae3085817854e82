"""Explanations, and pictures as the model sees them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lrpfast import LRP
from lrpfast.app.images import resized
from lrpfast.app.serve.choices import Choice
from lrpfast.app.serve.explainer import KEPT
from lrpfast.errors import FileError, InputError

USUAL = Choice.of("epsilon_plus_flat", {})


def test_maps_are_those_of_lrp(digit_explainer, digits):
    answer = digit_explainer.explain(digits[3].tobytes(), USUAL, range(10))
    expected = LRP(digit_explainer.model).attribute(digits[3][None, None] / np.float32(255), [range(10)])
    np.testing.assert_array_equal(answer.maps, expected.relevance[0, :, 0])
    np.testing.assert_array_equal(answer.scores, expected.output[0])
    assert answer.targets == tuple(range(10))
    np.testing.assert_allclose(answer.sums, expected.relevance[0].sum(axis=(1, 2, 3)), rtol=1e-4)


def test_without_a_target_the_highest_score_is_explained(digit_explainer, digits):
    answer = digit_explainer.explain(digits[3].tobytes(), USUAL, None)
    assert answer.targets == (answer.scores.argmax(),)
    assert answer.probabilities.sum() == pytest.approx(1)


def test_channels_are_summed(color_explainer):
    pixels = np.full((16, 12, 3), (255, 0, 0), np.uint8)
    answer = color_explainer.explain(pixels.tobytes(), Choice.of("epsilon", {}), None)
    assert answer.targets == (0,)
    np.testing.assert_allclose(answer.maps, np.full((1, 16, 12), 2 / 16 / 12), rtol=1e-4)


def test_pixels_of_another_number_are_refused(digit_explainer):
    with pytest.raises(InputError, match="784 bytes in all; 10 came"):
        digit_explainer.explain(bytes(10), USUAL, None)


def test_only_the_choices_of_late_stay_prepared(digit_explainer):
    choices = [Choice.of("epsilon", {"epsilon": str(value / 10)}) for value in range(1, KEPT + 2)]
    first, *rest = [digit_explainer.lrp(choice) for choice in choices]
    assert [digit_explainer.lrp(choice) for choice in choices[1:]] == rest
    assert digit_explainer.lrp(choices[0]) is not first


def test_a_picture_is_cut_as_the_command_explain_cuts_it(color_explainer, file_of):
    picture = Image.linear_gradient("L").convert("RGB")
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    seen = color_explainer.see(buffer.getvalue(), most_pixels=10**6)
    assert seen.pixels == resized(picture, 12, 16, "crop").tobytes()
    with Image.open(BytesIO(seen.shown)) as shown:
        assert shown.size == (12, 16)  # so few pixels are shown as they are


def test_a_model_of_grey_pictures_gets_one_byte_a_pixel(digit_explainer, file_of):
    assert digit_explainer.see(file_of("white"), most_pixels=10**6).pixels == bytes([255] * 784)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_unpacked(color_explainer, file_of):
    with pytest.raises(FileError, match="more pixels than are safe"):
        color_explainer.see(file_of(size=(40, 30)), most_pixels=1199)


def test_a_file_that_would_have_a_program_run_is_no_picture(color_explainer):
    with pytest.raises(FileError, match="no picture in a format known here"):
        color_explainer.see(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", most_pixels=10**6)
