"""What a store holds is what `LRP.attribute` gives, whatever the options, and nothing else is added to it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import lrpfast
from lrpfast.composites import Composite, EpsilonGammaBox, OfKind, Where
from lrpfast.dataset import explain_chunk, run_job
from lrpfast.errors import CompositeError, FileError, InputError
from lrpfast.rules import Epsilon
from oracles.onnx_models import color_model

zarr = pytest.importorskip("zarr")


def attributed(composite="epsilon_plus_flat", **options):
    return lrpfast.LRP("model.onnx", composite, backend="reference").attribute(np.load("x.npy"), **options)


def test_a_store_holds_what_attribute_gives(explain, content):
    done = explain("x.npy", "out.zarr")
    assert (done.images, done.done, done.explained, done.unexplained, done.earlier) == (7, 7, 7, 0, 0)
    found, expected = content("out.zarr"), attributed()
    assert np.array_equal(found["relevance"], expected.relevance)
    assert np.array_equal(found["scores"], expected.output)
    assert np.array_equal(found["targets"], expected.target)
    assert found["names"].tolist() == [f"x.npy[{index}]" for index in range(7)]
    assert found["errors"].tolist() == [""] * 7
    assert found["committed"].tolist() == [2, 2, 2, 1]


def test_pictures_give_the_same_as_their_pixels_and_values(explain, content):
    for inputs in ("photos", "pixels.npy", "x.npy"):
        explain(inputs, f"{inputs}.zarr")
    pictures, pixels, values = (content(f"{inputs}.zarr") for inputs in ("photos", "pixels.npy", "x.npy"))
    for name in ("relevance", "scores", "targets", "audit"):
        assert np.array_equal(pictures[name], pixels[name])
        np.testing.assert_allclose(pixels[name], values[name], rtol=1e-5, atol=1e-6)


def test_the_audit_shows_where_a_score_went(explain, content):
    explain("x.npy", "out.zarr")
    names = zarr.open("out.zarr").attrs["audit"]
    assert names == ["explained", "arrived", "bias", "stabilizer", "rule", "rounding"]
    audit, expected = content("out.zarr")["audit"], attributed()
    scores = expected.output[np.arange(7), expected.target]
    np.testing.assert_allclose(audit[:, 0], scores, rtol=1e-6)
    np.testing.assert_allclose(audit[:, 0], audit[:, 1:].sum(axis=1), rtol=1e-6)


def test_one_class_or_one_for_each_input(explain, content):
    classes = [0, 1, 2, 2, 1, 0, 1]
    explain("x.npy", "one.zarr", target=1)
    explain("x.npy", "each.zarr", target=classes)
    assert np.array_equal(content("one.zarr")["relevance"], attributed(target=1).relevance)
    assert np.array_equal(content("each.zarr")["relevance"], attributed(target=classes).relevance)
    assert content("each.zarr")["targets"].tolist() == classes


def test_a_class_against_another(explain, content):
    explain("x.npy", "out.zarr", target=1, against="others")
    assert np.array_equal(content("out.zarr")["relevance"], attributed(target=1, against="others").relevance)


def test_half_precision(explain, content):
    explain("x.npy", "out.zarr", precision="float16")
    assert np.array_equal(content("out.zarr")["relevance"], attributed().relevance.astype(np.float16))


@pytest.mark.parametrize("channels_last", [False, True])
def test_sums_over_channels(explain, content, channels_last):
    onnx.save(color_model(channels_last=channels_last, size=(6, 5)), "model.onnx")
    if channels_last:
        np.save("x.npy", np.ascontiguousarray(np.load("x.npy").transpose(0, 2, 3, 1)))
    explain("x.npy", "out.zarr", pooled=True)
    expected = attributed().relevance.sum(axis=3 if channels_last else 1)
    assert np.array_equal(content("out.zarr")["relevance"], expected)


def test_relevance_too_large_for_half_precision_is_an_error_of_that_input(explain, content):
    x = np.load("x.npy")
    x[3] *= 1e8
    np.save("x.npy", x)
    assert explain("x.npy", "out.zarr", precision="float16").unexplained == 1
    found = content("out.zarr")
    assert "too large for float16" in found["errors"][3]
    assert np.isnan(found["relevance"][3]).all() and np.isfinite(found["relevance"][4]).all()


def test_a_preset_with_bounds_gets_those_of_the_pixels(explain, same):
    explain("photos", "named.zarr", composite="epsilon_gamma_box", preprocess="-1-1")
    explain("photos", "given.zarr", composite=EpsilonGammaBox(low=-1.0, high=1.0), preprocess="-1-1")
    assert same("named.zarr", "given.zarr")


def test_inputs_that_cannot_be_explained_keep_none_of_the_others(explain, content):
    Path("photos/3.png").write_bytes(b"nothing")
    done = explain(["photos", "none.png"], "out.zarr")
    assert (done.explained, done.unexplained) == (6, 2)
    found = content("out.zarr")
    assert "Cannot read the picture" in found["errors"][3] and "photos/3.png" in found["errors"][3]
    assert "there is no such file" in found["errors"][7]
    assert found["targets"].tolist()[3] == found["targets"].tolist()[7] == -1
    bad = np.isnan(found["relevance"]).any(axis=(1, 2, 3))
    assert bad.tolist() == [False] * 3 + [True] + [False] * 3 + [True]
    assert found["committed"].tolist() == [2, 1, 2, 1]


def test_values_that_are_not_finite_keep_none_of_the_others(explain, content):
    x = np.load("x.npy")
    x[2, 0, 0, 0] = np.nan
    np.save("x.npy", x)
    assert explain("x.npy", "out.zarr").unexplained == 1
    found = content("out.zarr")
    assert found["errors"][2].startswith("'x.npy[2]': The input holds 1 values that are NaN")
    assert np.array_equal(found["relevance"][3], attributed_without(2)[2])


def test_those_in_the_way_are_found_without_explaining_each_by_itself(job, monkeypatch):
    np.save("x.npy", np.where(np.arange(64)[:, None, None, None] == 40, np.nan, np.ones((64, 3, 6, 5), np.float32)))
    sizes, attribute = [], lrpfast.LRP.attribute

    def counted(self, x, *arguments, **options):
        sizes.append(len(x))
        return attribute(self, x, *arguments, **options)

    monkeypatch.setattr(lrpfast.LRP, "attribute", counted)
    assert explain_chunk(job(chunk=64), 0) == 63
    assert len(sizes) <= 13


def attributed_without(index):
    lrp = lrpfast.LRP("model.onnx", backend="reference")
    return lrp.attribute(np.delete(np.load("x.npy"), index, axis=0)).relevance


def test_names_that_are_no_text_are_kept(explain, content):
    shutil.copy("photos/0.png", b"photos/\xff.png")
    explain("photos", "out.zarr")
    assert content("out.zarr")["names"][-1] == "photos/\\udcff.png"


def test_a_store_says_what_made_it(explain):
    explain("x.npy", "out.zarr", precision="float16")
    told = dict(zarr.open("out.zarr").attrs)
    assert told["format"] == 1
    assert told["versions"] == {"lrpfast": lrpfast.__version__, "numpy": np.__version__}
    assert (told["model"]["name"], len(told["model"]["sha256"])) == ("model", 64)
    assert told["composite"]["name"] == "epsilon_plus_flat" and "ZPlus()" in told["composite"]["rules"]
    assert (told["inputs"][0]["inputs"], told["inputs"][0]["count"]) == ("x.npy", 7)
    assert (told["options"]["precision"], told["options"]["chunk"]) == ("float16", 2)


def test_chunks_can_be_explained_in_other_processes_in_any_order_and_twice(job, explain, same):
    work = job("photos")
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        explained = list(processes.map(explain_chunk, [work] * 5, [3, 1, 0, 2, 1]))
    assert explained == [1, 2, 2, 2, 2]
    assert run_job(work).earlier == 7
    explain("photos", "here.zarr")
    assert same("out.zarr", "here.zarr")


@pytest.mark.parametrize("inputs", ["photos", "x.npy"])
def test_a_job_that_was_pickled_does_not_carry_its_inputs(job, inputs):
    work = job(inputs)
    work.read(0)
    assert b"numpy" not in pickle.dumps(work.source.parts[0].__getstate__().get("opened", b""))
    assert len(pickle.loads(pickle.dumps(work)).read(1).samples) == 2


class TestRefusals:
    def told(self, explain, *arguments, **options):
        with pytest.raises(InputError, match="was begun with something else") as caught:
            explain(*arguments, "out.zarr", **options)
        assert "goes on where it stopped" in str(caught.value)
        return str(caught.value)

    def test_another_model(self, explain):
        explain("x.npy", "out.zarr")
        model = color_model(size=(6, 5))
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full((3, 3, 1, 1), 0.5, np.float32), "w"))
        onnx.save(model, "model.onnx")
        assert "the model model, now model of other content" in self.told(explain, "x.npy")

    def test_the_same_model_under_another_name_is_none(self, explain):
        explain("x.npy", "out.zarr")
        os.rename("model.onnx", "renamed.onnx")
        again = lrpfast.explain_dataset("renamed.onnx", "x.npy", "out.zarr", backend="reference")
        assert again.earlier == 7

    def test_another_composite(self, explain):
        explain("x.npy", "out.zarr")
        told = self.told(explain, "x.npy", composite="epsilon_plus")
        assert "the composite epsilon_plus_flat, now epsilon_plus" in told

    def test_another_parameter_of_a_composite(self, explain):
        def composite(epsilon):
            return Composite("mine", [(OfKind("conv") & Where(bool), Epsilon(epsilon))])

        explain("x.npy", "out.zarr", composite=composite(1e-6))
        assert explain("x.npy", "out.zarr", composite=composite(1e-6)).earlier == 7
        assert "the composite mine, now mine of other content" in self.told(explain, "x.npy", composite=composite(1e-3))

    def test_other_inputs(self, explain):
        explain("photos", "out.zarr")
        assert "the inputs photos, now the inputs photos, x.npy" in self.told(explain, ["photos", "x.npy"])
        Image.new("RGB", (5, 6)).save("photos/new.png")
        assert "the inputs photos: other count 7, now 8" in self.told(explain, "photos")

    def test_changed_inputs(self, explain):
        explain("photos", "out.zarr")
        Image.new("RGB", (5, 6)).save("photos/3.png")
        assert "the inputs photos: other names, sizes and times" in self.told(explain, "photos")

    @pytest.mark.parametrize(
        ("option", "value", "words"),
        [
            ("target", 1, "target None, now 1"),
            ("against", "others", "against None, now others"),
            ("pooled", True, "pooled False, now True"),
            ("precision", "float16", "precision float32, now float16"),
            ("chunk", 3, "chunk 2, now 3"),
            ("preprocess", "0-255", "preprocessing"),
            ("resize", "squash", "resize crop, now squash"),
        ],
    )
    def test_another_option(self, explain, option, value, words):
        explain("x.npy", "out.zarr")
        assert words in self.told(explain, "x.npy", **{option: value})

    def test_another_version(self, explain):
        explain("x.npy", "out.zarr")
        told = json.loads(Path("out.zarr/.zattrs").read_text())
        told["versions"]["lrpfast"] = "0.0.1"
        Path("out.zarr/.zattrs").write_text(json.dumps(told))
        assert f"lrpfast 0.0.1, now {lrpfast.__version__}" in self.told(explain, "x.npy")

    @pytest.mark.parametrize("there", ["photos", "x.npy", "other.zarr"])
    def test_something_else_of_that_name(self, explain, there):
        zarr.open_group("other.zarr", mode="w")
        before = sorted(os.listdir("photos"))
        with pytest.raises(FileError, match="there is something else of that name"):
            explain("x.npy", there)
        assert sorted(os.listdir("photos")) == before

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"precision": "float64"}, "precision is float32 or float16, not 'float64'"),
            ({"resize": "stretch"}, "resize is crop or squash, not 'stretch'"),
            ({"chunk": 0}, "chunk is a number of images, 1 or more, not 0"),
            ({"preprocess": "vgg"}, "There is no scale 'vgg' of pixels; there are 0-1"),
            ({"target": 3}, "target 3 is out of range"),
            ({"target": [0, 1]}, "target has shape"),
            ({"target": [[0, 1]] * 7}, "one class for all images, or one for each"),
            ({"against": "everything"}, "against is"),
            ({"size": 8}, "leave out --size"),
        ],
    )
    def test_options_that_do_not_fit(self, explain, options, words):
        with pytest.raises(InputError, match=words):
            explain("photos", "out.zarr", **options)
        assert not os.path.exists("out.zarr")

    def test_a_preset_that_is_none(self, explain):
        with pytest.raises(CompositeError, match="epsilon_plus"):
            explain("x.npy", "out.zarr", composite="epsilon_pluss")
