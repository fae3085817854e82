"""The survey of architectures: what it says of a file that is explained, and of one that is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lrpfast.composites import PRESETS
from oracles.onnx_models import make_model, node

END = "<!-- end of figures -->"
WEIGHTS = {
    "kernel": np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32),
    "bias": np.full(4, 0.1, np.float32),
    "weight": np.random.default_rng(1).standard_normal((5, 4)).astype(np.float32),
}
NODES = [
    node("Conv", "x kernel bias", "a"),
    node("Relu", "a", "b"),
    node("GlobalMaxPool", "b", "c"),
    node("Flatten", "c", "d"),
    node("Gemm", "d weight", "e", transB=1),
    node("Softmax", "e", "y"),
]


@pytest.fixture
def survey(harness):
    """The module that surveys."""
    return harness("survey.survey")


def network(nodes=NODES):
    return make_model(nodes, ["N", 3, None, None], WEIGHTS)


def test_network_of_relu_and_pooling_is_exact_and_loses_nothing(survey):
    row = survey.surveyed("small", "tests", network())
    assert (row.opset, row.nodes, row.verdict) == (17, 6, "exact")
    assert max(row.forward, row.native, row.rounding) < 1e-5
    assert row.arrived + row.absorbed == pytest.approx(1, abs=1e-5)
    assert row.epsilon == pytest.approx(1, abs=1e-12)
    assert row.without_biases == pytest.approx(1, abs=1e-6)


def test_conventions_are_named(survey):
    row = survey.surveyed("small", "tests", network([NODES[0], node("Tanh", "a", "b"), *NODES[2:]]))
    assert row.verdict == "heuristic: tanh"
    assert row.without_biases is None


def test_what_stands_in_the_way_is_named(survey):
    row = survey.surveyed("small", "tests", network([*NODES[:-1], node("Softmax", "e", "s"), node("Det", "s", "y")]))
    assert row.verdict.startswith("refused: ") and "Det" in row.verdict
    assert survey.cells(row)[3:5] == ("", row.verdict)


def test_page_holds_a_line_for_each_file(survey, tmp_path, monkeypatch, capsys):
    folder, page = tmp_path / "mine", tmp_path / "page.md"
    folder.mkdir()
    onnx.save(network(), folder / "small.onnx")
    page.write_text(f"{survey.BEGIN}\n{END}\n")
    figures = tmp_path / "rows.json"
    monkeypatch.setattr("sys.argv", ["survey", str(folder), "--only", "mine/", "-o", str(figures)])
    survey.main()
    monkeypatch.setattr("sys.argv", ["survey", "--show", str(figures), "--page", str(page)])
    survey.main()
    assert "1 of 1 files are explained." in capsys.readouterr().out
    assert "| small " in page.read_text()


# Both backends by every preset


@pytest.fixture
def backends(harness):
    """The module that compares backends."""
    return harness("survey.backends")


def test_every_preset_is_compared(backends):
    rows = list(backends.compared("small", "tests", network()))
    assert [row.preset for row in rows] == list(PRESETS)
    assert all(row.native < backends.AGREED and row.float32 is None for row in rows)


def test_what_rounding_explains_is_measured_where_backends_differ(backends, monkeypatch):
    monkeypatch.setattr(backends, "AGREED", 0.0)
    rows = list(backends.compared("small", "tests", network()))
    assert all(0 <= row.float32 < 1e-5 and 0 < row.moved < 1e-4 for row in rows)


def test_differences_beyond_rounding_are_named(backends):
    def row(preset, *figures):
        return backends.Comparison("small", "tests", preset, *figures)

    rows = [row("epsilon", 1e-6), row("zplus", 3e-3, 2e-3, 1e-6), row("gradient", 4e-2, 1e-6, 1e-5)]
    first, *rest = backends.lines(rows)
    assert (
        first.startswith("1 of 3 explanations agree to 1e-04") and "1 of the other 2 differ by what rounding" in first
    )
    exceptions = rest[: len(rest) - 3]
    assert any("gradient" in line for line in exceptions) and not any("zplus" in line for line in exceptions)
    assert "| gradient " in rest[-1]


def test_figures_go_between_their_own_marks(backends, tmp_path, monkeypatch, capsys):
    folder, page = tmp_path / "mine", tmp_path / "page.md"
    folder.mkdir()
    onnx.save(network(), folder / "small.onnx")
    page.write_text(f"<!-- others -->\n{END}\n{backends.BEGIN}\n{END}\nthe end\n")
    monkeypatch.setattr("sys.argv", ["backends", str(folder), "--only", "mine/", "--page", str(page)])
    backends.main()
    first, *_, last = page.read_text().splitlines()
    assert (first, last) == ("<!-- others -->", "the end")
    assert "| small " in page.read_text().partition(backends.BEGIN)[2]
    assert "agree to 1e-04" in capsys.readouterr().out
