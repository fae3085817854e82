"""`lrpfast explain`: what it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

from lrpfast import load
from lrpfast.app.explainer import stations
from lrpfast.composites import PRESETS
from lrpfast.errors import FileError
from lrpfast.view import saving
from oracles.onnx_models import color_model, make_model, node

not_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() == 0, reason="root may write anywhere")


def grey_model():
    """Two scores of a grey picture of 8 x 8 pixels: the mean of its upper half, and that of its lower half."""
    weight = np.zeros((2, 1, 8, 8), np.float32)
    weight[0, 0, :4] = weight[1, 0, 4:] = 1 / 32
    nodes = [node("Conv", "x w", "c"), node("Flatten", "c", "y")]
    return make_model(nodes, ["N", 1, 8, 8], {"w": weight})


def files(folder):
    return {path.name for path in folder.iterdir()}


def first_row(output):
    """Class, label, score and probability of the class that is explained."""
    line = next(line for line in output.splitlines() if line.startswith(">"))
    _, index, label, score, probability, _ = line.split()
    return int(index), label, float(score), float(probability)


# What comes out


@pytest.mark.parametrize(("color", "index"), [("red", 0), ("green", 1), ("blue", 2)])
def test_prediction_is_printed_and_the_picture_written(here, explain, color, index):
    result = explain("model.onnx", f"{color}.png", "--labels", "labels.txt")
    assert result.exit_code == 0, result.output
    # one score is 2, the others 0
    probability = 100 * np.e**2 / (np.e**2 + 2)
    assert first_row(result.output) == (index, color, 2.0, pytest.approx(probability, abs=0.06))
    written = here / f"{color}_epsilon_plus_flat.png"
    assert f"Written to {written.name}" in result.output
    with Image.open(written) as page:
        assert page.width > page.height > 400


def test_relevance_is_compared_with_the_score(here, explain):
    result = explain("model.onnx", "red.png", "-c", "epsilon")
    assert "Relevance for class 0: 2.000 in sum, of a score of 2.000 (100.0 %)." in result.output


def test_gradient_is_not_said_to_add_up_to_the_score(here, explain):
    result = explain("model.onnx", "red.png", "-c", "gradient")
    assert "of a score of 2.000." in result.output


@pytest.mark.parametrize("composite", PRESETS)
def test_every_preset_can_be_chosen(here, explain, composite):
    result = explain("model.onnx", "red.png", "-c", composite)
    assert result.exit_code == 0, result.output
    assert (here / f"red_{composite}.png").is_file()


def test_parameters_reach_the_preset(here, explain):
    outputs = [explain("model.onnx", "red.png", "-c", "epsilon", "--epsilon", value).output for value in (0, 1)]
    assert "(100.0 %)" in outputs[0]
    assert "(100.0 %)" not in outputs[1]


def test_box_takes_the_bounds_of_the_preprocessing(here, explain):
    result = explain("model.onnx", "red.png", "-c", "epsilon_gamma_box", "-p", "imagenet")
    assert result.exit_code == 0, result.output


def test_overlay_is_a_third_panel(here, explain):
    explain("model.onnx", "red.png", "-o", "two.png")
    explain("model.onnx", "red.png", "-o", "three.png", "--overlay")
    with Image.open("two.png") as two, Image.open("three.png") as three:
        assert three.width > 1.3 * two.width


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_picture_may_be_svg_or_pdf(here, explain, name, start):
    assert explain("model.onnx", "red.png", "-o", name).exit_code == 0
    assert (here / name).read_bytes().startswith(start)


def test_svg_says_what_was_explained(here, explain):
    explain("model.onnx", "red.png", "--labels", "labels.txt", "-o", "a.svg", "--overlay")
    svg = (here / "a.svg").read_text(encoding="utf-8")
    for words in ("red, 78.7 %", "red.png", "relevance by epsilon_plus_flat", "relevance over the input"):
        assert f">{words}</text>" in svg


def test_colors_can_be_chosen(here, explain):
    explain("model.onnx", "red.png", "-o", "a.png")
    explain("model.onnx", "red.png", "-o", "b.png", "--colors", "coldnhot")
    with Image.open("a.png") as a, Image.open("b.png") as b:
        assert a.size == b.size
        assert not np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize(("top", "lines"), [(1, 1), (2, 2), (5, 3)])
def test_top_limits_the_list(here, explain, top, lines):
    result = explain("model.onnx", "red.png", "--top", top)
    assert sum(" class " in line and line.endswith("%") for line in result.output.splitlines()) == lines


def test_output_that_is_no_terminal_has_no_color_codes(here, explain):
    assert "\x1b" not in explain("model.onnx", "red.png").output


@pytest.mark.parametrize(
    ("head", "words"),
    [(None, "the model gives scores alone"), ("Softmax", "as in the model"), ("Sigmoid", "sigmoid")],
)
def test_origin_of_the_probabilities_is_told(here, explain, head, words):
    onnx.save(color_model(head=head), "model.onnx")
    assert words in explain("model.onnx", "red.png").output


# Reports


def data_of(path):
    """What a report holds for its script."""
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_a_report_takes_the_place_of_the_picture(here, explain):
    result = explain("model.onnx", "red.png", "--labels", "labels.txt", "--html")
    assert result.exit_code == 0, result.output
    assert "Written to red_epsilon_plus_flat.html" in result.output
    assert not (here / "red_epsilon_plus_flat.png").exists()
    (sample,) = data_of(here / "red_epsilon_plus_flat.html")["samples"]
    assert sample["name"] == "red.png"
    assert sample["explanations"][0]["name"] == "red"
    assert [prediction["name"] for prediction in sample["predictions"]] == ["red", "green", "blue"]


def test_a_report_has_all_presets_and_the_command(here, explain, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/lrpfast", "explain", "my model.onnx", "--html"])
    explain("model.onnx", "red.png", "-c", "epsilon", "-c", "gradient", "--html", "-o", "r.html")
    data = data_of(here / "r.html")
    assert [(method["name"], method["conserves"]) for method in data["methods"]] == [
        ("epsilon", True),
        ("gradient", False),
    ]
    assert ["Command", "lrpfast explain 'my model.onnx' --html"] in data["facts"]


def test_a_report_tells_classes_apart(here, explain):
    explain("model.onnx", "red.png", "--labels", "labels.txt", "--against", "blue", "--html", "-o", "r.html")
    assert data_of(here / "r.html")["samples"][0]["rival"] == "blue"


def test_a_report_shows_a_layer_for_each_size_that_all_relevance_goes_through(here, explain):
    explain("model.onnx", "red.png", "--html", "-o", "r.html")
    (result,) = data_of(here / "r.html")["samples"][0]["explanations"][0]["results"]
    assert [(layer["name"], layer["shape"]) for layer in result["inner"]] == [("r", [16, 12])]


def test_branches_are_passed_over():
    weight = np.ones((2, 2, 1, 1), np.float32)
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p w", "a"),
        node("Conv", "p w", "b"),
        node("Add", "a b", "s"),
        node("Conv", "s w", "c"),
        node("Add", "s c", "r"),
        node("MaxPool", "r", "q", kernel_shape=[2, 2], strides=[2, 2]),
        node("GlobalAveragePool", "q", "g"),
        node("Flatten", "g", "y"),
    ]
    model = load(make_model(nodes, ["N", 2, 8, 8], {"w": weight}))
    assert stations(model, (2, 8, 8)) == ("q", "r")


def test_a_report_has_a_name_of_its_kind(here, refused):
    assert "its name ends in .html" in refused("model.onnx", "red.png", "--html", "-o", "r.png")


def test_folders_get_a_report_for_each_picture(here, explain):
    explain("model.onnx", ".", "--html", "-o", "out")
    assert files(here / "out") == {f"{color}_epsilon_plus_flat.html" for color in ("red", "green", "blue")}


# Models


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(16, 12), ("H", "W"), ("H", 20)])
def test_layout_and_size_are_the_models(here, explain, channels_last, size):
    onnx.save(color_model(channels_last=channels_last, size=size), "model.onnx")
    result = explain("model.onnx", "blue.png")
    assert result.exit_code == 0, result.output
    assert first_row(result.output.replace("class 2", "blue"))[:2] == (2, "blue")


def test_grey_model_gets_the_luminance(here, explain):
    onnx.save(grey_model(), "model.onnx")
    upper = Image.new("RGB", (10, 10))
    upper.paste((0, 255, 0), (0, 0, 10, 5))
    upper.save("upper.png")
    result = explain("model.onnx", "upper.png")
    score = first_row(result.output.replace("class 0", "upper"))[2]
    assert score == pytest.approx(0.587, abs=0.01)


def test_largest_centred_part_is_explained_or_all_of_it_squashed(here, explain):
    wide = Image.new("RGB", (160, 16), "red")
    wide.paste((0, 0, 255), (70, 0, 90, 16))
    wide.save("wide.png")
    outputs = [explain("model.onnx", "wide.png", "--resize", way).output for way in ("crop", "squash")]
    assert "> 2" in " ".join(outputs[0].split())
    assert "> 0" in " ".join(outputs[1].split())


def test_size_is_for_models_that_take_any(here, refused, explain):
    assert "leave out --size" in refused("model.onnx", "red.png", "--size", 20)
    onnx.save(color_model(size=("H", "W")), "model.onnx")
    assert explain("model.onnx", "red.png", "--size", 20).exit_code == 0


@pytest.mark.parametrize("shape", [["N", 5, 8, 8], ["N", 64], ["N", 1, 1024]])
def test_model_that_takes_no_pictures_is_refused(here, refused, shape):
    onnx.save(make_model([node("Relu", "x", "r"), node("Flatten", "r", "y")], shape), "model.onnx")
    assert "no pictures with 1 or 3 channels" in refused("model.onnx", "red.png")


def test_model_without_a_score_per_class_is_refused(here, refused):
    onnx.save(make_model([node("Relu", "x", "y")], ["N", 3, 8, 8]), "model.onnx")
    assert "not one score a class" in refused("model.onnx", "red.png")


# Preprocessing


def test_channels_can_be_swapped(here, explain):
    assert "> 2" in " ".join(explain("model.onnx", "red.png", "--bgr").output.split())
    assert "> 0" in " ".join(explain("model.onnx", "red.png", "-p", "caffe", "--rgb").output.split())


def test_mean_and_std_replace_those_of_the_preset(here, explain):
    result = explain("model.onnx", "red.png", "-p", "0-255", "--mean", "55,0,0", "--std", "50")
    assert first_row(result.output.replace("class 0", "red"))[2] == pytest.approx(8.0)


def test_preset_that_begins_with_a_dash_can_be_chosen(here, explain):
    assert explain("model.onnx", "red.png", "-p", "-1-1").exit_code == 0


def test_assumed_scale_is_told_and_a_chosen_one_is_not(here, explain):
    hint = "no --preprocess was given"
    assert hint in explain("model.onnx", "red.png").output
    assert hint not in explain("model.onnx", "red.png", "-p", "0-1").output


def test_model_that_sees_far_too_small_values_is_noticed(here, explain):
    """Of 12 classes, that of the brightest of 12 places; pixels from 0 to 255 tell, from 0 to 1 they do not."""
    weight = np.eye(12, dtype=np.float32).reshape(12, 12) / 8
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w", "y")]
    onnx.save(make_model(nodes, ["N", 1, 3, 4], {"w": weight}), "model.onnx")
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) * 20).save("ramp.png")
    output = explain("model.onnx", "ramp.png").output
    assert "hardly tells its classes apart" in output
    assert any(line.split()[:4] == ["--preprocess", "0-255", "class", "11,"] for line in output.splitlines())
    assert "Leave out --preprocess" in explain("model.onnx", "ramp.png", "-p", "0-1").output
    assert "scale" not in explain("model.onnx", "ramp.png", "-p", "0-255").output


# Targets and labels


@pytest.mark.parametrize("target", ["2", "blue", "BLUE", "blu"])
def test_target_is_an_index_or_a_name_or_part_of_one(here, explain, target):
    result = explain("model.onnx", "red.png", "--labels", "labels.txt", "-t", target, "--top", 1)
    assert first_row(result.output)[:2] == (2, "blue")
    assert " red " in result.output


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("3", "There is no class 3: the model has 3 classes, 0 to 2."),
        ("-1", "There is no class -1"),
        ("e", "may mean several classes: 0 red, 1 green, 2 blue"),
        ("bluu", "Did you mean blue?"),
        ("giraffe", "There is no class named 'giraffe'"),
    ],
)
def test_target_that_means_no_class_is_refused(here, refused, target, words):
    assert words in refused("model.onnx", "red.png", "--labels", "labels.txt", "-t", target)


def test_target_by_name_needs_labels(here, refused):
    assert "give the names with --labels" in refused("model.onnx", "red.png", "-t", "blue")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"red\ngreen\n", "have 2 names, but the model has 3 classes"), (b"\xff\xfe\x00", "UTF-8")],
)
def test_labels_that_do_not_fit_are_refused(here, refused, content, words):
    (here / "labels.txt").write_bytes(content)
    assert words in refused("model.onnx", "red.png", "--labels", "labels.txt")


@pytest.mark.parametrize("path", ["none.txt", "."])
def test_labels_that_cannot_be_read_are_refused(here, refused, path):
    assert f"Cannot read the labels '{path}'" in refused("model.onnx", "red.png", "--labels", path)


# Where pictures go


def test_several_images_share_a_table_and_a_folder(here, explain):
    result = explain("model.onnx", "red.png", "green.png", "blue.png", "-o", "deep/out")
    assert result.exit_code == 0, result.output
    assert files(here / "deep" / "out") == {f"{name}_epsilon_plus_flat.png" for name in ("red", "green", "blue")}
    assert "3 pictures written to" in result.output
    for name in ("red.png", "green.png", "blue.png"):
        assert name in result.output


def test_equal_names_are_numbered(here, explain):
    (here / "other").mkdir()
    Image.new("RGB", (9, 9), "blue").save("other/red.png")
    assert explain("model.onnx", "red.png", "other/red.png", "-o", "out").exit_code == 0
    assert files(here / "out") == {"red_epsilon_plus_flat.png", "red_epsilon_plus_flat_2.png"}


def test_existing_picture_is_replaced(here, explain):
    (here / "out.png").write_bytes(b"old")
    assert explain("model.onnx", "red.png", "-o", "out.png").exit_code == 0
    with Image.open("out.png") as page:
        page.verify()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("red.png", "-o", "no/such/a.png"), "there is no folder"),
        (("red.png", "-o", "a.xyz"), "suffix of no picture format"),
        (("red.png", "-o", "labels.txt/out"), "is a file. Give a folder."),
        (("red.png", "blue.png", "-o", "a.png"), "to the one file 'a.png'"),
        (("red.png", "-o", "red.png"), "would overwrite"),
        (("red.png", "-o", "folder.png"), "would overwrite"),
    ],
)
def test_output_that_cannot_be_written_is_refused_before_any_work(here, refused, arguments, words):
    (here / "folder.png").symlink_to(here / "model.onnx")
    before = files(here)
    assert words in refused("model.onnx", *arguments)
    assert files(here) == before


@not_root
def test_output_without_permission_is_refused(here, refused):
    (here / "locked").mkdir(mode=0o500)
    assert "no permission" in refused("model.onnx", "red.png", "-o", "locked")
    assert "no permission" in refused("model.onnx", "red.png", "-o", "locked/new")


def test_failure_while_writing_leaves_nothing(here, refused, monkeypatch):
    def full(path, write):
        raise FileError("No space left on device")

    before = files(here)
    monkeypatch.setattr(saving, "write_whole", full)
    assert "No space left" in refused("model.onnx", "red.png")
    assert files(here) == before


def test_names_that_differ_in_case_alone_are_numbered(here, explain):
    (here / "other").mkdir()
    Image.new("RGB", (9, 9), "blue").save("other/RED.png")
    assert explain("model.onnx", "red.png", "other/RED.png", "-o", "out").exit_code == 0
    assert files(here / "out") == {"red_epsilon_plus_flat.png", "RED_epsilon_plus_flat_2.png"}


# Folders and patterns


@pytest.mark.parametrize("argument", [".", "*.png", "[bgr]*.png", "**/*.png"])
def test_pictures_of_a_folder_or_a_pattern_are_explained(here, explain, argument):
    result = explain("model.onnx", argument, "-o", "out")
    assert result.exit_code == 0, result.output
    assert files(here / "out") == {f"{name}_epsilon_plus_flat.png" for name in ("red", "green", "blue")}


def test_what_is_left_out_of_a_folder_is_counted(here, explain):
    assert "Left out: 2 hidden or no picture." in explain("model.onnx", ".").output


def test_explaining_a_folder_twice_explains_no_explanations(here, explain):
    explain("model.onnx", ".", "-c", "epsilon")
    before = files(here)
    result = explain("model.onnx", ".", "-c", "epsilon")
    assert "3 pictures written" in result.output
    assert "3 named as explanations of others" in result.output
    assert files(here) == before


# Several presets


def test_several_presets_share_a_picture(here, explain):
    explain("model.onnx", "red.png", "-o", "one.png")
    result = explain("model.onnx", "red.png", "-c", "epsilon", "-c", "gradient", "-c", "epsilon")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert ["epsilon", "2.000", "100.0", "%"] in [line[:4] for line in lines]
    assert ["gradient", "2.000"] in [line[:2] for line in lines]  # the score is linear: its gradient times two
    with Image.open("one.png") as one, Image.open("red_epsilon_gradient.png") as two:
        assert two.width > 1.3 * one.width


def test_parameter_goes_to_the_presets_that_have_it(here, explain, refused):
    both = ("-c", "epsilon", "-c", "gradient")
    assert explain("model.onnx", "red.png", *both, "--epsilon", 1).exit_code == 0
    assert "epsilon, gradient have no gamma; leave out --gamma" in refused("model.onnx", "red.png", *both, "--gamma", 1)


def test_several_pictures_have_a_line_for_each_preset(here, explain):
    output = explain("model.onnx", "red.png", "blue.png", "-c", "epsilon", "-c", "zplus", "-o", "out").output
    assert sum("zplus" in line for line in output.splitlines()) == 2
    assert sum("red.png" in line for line in output.splitlines()) == 1


# Against another class


@pytest.mark.parametrize(
    ("rival", "words"),
    [
        ("runner_up", "Relevance for red against green: "),
        ("others", "Relevance for red against the mean of all others: "),
        ("blue", "Relevance for red against blue: "),
        ("2", "Relevance for red against blue: "),
    ],
)
def test_class_can_be_told_apart(here, explain, rival, words):
    result = explain("model.onnx", "red.png", "--labels", "labels.txt", "--against", rival, "-c", "epsilon")
    assert result.exit_code == 0, result.output
    assert f"{words}2.000 in sum, of a difference of 2.000 (100.0 %)." in result.output


def test_class_cannot_be_told_apart_from_itself(here, refused):
    words = refused("model.onnx", "red.png", "--labels", "labels.txt", "--against", "red")
    assert "'red.png': Class 0, which sample 0 is explained for, cannot be told apart from itself" in words
    words = refused("model.onnx", "red.png", "--labels", "labels.txt", "-t", "blue", "--against", "blue")
    assert words.startswith("lrpfast: blue cannot be told apart from itself")


# For programs


def test_json_has_what_a_person_is_told(here, explain):
    result = explain("model.onnx", "red.png", "--labels", "labels.txt", "-c", "epsilon", "-c", "gradient", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    (image,) = found["images"]
    assert (image["image"], image["written"]) == ("red.png", "red_epsilon_gradient.png")
    assert [prediction["name"] for prediction in image["predictions"]] == ["red", "green", "blue"]
    assert (image["target"]["index"], image["target"]["score"]) == (0, 2.0)
    epsilon, gradient = image["explanations"]
    assert (epsilon["relevance"], epsilon["share"]) == (pytest.approx(2, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert epsilon["relevance"] + sum(epsilon["absorbed"].values()) == pytest.approx(2, abs=1e-6)
    assert (gradient["share"], gradient["absorbed"]) == (None, None)
    assert "no --preprocess was given" in found["notes"][0]


def test_json_names_pictures_that_cannot_be_read(here, lrpfast):
    result = lrpfast("explain", "model.onnx", "none.png", "red.png", "-o", "out", "--json", "--backend", "reference")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [image["image"] for image in found["images"]] == ["red.png"]
    assert [error["image"] for error in found["errors"]] == ["none.png"]
    assert "there is no such file" in found["errors"][0]["error"]
    assert "there is no such file" in result.stderr


# What cannot be read


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("none.png", "'none.png': there is no such file"),
        ("empty", "no picture to explain in the folder 'empty'"),
        ("labels.txt", "it is no picture"),
        ("half.png", "damaged or incomplete"),
    ],
)
def test_image_that_cannot_be_read_is_refused(here, refused, image, words):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save("half.png")
    (here / "half.png").write_bytes((here / "half.png").read_bytes()[:6000])
    (here / "empty").mkdir()
    before = files(here)
    assert words in refused("model.onnx", image)
    assert files(here) == before


def test_bad_image_does_not_keep_others_from_being_explained(here, explain):
    result = explain("model.onnx", "none.png", "red.png", "labels.txt", "-o", "out")
    assert result.exit_code == 1
    assert files(here / "out") == {"red_epsilon_plus_flat.png"}
    assert "there is no such file" in result.output
    assert "it is no picture" in result.output


@pytest.mark.parametrize("model", ["none.onnx", ".", "labels.txt"])
def test_model_that_cannot_be_read_is_refused(here, refused, model):
    assert model in refused(model, "red.png")
    assert "red_epsilon_plus_flat.png" not in files(here)


def test_model_and_picture_in_the_wrong_order_are_told(here, refused):
    assert "The model comes first" in refused("red.png", "model.onnx")


def test_unknown_preset_is_refused_with_close_names(here, refused):
    assert "Did you mean epsilon_plus_flat" in refused("model.onnx", "red.png", "-c", "epsilon_plus_flt")


def test_parameter_that_the_preset_does_not_have_is_refused(here, refused):
    assert "leave out --gamma" in refused("model.onnx", "red.png", "-c", "epsilon", "--gamma", 0.5)


def test_unknown_colors_are_refused(here, refused):
    assert "no colour map 'redd'" in refused("model.onnx", "red.png", "--colors", "redd")


# Wrong usage


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("model.onnx",),
        ("model.onnx", "red.png", "--unknown"),
        ("model.onnx", "red.png", "--preprocess", "unknown"),
        ("model.onnx", "red.png", "--resize", "stretch"),
        ("model.onnx", "red.png", "--mean", "a"),
        ("model.onnx", "red.png", "--mean", "1,2"),
        ("model.onnx", "red.png", "--mean", "nan"),
        ("model.onnx", "red.png", "--std", "0"),
        ("model.onnx", "red.png", "--top", "0"),
        ("model.onnx", "red.png", "--top", "many"),
        ("model.onnx", "red.png", "--threads", "0"),
        ("model.onnx", "red.png", "--epsilon", "-1"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(here, explain, arguments):
    before = files(here)
    assert explain(*arguments).exit_code == 2
    assert files(here) == before
