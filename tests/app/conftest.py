"""Models whose answers are plain to see: three scores, which are twice the means of the input's channels."""

from __future__ import annotations

import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner

from lrpfast.app.commands import app
from oracles.onnx_models import color_model

NAMES = ("red", "green", "blue")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder with a model, labels and pictures."""
    monkeypatch.chdir(tmp_path)
    onnx.save(color_model(), "model.onnx")
    (tmp_path / "labels.txt").write_text("\n".join(NAMES) + "\n")
    for name in NAMES:
        Image.new("RGB", (40, 30), "lime" if name == "green" else name).save(f"{name}.png")
    return tmp_path


@pytest.fixture
def lrpfast():
    """Run the command line in this process."""

    def lrpfast(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return lrpfast


@pytest.fixture
def explain(lrpfast):
    """Run `lrpfast explain` on the backend that needs no compiled code."""

    def explain(*arguments):
        return lrpfast("explain", *arguments, "--backend", "reference")

    return explain


@pytest.fixture
def refused(explain):
    """Run `lrpfast explain`, which must fail with one paragraph; return it, with single blanks."""

    def refused(*arguments):
        result = explain(*arguments)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.output.startswith("lrpfast: ")
        return " ".join(result.output.split())

    return refused
