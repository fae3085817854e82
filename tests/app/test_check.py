"""`lrpfast check`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import numpy as np
import onnx
import pytest

from lrpfast import check, load
from oracles.onnx_models import color_model, make_model, node

DIGITS = files("lrpfast") / "data" / "digits.onnx"


@pytest.fixture
def unsupported(here):
    """The name of a file with two nodes that cannot be explained."""
    nodes = [node("Hardmax", "x", "a", "norm"), node("Relu", "a", "b"), node("Sin", "b", "y", "sin")]
    onnx.save(make_model(nodes, ["N", 3, 16, 12]), "unsupported.onnx")
    return "unsupported.onnx"


def test_a_table_and_the_answer_are_printed(lrpfast):
    result = lrpfast("check", DIGITS)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{check(str(DIGITS))}\n"
    line = next(line for line in result.output.splitlines() if line.startswith("conv2"))
    assert "ZPlus()" in line and "exact" in line
    assert result.output.split("\n\n")[-1].startswith("LRP is applicable: ")


def test_on_a_terminal_the_answer_is_the_last_line_too(lrpfast, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    result = lrpfast("check", DIGITS)
    assert result.exit_code == 0, result.output
    assert "\x1b[" in result.output
    assert "LRP is applicable: " in result.output.split("\n\n")[-1]


@pytest.mark.parametrize(("width", "left_out"), [(100, set()), (72, {"operator"}), (60, {"operator", "kind"})])
def test_a_narrow_terminal_gets_fewer_columns(lrpfast, monkeypatch, width, left_out):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [re.sub("\x1b[^m]*m", "", line) for line in lrpfast("check", DIGITS).output.splitlines()]
    headings = next(line for line in lines if line.startswith("layer")).split()
    assert {"layer", "operator", "kind", "rule", "verdict", "received", "absorbed"} - set(headings) == left_out
    assert max(map(len, lines)) <= width


def test_json_is_the_report(lrpfast):
    result = lrpfast("check", DIGITS, "--json", "-c", "epsilon_plus")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == check(str(DIGITS), composite="epsilon_plus").to_dict()


def test_a_picture_is_measured_on_as_it_was_preprocessed(here, lrpfast):
    found = json.loads(lrpfast("check", "model.onnx", "red.png", "-p", "0-255", "--json").stdout)
    assert (found["inputs"], found["samples"]) == ("red.png", 1)
    x = np.zeros((1, 3, 16, 12), np.float32)
    x[:, 0] = 255
    assert found["account"] == check(load("model.onnx"), x).to_dict()["account"]


@pytest.mark.parametrize("composite", ["epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "gradient"])
@pytest.mark.parametrize("image", [(), ("red.png",)])
def test_composites(here, lrpfast, composite, image):
    result = lrpfast("check", "model.onnx", *image, "-c", composite, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["composite"] == composite


def test_scaling_may_be_given_in_numbers(here, lrpfast):
    found = json.loads(lrpfast("check", "model.onnx", "red.png", "--mean", "1,0,0", "--std", "0.5", "--json").stdout)
    assert found["account"] is None  # red minus one is black, whose scores are zero


@pytest.mark.parametrize("image", [(), ("red.png",)])
def test_model_of_free_size(here, lrpfast, image):
    onnx.save(color_model(size=("H", "W")), "free.onnx")
    for size, units in ((), 3 * 224 * 224), (("--size", "32"), 3 * 32 * 32):
        result = lrpfast("check", "free.onnx", *image, *size, "--json")
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["proof"]["units"] == units


def test_a_model_with_conventions_is_applicable(here, lrpfast):
    nodes = [node("MatMul", "x w", "a"), node("Tanh", "a", "b"), node("MatMul", "b v", "y")]
    weights = {"w": np.ones((4, 3), np.float32), "v": np.ones((3, 2), np.float32)}
    onnx.save(make_model(nodes, ["N", 4], weights), "tanh.onnx")
    result = lrpfast("check", "tanh.onnx")
    assert result.exit_code == 0, result.output
    assert "LRP is applicable with conventions" in result.output


def test_a_model_that_cannot_be_explained_lists_all_nodes(unsupported, lrpfast):
    result = lrpfast("check", unsupported)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "LRP is not applicable (yet): 2 nodes cannot be explained." in result.output
    assert "norm (Hardmax)" in result.output and "sin (Sin)" in result.output


def test_so_does_its_json(unsupported, lrpfast):
    result = lrpfast("check", unsupported, "red.png", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["model"], found["applicable"]) == ("unsupported", False)
    assert [layer["name"] for layer in found["layers"]] == ["norm", "sin"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx"], "none.onnx"),
        (["model.onnx", "-c", "epsilon_plusflat"], "There is no preset"),
        (["model.onnx", "none.png"], "none.png"),
    ],
)
def test_what_cannot_be_done_is_said(here, lrpfast, arguments, words):
    result = lrpfast("check", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith("lrpfast: ") and words in result.output


@pytest.mark.parametrize("arguments", [[], ["model.onnx", "-p", "unknown"], ["model.onnx", "a.png", "b.png"]])
def test_wrong_usage(here, lrpfast, arguments):
    assert lrpfast("check", *arguments).exit_code == 2
