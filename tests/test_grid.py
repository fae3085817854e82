"""`lrpfast.grid`: presets, classes and samples in one picture."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import lrpfast
from lrpfast.attribution import Attribution
from lrpfast.errors import InputError
from lrpfast.view.blocks import Raster, Words

RNG = np.random.default_rng(9)


def attribution(samples=2, explanations=None, shape=(3, 8, 6), target=None):
    several = () if explanations is None else (explanations,)
    default = RNG.integers(0, 4, (samples, *several))
    return Attribution(
        relevance=RNG.normal(size=(samples, *several, *shape)),
        output=np.arange(samples * 4.0).reshape(samples, 4),
        target=default if target is None else np.asarray(target),
        input=RNG.normal(size=(samples, *shape)),
        channel_axis=0 if len(shape) > 1 else None,
    )


def texts(picture):
    return [mark.text for *_, mark in picture.block.marks if isinstance(mark, Words)]


def rasters(picture):
    return [mark for *_, mark in picture.block.marks if isinstance(mark, Raster)]


def test_presets_are_columns_and_samples_are_rows():
    found = {name: attribution(target=[1, 2]) for name in ("epsilon_plus", "gradient")}
    captions = [*["class 1, score 1.00"] * 2, *["class 2, score 6.00"] * 2]
    assert texts(lrpfast.grid(found, names=["cat", "cup"])) == [
        *("input", "epsilon_plus", "gradient"),
        *("cat", *captions[:2]),
        *("cup", *captions[2:]),
        *("against", "for"),
    ]


def test_classes_are_columns_under_their_labels():
    picture = lrpfast.grid(attribution(1, 2, target=[[3, 0]]), labels=["hen", "tench", "goldfish", "shark"])
    assert texts(picture)[:3] == ["sample 0", "shark, score 3.00", "hen, score 0.00"]


def test_presets_and_classes_multiply():
    assert len(rasters(lrpfast.grid({"a": attribution(2, 3), "b": attribution(2, 3)}))) == 2 * (1 + 6) + 1


def test_explanation_of_a_seed_names_no_class():
    assert "relevance" in texts(lrpfast.grid(attribution(1, target=np.ones((1, 4)))))


def test_shared_scale_is_told():
    assert texts(lrpfast.grid(attribution()))[-1] == "for"
    assert texts(lrpfast.grid(attribution(), shared=True))[-1] != "for"


def test_tokens_are_words():
    picture = lrpfast.grid(attribution(2, shape=(3,)), words=[["a", "good", "film"], ["a", "bad", "one"]])
    found = texts(picture)
    assert found[:3] == ["a", "good", "film"] and found[4:7] == ["a", "bad", "one"]


def test_overlay_and_colors_change_the_picture():
    found = attribution()
    pictures = [lrpfast.grid(found, **style) for style in ({}, {"overlay": True}, {"colors": "blueorange"})]
    pixels = [rasters(picture)[1].pixels for picture in pictures]
    assert not any(np.array_equal(pixels[0], other) for other in pixels[1:])


def test_picture_is_saved_and_shown(tmp_path):
    picture = lrpfast.grid(attribution())
    svg = picture.save(tmp_path / "g.svg").read_text(encoding="utf-8")
    assert ">sample 1</text>" in svg
    assert picture._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("given", [{}, attribution(0), {"a": attribution(0)}])
def test_nothing_to_draw_is_refused(given):
    with pytest.raises(InputError, match="no explanations"):
        lrpfast.grid(given)


def test_attributions_of_other_batches_are_refused():
    with pytest.raises(InputError, match=r"the same samples; these have \[1, 2\]"):
        lrpfast.grid({"a": attribution(1), "b": attribution(2)})


@pytest.mark.parametrize("given", [{"names": ["one"]}, {"words": [["a"]] * 3}])
def test_names_and_words_are_one_a_sample(given):
    with pytest.raises(InputError, match="for 2 samples"):
        lrpfast.grid(attribution(), **given)


def test_pyplot_stays_out():
    code = """
import sys, numpy, lrpfast
found = lrpfast.Attribution(numpy.ones((1, 4, 4)), numpy.ones((1, 2)), numpy.zeros(1, int), numpy.ones((1, 4, 4)))
lrpfast.grid(found)._repr_png_()
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
