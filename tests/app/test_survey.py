"""The survey of architectures: what it says of a file that is explained, and of one that is not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import lrpfast
from lrpfast.composites import PRESETS
from lrpfast.engine.reference import ReferenceEngine
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

    rows = [row("epsilon", 1e-6), row("zplus", 3e-3, 2e-3, 1e-6), row("gradient", 4e-2, 1e-6, 1e-5, 2, 1e-6)]
    first, *rest = backends.lines(rows)
    assert (
        first.startswith("1 of 3 explanations agree to 1e-04") and "1 of the other 2 differ by what rounding" in first
    )
    exceptions = rest[: len(rest) - 3]
    assert any("1 of the 1 that are left" in line for line in exceptions)
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


# Near-ties of max pools


@pytest.fixture
def near_ties(harness):
    """The module that settles them."""
    return harness("survey.near_ties")


def pooled(**window):
    """A convolution, a max pool, and a score for each channel."""
    nodes = [NODES[0], node("MaxPool", "a", "b", **window), node("GlobalMaxPool", "b", "c"), *NODES[3:]]
    return lrpfast.load(network(nodes))


@pytest.mark.parametrize(
    "window",
    [
        dict(kernel_shape=[2, 2], strides=[2, 2]),
        dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 3], ceil_mode=1),
    ],
)
def test_native_winners_are_where_the_largest_values_are(near_ties, window):
    model = pooled(**window)
    plan, x = lrpfast.LRP(model).plan, np.random.default_rng(0).standard_normal((3, 3, 11, 12)).astype(np.float32)
    values = ReferenceEngine(plan).forward(x.astype(np.float64))[1].values
    winners = near_ties.native_winners(plan, x)
    assert len(winners) == 2
    for name, pool, seen in near_ties.pools(plan):
        assert winners[name].shape == values[name].shape
        for at in np.ndindex(winners[name].shape):
            place = near_ties.place_of(pool, values[seen].shape, np.array(at), int(winners[name][at]))
            assert values[seen][place] == values[name][at]


@pytest.mark.parametrize(("behind", "turned"), [(1e-6, 1), (1e-3, 0)])
def test_only_near_ties_are_settled_otherwise(near_ties, behind, turned):
    """Two places of a picture make the score; the second is behind the first by so much."""
    kernel = {"kernel": np.ones((1, 1, 1, 1), np.float32), "weight": np.ones((1, 1), np.float32)}
    nodes = [node("Conv", "x kernel", "a"), node("GlobalMaxPool", "a", "c"), *NODES[3:]]
    plan = lrpfast.LRP(lrpfast.load(make_model(nodes, ["N", 1, 1, 2], kernel)), "epsilon").plan
    ((name, *_),) = near_ties.pools(plan)
    engine = near_ties.Settled(plan, {name: np.ones((1, 1, 1, 1), np.int32)})
    output, state = engine.forward(np.array([[[[1, 1 - behind]]]]))
    relevance = engine.relevance(state, np.ones((1, 1, *output.shape[1:]))).relevance
    assert engine.turned == turned
    assert np.flatnonzero(relevance).tolist() == [turned]
