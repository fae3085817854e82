"""The command `batch`: what it prints, its exit codes, and that the same command goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")


@pytest.fixture
def batch(lrpfast):
    """Run `lrpfast batch` on the backend that needs no compiled code."""

    def batch(*arguments):
        return lrpfast("batch", "model.onnx", *arguments, "--backend", "reference")

    return batch


def test_pictures_are_explained_into_a_store(here, batch):
    result = batch(".", "-o", "out.zarr", "-p", "0-1")
    assert result.exit_code == 0, result.output
    assert "3 of 3 inputs are explained in out.zarr." in result.output
    assert "a second" in result.output
    assert zarr.open("out.zarr")["names"][:].tolist() == ["blue.png", "green.png", "red.png"]


def test_the_same_command_goes_on(here, batch):
    batch(".", "-o", "out.zarr")
    result = batch(".", "-o", "out.zarr")
    assert result.exit_code == 0
    assert "3 were done by an earlier call, 0 now in" in result.output


def test_a_picture_that_cannot_be_read_is_told_at_the_end(here, batch):
    Path("broken.png").write_bytes(b"nothing")
    result = batch(".", "-o", "out.zarr")
    assert result.exit_code == 1
    assert "3 of 4 inputs are explained" in result.output
    assert "1 could not be explained" in result.output and "'" + str(here / "broken.png") in result.output
    assert batch(".", "-o", "out.zarr").exit_code == 1


def test_many_of_them_are_counted(here, batch):
    result = batch(*(f"none{index}.png" for index in range(13)), "-o", "out.zarr")
    assert result.output.count("there is no such file") == 10 and "and 3 more" in result.output


def test_figures_for_a_program(here, batch):
    Path("broken.png").write_bytes(b"nothing")
    result = batch("red.png", "broken.png", "-o", "out.zarr", "-p", "0-1", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["inputs"], told["explained"], told["unexplained"], told["earlier"]) == (2, 1, 1, 0)
    assert told["errors"][0]["input"] == "broken.png" and told["notes"] == []


def test_other_options_are_refused(here, batch):
    batch(".", "-o", "out.zarr")
    result = batch(".", "-o", "out.zarr", "-c", "epsilon_plus")
    assert result.exit_code == 1
    assert "the composite epsilon_plus_flat, now epsilon_plus" in result.output


def test_a_class_by_its_name(here, batch):
    batch(".", "-o", "out.zarr", "--labels", "labels.txt", "-t", "green", "--against", "red")
    assert zarr.open("out.zarr")["targets"][:].tolist() == [1, 1, 1]
    assert zarr.open("out.zarr").attrs["options"]["against"] == 0


def test_a_parameter_of_the_preset(here, batch):
    batch(".", "-o", "out.zarr", "-c", "epsilon", "--epsilon", "0.5")
    assert "epsilon=0.5" in zarr.open("out.zarr").attrs["composite"]["rules"]


def test_half_precision_summed_over_channels(here, batch):
    batch(".", "-o", "out.zarr", "--precision", "float16", "--pooled")
    relevance = zarr.open("out.zarr")["relevance"]
    assert (relevance.shape, relevance.dtype) == ((3, 16, 12), np.float16)


def test_an_assumed_scale_is_told_of_pictures_only(here, batch):
    assert "Pixels were scaled to 0 ... 1" in batch(".", "-o", "one.zarr").output
    assert "Pixels were scaled" not in batch(".", "-o", "two.zarr", "-p", "0-1").output
    np.save("x.npy", np.ones((2, 3, 16, 12), np.float32))
    assert "Pixels were scaled" not in batch("x.npy", "-o", "three.zarr").output


def test_an_interrupt_says_how_to_go_on(here):
    np.save("x.npy", np.ones((4000, 3, 16, 12), np.float32))
    words = ("batch", "model.onnx", "x.npy", "-o", "out.zarr", "--backend", "reference", "--chunk", "1")
    command = [sys.executable, "-m", "lrpfast.app.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (Path("out.zarr/committed").is_dir() and len(os.listdir("out.zarr/committed")) > 3):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(r"Interrupted\. The same command goes on where it stopped: out\.zarr\n", told)
