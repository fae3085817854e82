"""The survey of architectures: what it says of a file that is explained, and of one that is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

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
