"""When the scale of the pixels is doubted, and what is said then."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.app.doubts import doubt, undecided
from lrpfast.app.images import PREPROCESSINGS

EVEN = np.full(20, 1 / 20)
SURE = np.eye(20)[3] * 0.8 + 0.01


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (EVEN, True),
        (SURE, False),
        (np.eye(20)[0], False),
        (np.full(2, 0.5), False),  # two classes that are equal may be the truth
        (np.full(20, 0.5), False),  # sigmoids: each class has a probability of its own
    ],
)
def test_undecided_is_who_tells_many_classes_hardly_apart(probability, expected):
    assert undecided(probability) == expected


def told(at, assumed, decided=()):
    """What is said where the scales `decided` make the model decide for class 3."""

    def scores(preprocessing):
        sure = any(preprocessing == PREPROCESSINGS[scale] for scale in decided)
        return np.log(SURE if sure else EVEN)

    return doubt(at, assumed, scores, None, "class {}".format)


def test_nothing_is_said_of_a_scale_that_was_chosen_and_works():
    assert told(None, assumed=False) == ""


def test_assumed_scale_is_told_where_nothing_speaks_against_it():
    assert "no --preprocess was given. If the predictions look wrong" in told(None, assumed=True, decided=("caffe",))


def test_undecided_model_is_shown_with_the_scales_in_which_it_decides():
    words = told(0.05, assumed=True, decided=("0-255", "caffe"))
    assert "hardly tells its classes apart (none has more than 5.0 %)" in words
    readings = [line.split() for line in words.splitlines() if line.startswith("  --preprocess")]
    assert readings == [["--preprocess", scale, "class", "3,", "81.0", "%"] for scale in ("0-255", "caffe")]
    assert "Being surer is no proof." in words


def test_where_no_scale_makes_the_model_decide_other_reasons_are_named():
    assert "--mean and --std; or it does not know what the picture shows" in told(0.05, assumed=True)


def test_chosen_scale_is_doubted_where_the_model_is_undecided():
    assert "Leave out --preprocess" in told(0.05, assumed=False)
