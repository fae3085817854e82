"""Names and probabilities of classes."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.app.classes import Classes, probabilities


def test_softmax_of_scores_sums_to_one_and_keeps_the_order():
    scores = np.array([1000.0, 999.0, -1000.0])
    found, words = probabilities(scores, None)
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0], atol=1e-12)
    assert words.startswith("softmax")


def test_sigmoid_head_gives_each_class_its_own_probability():
    found, words = probabilities([0.0, 1e4, -1e4], "Sigmoid")
    assert found.tolist() == [0.5, 1.0, 0.0]
    assert words.startswith("sigmoid")


def test_scores_that_are_probabilities_stay():
    found, words = probabilities([0.25, 0.75], None)
    assert (found.tolist(), words) == ([0.25, 0.75], "")


def test_class_without_a_name_is_called_by_its_number():
    assert Classes(3).name(2) == "class 2"
    assert Classes(2, ("a", "")).name(1) == "class 1"


def test_whole_name_wins_over_part_of_another():
    assert Classes(2, ("crane fly", "crane")).find("Crane") == 1


def test_equal_names_need_the_index():
    with pytest.raises(ValueError, match="0 crane, 1 crane"):
        Classes(2, ("crane", "crane")).find("crane")
