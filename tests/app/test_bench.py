"""`lrpfast bench`: what it prints and what it refuses; and how the benchmarks' competitors take turns."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest

from lrpfast import _native as core
from lrpfast import load
from lrpfast.app import bench
from oracles.onnx_models import color_model, make_model, node

DIGITS = files("lrpfast") / "data" / "digits.onnx"
KERNEL = np.ones((1, 1, 3, 3), np.float32)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A few rounds are enough here."""
    monkeypatch.setattr(bench, "MEASURED", 0.05)
    monkeypatch.setattr(bench, "PAUSE", 0.001)
    monkeypatch.setattr(bench, "WARM_UP", 0.001)


def test_figures_are_printed(lrpfast):
    result = lrpfast("bench", DIGITS, "--threads", 1)
    assert result.exit_code == 0, result.output
    for words in ("forward pass", "explanation / forward pass", "explanations per second", "onnxruntime", "MiB"):
        assert words in result.output


def test_json_holds_all_figures(lrpfast):
    result = lrpfast("bench", DIGITS, "--json", "--batch", 3, "--layers", "--threads", 1)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["model"], found["batch"], found["threads"], found["input"]) == ("digits.onnx", 3, 1, "random")
    assert found["explanation"]["low"] <= found["explanation"]["median"] <= found["explanation"]["high"]
    assert found["explanations_per_second"] == pytest.approx(3 / found["explanation"]["median"])
    names = [layer["layer"] for layer in found["layers"] if layer["layer"]]
    assert names[0] == "conv1" and names[-1] == "dense2"
    assert all(layer["forward"] >= 0 and layer["back"] >= 0 for layer in found["layers"])


def test_every_step_belongs_to_a_layer_but_those_of_the_seed(lrpfast):
    found = json.loads(lrpfast("bench", DIGITS, "--json", "--layers").stdout)
    rest = [layer for layer in found["layers"] if not layer["layer"]]
    assert len(rest) <= 1
    assert sum(layer["forward"] + layer["back"] for layer in rest) < sum(layer["back"] for layer in found["layers"])


def test_layers_are_a_table(lrpfast):
    output = lrpfast("bench", DIGITS, "--layers").output
    line = next(line for line in output.splitlines() if line.startswith("conv2"))
    assert "Conv" in line and "ZPlus()" in line and line.rstrip().endswith("%")


@pytest.mark.parametrize("composite", ["epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "gradient"])
def test_composites(lrpfast, composite):
    result = lrpfast("bench", DIGITS, "-c", composite, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["composite"] == composite


def test_picture_in_place_of_random_numbers(here, lrpfast):
    result = lrpfast("bench", "model.onnx", "--image", "red.png", "-p", "imagenet", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["input"] == "red.png"


def test_model_with_channels_last(here, lrpfast):
    onnx.save(color_model(channels_last=True), "last.onnx")
    result = lrpfast("bench", "last.onnx", "--layers")
    assert result.exit_code == 0, result.output


def test_model_that_takes_vectors(here, lrpfast):
    onnx.save(make_model([node("MatMul", "x w", "y")], ["N", 4], {"w": np.ones((4, 3), np.float32)}), "dense.onnx")
    assert lrpfast("bench", "dense.onnx").exit_code == 0


def test_model_that_takes_ids(here, lrpfast):
    pytest.importorskip("onnxruntime")
    nodes = [node("Gather", "table x", "e"), node("Flatten", "e", "y")]
    model = make_model(nodes, ["N", 6], {"table": np.ones((5, 2), np.float32)})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    onnx.save(model, "ids.onnx")
    result = lrpfast("bench", "ids.onnx", "--json")
    assert result.exit_code == 0, result.output
    assert "median" in json.loads(result.stdout)["onnxruntime_forward"]


def test_without_onnxruntime(lrpfast, monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(bench, "import_module", absent)
    found = json.loads(lrpfast("bench", DIGITS, "--json").stdout)
    assert found["onnxruntime_forward"] is None
    assert found["without_onnxruntime"] == "onnxruntime is not installed"
    assert "onnxruntime is not installed" in lrpfast("bench", DIGITS).output


def test_batch_that_onnxruntime_refuses(here, lrpfast):
    onnx.save(make_model([node("MatMul", "x w", "y")], [1, 4], {"w": np.ones((4, 3), np.float32)}), "one.onnx")
    result = lrpfast("bench", "one.onnx", "--batch", 2)
    assert result.exit_code == 0, result.output
    assert "onnxruntime does not run it" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx"], "none.onnx"),
        (["model.onnx", "-c", "epsilon_plusflat"], "There is no preset"),
        (["model.onnx", "--image", "none.png"], "none.png"),
    ],
)
def test_what_cannot_be_done_is_said(here, lrpfast, arguments, words):
    result = lrpfast("bench", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith("lrpfast: ") and words in result.output


@pytest.mark.parametrize("arguments", [[], ["model.onnx", "--batch", "0"], ["model.onnx", "--threads", "0"]])
def test_wrong_usage(here, lrpfast, arguments):
    assert lrpfast("bench", *arguments).exit_code == 2


def test_recorder_knows_the_value_of_each_step():
    from lrpfast.engine.native.layout import Recorder

    recorder = Recorder(core.Pool())
    recorder.value = "y"
    tensor = recorder.tensor(1, (16, 2, 2))
    recorder.add(core.fill(tensor, 0.0))
    assert recorder.values == ["y"] * len(recorder.program)


def test_peak_memory_is_told_on_linux():
    if Path("/proc/self/status").exists():
        assert bench.peak_memory() > 2**20


# The harness in benchmarks/, with competitors that are none


class Competitors:
    """Competitors whose calls take no time, but say that they do."""

    def __init__(self, **seconds):
        self.seconds, self.order, self.now = seconds, [], 0.0

    def calls(self):
        return {name: (lambda name=name: self.call(name)) for name in self.seconds}

    def call(self, name):
        self.order.append(name)
        took = self.seconds[name]
        if isinstance(took, Exception):
            raise took
        self.now += took
        return took

    def clock(self):
        return self.now


def test_everybody_has_one_turn_a_round_and_another_one_begins_each(harness):
    competitors = Competitors(a=0.1, b=0.1, c=0.1)
    harness("turns").take_turns(competitors.calls(), 2.0, competitors.clock)
    rounds = ["".join(competitors.order[i : i + 3]) for i in range(0, len(competitors.order), 3)]
    assert rounds[:5] == ["abc", "bca", "cab", "abc", "bca"]  # the first one does not count
    assert len(rounds) == 8


def test_ratio_is_that_of_the_same_rounds(harness):
    turns = harness("turns")
    ours, theirs = turns.Times({1: 2.0, 2: 8.0, 3: 3.0}), turns.Times({1: 1.0, 2: 4.0, 4: 100.0})
    assert ours.ratio_to(theirs) == (2.0, 2.0, 2.0)
    assert ours.ratio_to(turns.Times({9: 1.0})) is None


def test_the_slow_take_part_in_some_rounds_only(harness):
    competitors = Competitors(fast=0.1, slow=1.4)
    times = harness("turns").take_turns(competitors.calls(), 10.0, competitors.clock)
    assert set(times["slow"].rounds) <= set(range(3, 300, 3))
    assert len(times["fast"].rounds) >= 3 * len(times["slow"].rounds)
    assert len(times["slow"].rounds) >= 5


def test_who_fails_is_left_out_and_the_others_go_on(harness):
    error = harness("turns").CompetitorError("no rule for this layer")
    competitors = Competitors(good=0.1, bad=error)
    times = harness("turns").take_turns(competitors.calls(), 1.0, competitors.clock)
    assert times["bad"].figures() == {"failure": "no rule for this layer"}
    assert competitors.order.count("bad") == 1
    assert times["good"].figures()["rounds"] >= 5


def found_by(harness, rows):
    """A run as the report takes it."""
    model = {"name": "net", "weights": "seeded", "input": "noise", "peers": "", "times": rows, "starts": []}
    return {"machine": {"processor": "one"}, "models": [model], "imports": [], "kernels": {}}


def test_report_shows_times_ratios_and_failures(harness):
    row = {"library": "lrpfast", "method": "forward", "threads": 2, "batch": 1}
    measured = row | {"median": 0.012, "low": 0.011, "high": 0.2, "rounds": 7, "ratio": (1.5, 1.4, 1.75)}
    failed = row | {"library": "zennit", "failure": "no | rule"}
    lines = harness("report").lines(found_by(harness, [measured, failed]))
    assert any("12 (11-200)" in line and "1.50 (1.40-1.75)" in line for line in lines)
    assert any(line.startswith("| Zennit") and "failed" in line for line in lines)
    assert "- Zennit, forward: no | rule" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in tables}) == 1


def test_kernels_are_measured_by_what_bounds_them(harness):
    took = {"median": 1e-3, "low": 1e-3, "high": 1e-3}
    rows = [
        {"kernel": "convolution", "native": took, "reference": 2e-3, "flops": 2 * 10**8, "product": 0.0, "moved": 0},
        {"kernel": "pool", "native": took, "reference": 5e-3, "flops": 0, "product": 0.0, "moved": 10**7},
    ]
    found = {"threads": 1, "peak": 4e11, "peak_is": "a test", "bandwidth": 2e10, "rows": rows}
    convolution, pool = harness("tables").kernel_lines(found)[2:4]
    assert [cell.strip() for cell in convolution.split("|")[5:9]] == ["200", "50%", "", ""]
    assert [cell.strip() for cell in pool.split("|")[5:9]] == ["", "", "10", "50%"]


def test_page_gets_the_tables_between_its_marks(harness, tmp_path):
    report, page = harness("report"), tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for text in ("first", "second"):
        report.write_page(page, [text])
    assert page.read_text() == f"before\n{report.BEGIN}\n\nsecond\n\n{report.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        report.write_page(page, ["x"])


def test_worker_answers_and_survives_a_failure(harness, tmp_path):
    task = harness("task").Task(tmp_path, [], [0.0], [1.0], 1)
    task.save()
    (tmp_path / "model.onnx").write_bytes(DIGITS.read_bytes())
    np.save(tmp_path / "samples.npy", np.zeros((2, 1, 28, 28), np.float32))
    process = harness("process")
    with process.Worker(sys.executable, "lrpfast", tmp_path, threads=1, batch=2) as worker:
        assert worker.ask("time", method="epsilon_plus_flat")["seconds"] > 0
        with pytest.raises(harness("turns").CompetitorError, match="There is no preset"):
            worker.ask("time", method="epsilon_minus")
        worker.ask("result", method="epsilon_gamma_box", to=str(tmp_path / "r.npy"))
        assert np.load(tmp_path / "r.npy").shape == (2, 1, 28, 28)
        assert worker.ask("memory").keys() == {"bytes"}
    assert worker.process.returncode == 0


def test_worker_that_ends_says_its_last_words(harness, tmp_path):
    process = harness("process")
    with (
        process.Worker(sys.executable, "no-such-library", tmp_path, threads=1, batch=1) as worker,
        pytest.raises(harness("turns").CompetitorError, match=r"no-such-library ended: .*task\.json"),
    ):
        worker.ask("time", method="x")


def test_network_for_peers_is_the_canonical_graph(harness, tmp_path):
    network = harness("network")
    network.write(load(DIGITS.read_bytes()), tmp_path / "network.npz")
    read = network.read(tmp_path / "network.npz")
    kinds = [layer.kind for layer in read.layers]
    assert kinds[:4] == ["convolution", "activation", "maxpool", "convolution"]
    assert read.layers[0].arrays.keys() == {"weight", "bias"}
    assert read.layers[0].settings["pads"] == [[1, 1], [1, 1]]


def test_network_of_a_form_that_peers_are_not_given_is_refused_with_a_reason(harness, tmp_path):
    model = load(make_model([node("Conv", "x w", "c"), node("Tanh", "c", "y")], ["N", 1, 4, 4], {"w": KERNEL}))
    with pytest.raises(ValueError, match="Activation"):
        harness("network").write(model, tmp_path / "network.npz")


def test_network_of_one_dimension_with_batch_normalisation_is_given_to_peers(harness, tmp_path):
    network = harness("network")
    arrays = {"w": KERNEL[..., 0], "scale": np.full((1, 1), 2, np.float32), "shift": np.ones((1, 1), np.float32)}
    nodes = [
        node("Conv", "x w", "c"),
        node("Relu", "c", "r"),
        node("Mul", "r scale", "m"),
        node("Add", "m shift", "a"),
        node("Relu", "a", "y"),
    ]
    network.write(load(make_model(nodes, ["N", 1, 8], arrays)), tmp_path / "network.npz")
    layers = {layer.kind: layer for layer in network.read(tmp_path / "network.npz").layers}
    assert layers["convolution"].settings["kernel"] == [3]
    assert layers["affine"].settings == {"rank": 1}
    assert (layers["affine"].arrays["weight"], layers["affine"].arrays["bias"]) == ([2], [1])
