"""`lrpfast models`: the networks of the package, and how to try them."""

from __future__ import annotations

import json
from importlib.resources import files

from PIL import Image


def test_every_network_of_the_package_is_listed(lrpfast):
    output = lrpfast("models").output
    for entry in (files("lrpfast") / "data").iterdir():
        assert (entry.name in output) == entry.name.endswith(".onnx")
    for words in ("digit (any, 1, 28, 28)", "logits (any, 10)", "992 of 1000"):
        assert words in output


def test_json_has_shapes_and_what_the_file_says_of_itself(lrpfast):
    (model,) = json.loads(lrpfast("models", "--json").output)["models"]
    assert model["input"] == {"name": "digit", "shape": [None, 1, 28, 28]}
    assert model["license"] == "BSD-3-Clause"


def test_exported_files_can_be_explained(tmp_path, lrpfast):
    folder = tmp_path / "try"
    result = lrpfast("models", "--export", folder, "--json")
    assert result.exit_code == 0, result.output
    written = json.loads(result.output)["written"]
    assert sorted(written) == sorted(map(str, folder.iterdir()))
    with Image.open(folder / "digit_01.png") as digit:
        assert digit.size == (28, 28)
    arguments = (folder / "digits.onnx", folder, "-p", "0-1", "-o", tmp_path / "out", "--backend", "reference")
    result = lrpfast("explain", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert len(found["images"]) == len(written) - 1
    assert {image["target"]["index"] for image in found["images"]} == set(range(10))


def test_folder_that_cannot_be_made_is_refused(tmp_path, lrpfast):
    (tmp_path / "file").write_text("")
    result = lrpfast("models", "--export", tmp_path / "file")
    assert result.exit_code == 1
    assert "Cannot make the folder" in result.output
