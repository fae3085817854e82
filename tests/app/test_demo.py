"""`lrpfast demo`: one picture of digits that come with the package."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from lrpfast.app.demo import COMPARED, QUESTIONED, composites, scaled, shipped
from lrpfast.lrp import LRP


@pytest.fixture
def demo(lrpfast):
    def demo(*arguments):
        return lrpfast("demo", "--backend", "reference", *arguments)

    return demo


def test_picture_is_written_to_the_current_folder(tmp_path, monkeypatch, demo):
    monkeypatch.chdir(tmp_path)
    result = demo()
    assert result.exit_code == 0, result.output
    assert "Written to lrpfast_demo.png" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["lrpfast_demo.png"]
    with Image.open("lrpfast_demo.png") as page:
        assert min(page.size) > 1000


def test_picture_is_written_where_asked(tmp_path, demo):
    assert demo("-o", tmp_path / "d.jpg", "--colors", "blueorange").exit_code == 0
    with Image.open(tmp_path / "d.jpg") as page:
        assert page.format == "JPEG"


def test_json_has_every_explanation_of_the_picture(tmp_path, demo):
    result = demo("-o", tmp_path / "d.png", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["written"] == str(tmp_path / "d.png")
    asked = sum(map(len, QUESTIONED.values()))
    assert len(found["explanations"]) == len(composites()) * len(COMPARED) + asked
    assert [each["target"] for each in found["explanations"][-asked:]] == [8, 3, 5, 6, 9, 4, 9, 3, 7, 1]


@pytest.mark.parametrize(
    ("name", "words"), [("no/d.png", "there is no folder"), ("d", "no suffix"), (".", "folder|no suffix")]
)
def test_output_that_cannot_be_written_is_refused(tmp_path, demo, name, words):
    result = demo("-o", tmp_path / name)
    assert result.exit_code == 1
    assert any(word in result.output for word in words.split("|"))
    assert not list(tmp_path.iterdir())


def test_model_reads_the_digits_that_the_headings_name():
    model, digits = shipped()
    output = LRP(model, "epsilon_plus", backend="reference").attribute(scaled(digits)).output
    read = output.argmax(axis=1)
    assert read[list(COMPARED)].tolist() == [3, 4, 7]
    assert [read[place] for place in QUESTIONED] == [targets[0] for targets in QUESTIONED.values()] == [8, 4]


@pytest.mark.parametrize("composite", composites(), ids=lambda composite: composite.name)
def test_relevance_lies_on_the_digit(composite):
    # more relevance a pixel on the stroke and its neighbours than elsewhere
    model, digits = shipped()
    x = scaled(digits[list(COMPARED)])
    relevance = np.abs(LRP(model, composite, backend="reference").attribute(x).relevance)[:, 0]
    ink = x[:, 0] > 0
    near = ink.copy()
    for axis in (1, 2):
        for step in (-2, -1, 1, 2):
            near |= np.roll(ink, step, axis)
    assert relevance[near].mean() > 5 * relevance[~near].mean()
