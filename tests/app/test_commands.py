"""Help pages, and what a shell completes."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from lrpfast.app.commands import app
from lrpfast.app.options import color_names, preset_names, rule_names
from lrpfast.composites import PRESETS

COMMANDS = get_command(app).commands


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 200])
def test_every_help_page_ends_with_examples_that_fit(lrpfast, monkeypatch, command, width):
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", width)
    output = lrpfast(command, "--help").output
    _, found, examples = output.partition("Examples")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert found and lines
    assert all(line.startswith(("lrpfast ", "# ")) for line in lines)
    assert max(map(len, output.splitlines())) <= width
    assert "\x1b" not in output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_json_if_asked(lrpfast, command):
    assert "--json" in lrpfast(command, "--help").output


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("lrpfast explain -c epsilon_gam", ["epsilon_gamma_box"]),
        ("lrpfast check --composite deep", ["deep_taylor", "deep_taylor_bounded"]),
        ("lrpfast composites guided", ["guided_backprop"]),
        ("lrpfast demo --colors cold", ["coldnhot"]),
        ("lrpfast rules WS", ["WSquare"]),
        ("lrpfast bench -p caf", ["caffe"]),
    ],
)
def test_shell_completes_names(line, completed):
    asked = {"_LRPFAST_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    result = CliRunner().invoke(app, env=asked, prog_name="lrpfast")
    assert result.output.split() == completed


def test_completed_names_are_those_of_the_library():
    assert preset_names() == list(PRESETS)
    assert {"seismic", "coldnhot", "viridis"} <= set(color_names())
    assert "Epsilon" in rule_names()
