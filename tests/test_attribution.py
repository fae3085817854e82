"""Attribution: relevance as a picture, and as a file that is whole or not there."""

from __future__ import annotations

import pickle
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lrpfast.attribution import Attribution, Origin
from lrpfast.errors import InputError, LRPError
from lrpfast.view import files

RNG = np.random.default_rng(3)


def attribution(relevance, channel_axis=0, several=False):
    relevance = np.asarray(relevance, dtype=np.float32)
    shape = relevance.shape[:1] + relevance.shape[2:] if several else relevance.shape
    samples = len(relevance)
    return Attribution(
        relevance=relevance,
        output=np.zeros((samples, 4), np.float32),
        target=np.zeros(samples, np.int64),
        audit="a table",
        input=RNG.normal(size=shape).astype(np.float32),
        channel_axis=channel_axis,
    )


@pytest.fixture
def pictures():
    return attribution(RNG.normal(size=(2, 3, 8, 6)))


def test_one_class_may_be_explained_in_several_ways(tmp_path):
    several = attribution(RNG.normal(size=(2, 3, 1, 8, 6)), several=True)
    assert several.target.shape == (2,)
    assert several.save(tmp_path / "third.png", explanation=2).exists()


def test_heatmap_has_the_pixels_of_the_input(pictures):
    heatmap = pictures.heatmap(1)
    assert heatmap.shape == (8, 6, 3)
    assert heatmap.dtype == np.uint8


def test_heatmap_does_not_depend_on_where_the_channels_are(pictures):
    moved = attribution(np.moveaxis(pictures.relevance, 1, -1), channel_axis=2)
    np.testing.assert_array_equal(moved.heatmap(), pictures.heatmap())


def test_relevance_for_is_red_against_is_blue_and_none_is_white():
    heatmap = attribution([[[[2.0, 0.0, -2.0]] * 2]]).heatmap(scale=4.0)
    red, none, blue = heatmap[0].tolist()
    assert red[0] == 255 and red[1] < 10 and red[2] < 10
    assert none == [255, 255, 255]
    assert blue[2] == 255 and blue[0] < 10 and blue[1] < 10


def test_channels_that_cancel_are_white():
    relevance = np.stack([np.full((4, 4), 3.0), np.full((4, 4), -3.0)])[None]
    assert (attribution(relevance).heatmap() == 255).all()


def test_same_scale_makes_heatmaps_comparable():
    both = attribution([np.full((1, 4, 4), 1.0), np.full((1, 4, 4), 0.5)])
    assert np.array_equal(both.heatmap(0), both.heatmap(1))
    assert not np.array_equal(both.heatmap(0, scale=1.0), both.heatmap(1, scale=1.0))


def test_vector_becomes_a_strip_with_a_column_per_element():
    heatmap = attribution(RNG.normal(size=(1, 200)), channel_axis=None).heatmap()
    assert heatmap.shape == (25, 200, 3)
    assert (heatmap == heatmap[:1]).all()


def test_signal_with_a_channel_axis_becomes_a_strip_too():
    assert attribution(RNG.normal(size=(1, 2, 64))).heatmap().shape == (16, 64, 3)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 8, 6), 0), ((8, 6, 3), 2), ((8, 6), None), ((40,), None), ((2, 40), 0)]
)
def test_over_the_input_zero_relevance_shows_it_in_grey(shape, axis):
    found = attribution(np.zeros((1, *shape)), axis)
    over = found.heatmap(overlay=True)
    assert over.shape == found.heatmap().shape
    assert np.ptp(over, axis=-1).max() == 0
    assert (over.min(), over.max()) == (102, 255)


def test_each_of_several_explanations_has_its_heatmap():
    relevance = RNG.normal(size=(2, 3, 1, 5, 5))
    several = attribution(relevance, several=True)
    single = attribution(relevance[:, 2])
    np.testing.assert_array_equal(several.heatmap(1, 2), single.heatmap(1))


@pytest.mark.parametrize(("sample", "explanation"), [(2, 0), (-1, 0), (0, 1)])
def test_sample_or_explanation_that_is_not_there_is_refused(pictures, sample, explanation):
    with pytest.raises(InputError, match="counted from 0"):
        pictures.heatmap(sample, explanation)


def test_relevance_of_a_volume_is_no_heatmap():
    with pytest.raises(InputError, match="at most 2"):
        attribution(np.ones((1, 1, 3, 3, 3))).heatmap()


def test_printing_shows_shapes_and_no_numbers(pictures):
    assert repr(pictures) == "Attribution(relevance=float32 (2, 3, 8, 6), output=(2, 4))"


def test_attribution_pickles(pictures):
    again = pickle.loads(pickle.dumps(pictures))
    np.testing.assert_array_equal(again.relevance, pictures.relevance)


def test_saved_array_is_the_relevance_of_the_sample(pictures, tmp_path):
    written = pictures.save(tmp_path / "r.npy", 1)
    np.testing.assert_array_equal(np.load(written), pictures.relevance[1])


def test_saved_alone_the_picture_is_the_heatmap(pictures, tmp_path):
    pictures.save(tmp_path / "r.png", beside=False, colors="bwr")
    with Image.open(tmp_path / "r.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), pictures.heatmap(colors="bwr"))
    pictures.save(tmp_path / "r.png", beside=False, overlay=True)
    with Image.open(tmp_path / "r.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), pictures.heatmap(overlay=True))


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".webp", ".tiff"])
def test_suffix_chooses_the_format(pictures, tmp_path, suffix):
    with Image.open(pictures.save(tmp_path / f"r{suffix}")) as saved:
        assert saved.format == {".jpg": "JPEG", ".webp": "WEBP", ".tiff": "TIFF"}.get(suffix, "PNG")


def test_input_is_shown_beside(pictures, tmp_path):
    with Image.open(pictures.save(tmp_path / "two.png")) as two:
        assert two.width > 2 * 448 * 6 / 8


def test_input_of_one_axis_is_a_trace(tmp_path):
    svg = attribution(RNG.normal(size=(1, 448)), channel_axis=None).save(tmp_path / "r.svg")
    assert ">position</text>" in svg.read_text(encoding="utf-8")


def test_volume_is_saved_as_slices(tmp_path):
    svg = attribution(RNG.normal(size=(1, 1, 3, 5, 5))).save(tmp_path / "r.svg").read_text(encoding="utf-8")
    assert all(f">slice {place}</text>" in svg for place in range(3))


def test_words_are_saved_as_text(tmp_path):
    tokens = attribution(RNG.normal(size=(1, 2)), channel_axis=None)
    svg = tokens.save(tmp_path / "r.svg", words=["good", "film"]).read_text(encoding="utf-8")
    assert svg.index(">good</text>") < svg.index(">film</text>")


def test_caption_says_what_was_explained(pictures, tmp_path):
    assert ">class 0, score 0.00</text>" in pictures.save(tmp_path / "r.svg").read_text(encoding="utf-8")


def test_overlay_shows_the_input_under_the_relevance(pictures, tmp_path):
    saved = [np.asarray(Image.open(pictures.save(tmp_path / "r.png", overlay=over))) for over in (False, True)]
    assert saved[0].shape == saved[1].shape
    assert not np.array_equal(*saved)


@pytest.mark.parametrize("relevance", [np.zeros((1, 1, 4, 4)), np.ones((1, 1, 1, 1)), np.zeros((1, 1))])
def test_degenerate_relevance_is_drawn(tmp_path, relevance):
    assert attribution(relevance, channel_axis=0 if relevance.ndim > 2 else None).save(tmp_path / "r.pdf").exists()


def test_relevance_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(InputError, match="not finite"):
        attribution([[[[np.nan]]]]).save(tmp_path / "r.png")
    assert not list(tmp_path.iterdir())


def test_notebook_shows_the_first_samples(pictures):
    shown = [Image.open(BytesIO(found._repr_png_())) for found in (pictures, attribution(np.ones((9, 1, 8, 6))))]
    assert shown[0].format == "PNG"
    assert shown[0].height < shown[1].height < 5 * shown[0].height


@pytest.mark.parametrize("relevance", [np.full((1, 1, 2, 2), np.nan), np.zeros((0, 1, 2, 2)), np.ones((1,) * 6)])
def test_notebook_shows_plain_text_where_nothing_can_be_drawn(relevance):
    assert attribution(relevance)._repr_png_() is None


@pytest.mark.parametrize("name", ["r.xyz", "r", "r.txt"])
def test_suffix_of_no_picture_is_refused(pictures, tmp_path, name):
    with pytest.raises(InputError, match=r"Use \.png"):
        pictures.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["missing/r.png", "missing/r.npy"])
def test_missing_folder_is_named(pictures, tmp_path, name):
    with pytest.raises(LRPError, match=r"there is no folder .*missing"):
        pictures.save(tmp_path / name)


def test_folder_in_place_of_the_file_is_refused(pictures, tmp_path):
    (tmp_path / "r.png").mkdir()
    with pytest.raises(LRPError, match="it is a folder"):
        pictures.save(tmp_path / "r.png")


@pytest.mark.parametrize("name", ["r.png", "r.npy"])
def test_failure_while_writing_leaves_the_old_file_and_nothing_else(pictures, tmp_path, monkeypatch, name):
    target = tmp_path / name
    target.write_bytes(b"old")

    def full(source, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(LRPError, match="No space left"):
        pictures.save(target)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert target.read_bytes() == b"old"


def test_a_report_is_returned_and_written(pictures, tmp_path):
    report = replace(pictures, audit=None)
    page = report.to_html(tmp_path / "r.html", labels=["a", "b", "c", "d"])
    assert (tmp_path / "r.html").read_text("utf-8") == page
    assert page.startswith("<!doctype html>")
    assert '"name":"a"' in page


def test_a_report_without_a_path_is_returned_alone(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "<!doctype html>" in replace(pictures, audit=None).to_html()
    assert not list(tmp_path.iterdir())


def test_a_report_says_where_the_attribution_comes_from(pictures):
    page = replace(pictures, audit=None, origin=Origin("net", "my rules", "reference", True)).to_html()
    assert '["Model","net"],["Method","my rules"],["Backend","reference"]' in page


def test_a_report_that_cannot_be_written_is_refused_first(pictures, tmp_path):
    with pytest.raises(LRPError, match=r"there is no folder .*missing"):
        pictures.to_html(tmp_path / "missing" / "r.html", labels=["of another number"])
