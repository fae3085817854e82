"""The measures of docs/quality.md by hand, and every method on digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrpfast.model.layers import Activation, Dense, Weighted
from oracles.graphs import chain, model_of, small_cnn

RAMP = np.arange(16.0).reshape(4, 4)


@pytest.fixture
def part(harness):
    """A module of the benchmark by its name."""
    return lambda name: harness(f"faithfulness.{name}")


def test_regions_go_by_the_sum_of_their_relevance(part):
    relevance = np.array([[9.0, -9, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 3]])
    ranking = part("measures").ranked_regions(relevance, size=2, at_once=1)
    np.testing.assert_array_equal(ranking[::2, ::2], [[3, 1], [0, 2]])
    np.testing.assert_array_equal(ranking[::2, ::2], ranking[1::2, 1::2])
    at_once = part("measures").ranked_regions(relevance, size=2, at_once=2)
    np.testing.assert_array_equal(at_once[::2, ::2], [[1, 0], [0, 1]])


def test_regions_at_the_edge_may_be_smaller(part):
    ranking = part("measures").ranked_regions(RAMP, size=3, at_once=1)
    assert [ranking[0, 0], ranking[0, 3], ranking[3, 0], ranking[3, 3]] == [0, 2, 1, 3]


def test_pixels_go_in_steps_of_equal_size(part):
    ranking = part("measures").ranked_pixels(RAMP, steps=4)
    np.testing.assert_array_equal(ranking, np.repeat([[3], [2], [1], [0]], 4, axis=1))


def test_among_equal_values_chance_decides(part):
    measures = part("measures")
    found = [measures.places(np.zeros(100), seed) for seed in range(2)]
    assert all(sorted(one) == list(range(100)) for one in found)
    assert not (found[0] == found[1]).all()


def test_a_curve_begins_with_the_input_and_ends_with_what_replaces_it(part):
    measures = part("measures")
    ranking = measures.ranked_pixels(RAMP, steps=4)
    sums = measures.curve(lambda x: x.sum(axis=(1, 2, 3)), ranking, 4, RAMP[np.newaxis], np.zeros((1, 4, 4)))
    np.testing.assert_array_equal(sums, [120, 66, 28, 6, 0])
    assert measures.area_over(sums / 120) == pytest.approx((0 + 54 + 92 + 114 + 120) / 120 / 5)
    assert measures.area_under(sums) == pytest.approx((93 + 47 + 17 + 3) / 4)


def test_rank_correlation_is_spearmans(part):
    correlation = part("measures").rank_correlation
    assert correlation(RAMP, RAMP**3) == pytest.approx(1)
    assert correlation(RAMP, -RAMP) == pytest.approx(-1)
    assert correlation(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(0.8)
    assert correlation(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])) == pytest.approx(np.sqrt(0.75))
    assert correlation(RAMP, np.ones((4, 4))) == 0


def test_boxes_hold_their_left_and_top_but_not_their_right_and_bottom(part):
    measures = part("measures")
    assert measures.points_into(RAMP, (3, 3, 4, 4))
    assert not measures.points_into(RAMP, (0, 0, 3, 4))
    assert measures.mass_inside(RAMP - 13, (3, 3, 4, 4)) == pytest.approx(2 / 3)


def test_blur_keeps_what_is_flat_and_takes_detail(part):
    rng = np.random.default_rng(0)
    blurred = part("measures").blurred
    np.testing.assert_allclose(blurred(np.full((2, 60, 60), 3.0)), 3, rtol=1e-6)
    assert blurred(rng.standard_normal((1, 60, 60))).std() < 0.2


def test_boxes_follow_crops_and_mirrors(part):
    from PIL import Image

    picture = Image.new("L", (300, 200))
    picture.paste(255, (110, 60, 160, 130))
    for view, (left, top, right, bottom) in part("subjects").views(picture, (110, 60, 160, 130), 100):
        inside = np.asarray(view) > 127
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        np.testing.assert_allclose(found, (left, top, right, bottom), atol=1)


def test_weights_are_shuffled_from_the_top_and_nothing_else_changes(part):
    model = model_of(small_cnn())
    changed = part("evaluation").shuffled(model, 2, seed=0)
    same = []
    for before, after in zip(model.graph.nodes, changed.graph.nodes, strict=True):
        if isinstance(before.layer, Weighted):
            same.append((before.layer.weight == after.layer.weight).all())
            np.testing.assert_array_equal(np.sort(before.layer.weight, None), np.sort(after.layer.weight, None))
    assert same == [True, True, False, False]


def test_models_that_give_a_class_no_score_at_all_are_shuffled_again(part):
    evaluation = part("evaluation")
    net = chain([Dense(np.array([[1.0, -1.0], [1.0, 1.0]], np.float32), None), Activation("relu")], (2,))
    x, target = np.array([[2.0, 1.0], [3.0, 1.0]], np.float32), np.array([0, 0])
    question = part("methods").Question(model_of(net), x, target, np.zeros(1), np.ones(1))
    found = list(evaluation.alive(question, 1))
    assert 0 < len(found) < evaluation.TRIES
    assert all((evaluation.LRP(model).scores(x)[:, 0] > 0).all() for model in found)


def test_every_method_is_measured_and_written_down(part, monkeypatch, tmp_path):
    evaluation, page, subjects = part("evaluation"), part("page"), part("subjects")
    monkeypatch.setattr(evaluation, "STEPS", 4)
    subject = subjects.digits()
    question = replace(subject.question, x=subject.question.x[:2], target=subject.question.target[:2])
    subject = replace(subject, question=question, boxes=((4, 4, 24, 24),) * 2)
    results = evaluation.evaluate(subject, lambda line: None)
    written = page.lines([results])
    assert sum(line.startswith("| LRP epsilon_plus_flat ") for line in written) == 3
    for values in results.values.values():
        assert all(len(one) % 2 == 0 and np.isfinite(one).all() for one in values.values())
    flipped = results.values["flipping, blurred"]["LRP epsilon_plus_flat"]
    assert all(len(one) == subject.regions + 1 and one[0] == 1 for one in flipped)
    page.draw([results], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
