"""The compiled engine: the numbers of the reference, and the same bits however the work is split."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import LRP
from lrpfast._native import available_isas
from lrpfast.composites import PRESETS, Composite, DeepTaylorBounded, EpsilonEverywhere, EpsilonGammaBox, named
from lrpfast.engine.native import NativeEngine
from lrpfast.engine.plan import make_plan
from lrpfast.model.graph import Graph
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Layer,
    MaxPool,
    Pad,
    Reshape,
    Sum,
    Transpose,
)
from oracles.graphs import chain, engine, explain, gated_net, graph, model_of, node, small_cnn, weights, window

Floats = npt.NDArray[np.float32]

SHAPE = (3, 12, 12)


def inputs(batch: int = 5, seed: int = 5) -> Floats:
    return np.random.default_rng(seed).uniform(-2, 2, (batch, *SHAPE)).astype(np.float32)


def preset(name: str) -> Composite:
    """A preset; Epsilon for every layer keeps its denominators, which have any sign, away from zero."""
    given = {
        "epsilon_gamma_box": EpsilonGammaBox(low=-2, high=2),
        "deep_taylor_bounded": DeepTaylorBounded(low=-2, high=2),
        "epsilon": EpsilonEverywhere(0.1),
    }
    return given.get(name) or named(name)


def mobile_net() -> Graph:
    """Depthwise and grouped convolutions, gates of all kinds, averages, sums and concatenations, 7 classes."""
    rng = np.random.default_rng(8)

    def conv(outputs: int, channels: int, size: int, groups: int = 1, **geometry: Any) -> Convolution:
        weight = weights(rng, outputs, channels // groups, size, size)
        shift = rng.uniform(0, 0.2, outputs).astype(np.float32)
        return Convolution(weight, shift, window((size, size), **geometry), groups)

    slope = rng.uniform(0.1, 0.3, (20, 1, 1)).astype(np.float32)
    nodes = [
        node("stem", conv(20, 3, 3, pads=((0, 1), (0, 1)), strides=(2, 2)), "x", "a"),
        node("prelu", Activation("leaky_relu", slope=slope), "a", "b"),
        node("depthwise", conv(20, 20, 5, 20, pads=2), "b", "c"),
        node("swish", Activation("hard_swish"), "c", "d"),
        node("scale", Affine(rng.uniform(0.5, 1, (20, 1, 1)), rng.uniform(0, 0.1, (20, 1, 1))), "d", "e"),
        node("project", conv(20, 20, 1), "e", "f"),
        node("sum", Sum(), "b f", "g"),
        node("clip", Activation("clip", low=0, high=6), "g", "h"),
        node("grouped", conv(24, 20, 3, 2, dilations=(2, 2), pads=2), "h", "i"),
        node("elu", Activation("elu", alpha=1.0), "i", "j"),
        node("pool", AveragePool(window((3, 3), (2, 2), pads=1, ceil=True)), "j", "k"),
        node("max", MaxPool(window((3, 3), (2, 2), pads=1)), "h", "l"),
        node("cut", Pad(((0, -9), (0, 1), (0, 1))), "l", "m"),
        node("join", Concat(0), "k m", "n"),
        node("turn", Transpose((1, 2, 0)), "n", "o"),
        node("flat", Reshape((-1,)), "o", "p"),
        node("hidden", Dense(weights(rng, 33, 35 * 16), None), "p", "q"),
        node("tanh", Activation("tanh"), "q", "r"),
        node("classes", Dense(weights(rng, 7, 33), None), "r", "y"),
    ]
    return graph(nodes, SHAPE)


def sequence_net() -> Graph:
    """1-D convolutions behind one another, 3 classes."""
    rng = np.random.default_rng(3)
    layers: list[Layer] = [
        Reshape((3, 144)),
        Convolution(weights(rng, 16, 3, 8), None, window((8,), (4,), pads=((3, 4),))),
        Activation("relu"),
        MaxPool(window((3,), (2,), ceil=True)),
        Convolution(weights(rng, 10, 16, 3), None, window((3,), dilations=(2,))),
        Activation("sigmoid"),
        AveragePool(window((0,))),
        Reshape((10,)),
        Dense(weights(rng, 3, 10), None),
    ]
    return chain(layers, SHAPE)


def residual_net() -> Graph:
    """Convolutions for Winograd's algorithm, with all that runs behind them in one go: ReLU, a pool whose windows leave
    a rest, branches that are joined in place, a residual sum; 7 classes."""
    rng = np.random.default_rng(13)  # no denominator of these weights comes near zero on the inputs below

    def conv(outputs: int, channels: int, size: int = 3, **geometry: Any) -> Convolution:
        shift = rng.uniform(-0.1, 0.2, outputs).astype(np.float32)
        return Convolution(weights(rng, outputs, channels, size, size), shift, window((size, size), **geometry))

    relu = Activation("relu")
    nodes = [
        node("stem", conv(24, 3, pads=5), "x", "a"),
        node("relu a", relu, "a", "b"),
        node("wide", conv(32, 24, pads=1), "b", "c"),
        node("relu c", relu, "c", "d"),
        node("narrow", conv(16, 32, 1), "d", "e"),
        node("relu e", relu, "e", "f"),
        node("branch", conv(32, 32, pads=1), "d", "g"),
        node("relu g", relu, "g", "h"),
        node("join", Concat(0), "f h", "i"),
        node("inner", conv(48, 48, pads=1), "i", "j"),
        node("sum", Sum(), "j i", "k"),
        node("relu k", relu, "k", "l"),
        node("signed", conv(20, 48, pads=((1, 0), (0, 1))), "l", "m"),
        node("unlike", conv(17, 20, pads=((1, 1), (1, 1))), "m", "n"),
        node("relu n", relu, "n", "o"),
        node("pool", MaxPool(window((2, 2), (2, 2))), "o", "p"),
        node("strided", conv(20, 17, strides=(2, 2)), "p", "q"),
        node("relu q", relu, "q", "r"),
        node("average", AveragePool(window((0, 0))), "r", "s"),
        node("flat", Reshape((20,)), "s", "t"),
        node("classes", Dense(weights(rng, 7, 20), None), "t", "y"),
    ]
    return graph(nodes, SHAPE)


NETS = {
    "plain": small_cnn(),
    "residual": residual_net(),
    "mobile": mobile_net(),
    "sequence": sequence_net(),
    "gated": gated_net(),
}


def relevance(net: Graph, composite: Composite, backend: str, x: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Output and relevance of the highest score."""
    attribution = LRP(model_of(net), composite, backend).attribute(x)  # type: ignore[arg-type]
    return attribution.output, attribution.relevance


def assert_another_way_to_the_same_numbers(found: tuple[Any, Any], expected: tuple[Any, Any], tolerance: float) -> None:
    """Outputs and relevance differ by rounding, and relevance does differ."""
    assert np.abs(found[1] - expected[1]).max() > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", PRESETS)
def test_native_gives_the_numbers_of_the_reference(name: str, net: str) -> None:
    x = inputs()
    outputs, expected = relevance(NETS[net], preset(name), "reference", x.astype(np.float64))
    found_outputs, found = relevance(NETS[net], preset(name), "native", x)
    assert found.dtype == np.float32
    assert np.abs(found_outputs - outputs).max() <= 2e-6 * np.abs(outputs).max()
    assert np.abs(found - expected).max() <= 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", ["epsilon_plus_flat", "epsilon_gamma_box", "preset_b", "beta_smooth"])
def test_any_number_of_threads_gives_the_same_bits(name: str, net: str) -> None:
    plan, x = make_plan(NETS[net], preset(name)), inputs()
    found = [run(engine(plan, "native", threads), x) for threads in (1, 2, 3, 8)]
    for other in found[1:]:
        for one_part, other_part in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one_part, other_part)


@pytest.mark.parametrize("threads", [2, 3, 4, 8])
@pytest.mark.parametrize("batch", [2, 3, 6, 7, 13])
def test_samples_that_are_explained_side_by_side_have_the_same_bits(batch: int, threads: int) -> None:
    model, x, rng = model_of(NETS["residual"]), inputs(batch), np.random.default_rng(3)
    wanted = model.graph.nodes[1].name
    masks = {wanted: rng.uniform(size=(2, model.graph.shapes(x.shape[1:])[model.graph.nodes[1].output][0]))}
    target = rng.integers(0, 3, (batch, 2))
    found, alone = (
        LRP(model, threads=count).attribute(x, target, layers=[wanted], masks=masks) for count in (threads, 1)
    )
    np.testing.assert_array_equal(found.relevance, alone.relevance)
    np.testing.assert_array_equal(found.layers[wanted], alone.layers[wanted])
    np.testing.assert_array_equal(found.audit.figures, alone.audit.figures)  # type: ignore[attr-defined]


def test_a_pass_has_as_many_lanes_as_fit_the_memory() -> None:
    free = NativeEngine(make_plan(NETS["plain"], preset("epsilon_plus")), threads=6)
    shape = inputs().shape[1:]
    assert free.samples_at_once(shape, 1) == 12
    (known,) = free._shapes.values()
    weights = sum(weights.bytes for weights in free.weights.values())
    for fits, samples in ((1, 1), (2, 2), (3, 3), (5, 3), (6, 6), (11, 6), (12, 12)):
        free.max_memory = weights + fits * known.bytes_each[1]
        assert free.samples_at_once(shape, 1) == samples


def run(runner: Any, x: Floats) -> tuple[Floats, Floats, npt.NDArray[np.float64]]:
    """Output, relevance for the output as its own seed, and the account's figures."""
    output, state = runner.forward(x)
    found, audit, _ = runner.relevance(state, output[:, np.newaxis])
    return output, found, np.stack([layer.handed_down for layer in audit])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", ["epsilon_plus_flat", "epsilon_gamma_box", "preset_b", "gradient"])
def test_a_sample_has_the_same_bits_alone_and_in_company(name: str, net: str) -> None:
    runner, x = NativeEngine(make_plan(NETS[net], preset(name))), inputs()
    together = run(runner, x)
    for index in range(len(x)):
        alone = run(runner, x[index : index + 1])
        np.testing.assert_array_equal(alone[0][0], together[0][index])
        np.testing.assert_array_equal(alone[1][0], together[1][index])
        np.testing.assert_array_equal(alone[2][:, 0], together[2][:, index])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", ["epsilon_plus_flat", "epsilon_gamma_box", "preset_b", "gradient_x_input"])
def test_several_explanations_have_the_bits_of_each_alone(name: str, net: str) -> None:
    lrp, x = LRP(model_of(NETS[net]), preset(name)), inputs(2)
    together = lrp.attribute(x, [[0, 2, 1], [2, 1, 1]])
    for column in range(3):
        alone = lrp.attribute(x, together.target[:, column])
        np.testing.assert_array_equal(together.relevance[:, column], alone.relevance)
        for layer, single in zip(together.audit, alone.audit, strict=True):  # type: ignore[call-overload]
            np.testing.assert_array_equal(layer.handed_down[:, column], single.handed_down)


def test_calls_leave_nothing_behind() -> None:
    lrp, x = LRP(model_of(NETS["mobile"])), inputs()
    first = lrp.attribute(x)
    lrp.attribute(inputs(3, seed=9) * 100, 1)
    again = lrp.attribute(x)
    np.testing.assert_array_equal(first.relevance, again.relevance)
    np.testing.assert_array_equal(first.output, again.output)
    np.testing.assert_array_equal(x, inputs())


def test_two_threads_may_use_one_lrp() -> None:
    lrp = LRP(model_of(NETS["mobile"]), threads=2)
    batches = [inputs(1 + seed % 3, seed) for seed in range(12)]
    expected = [lrp.attribute(x).relevance for x in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: lrp.attribute(x).relevance, batches * 4))
    for index, one in enumerate(found):
        np.testing.assert_array_equal(one, expected[index % 12])


def test_free_sizes_are_prepared_on_sight_and_forgotten_in_turn() -> None:
    rng = np.random.default_rng(0)
    layers: list[Layer] = [
        Convolution(weights(rng, 5, 3, 3, 3), None, window((3, 3), (2, 2), pads=1)),
        Activation("relu"),
        AveragePool(window((0, 0))),
        Reshape((5,)),
    ]
    net = Graph("x", (3, None, None), chain(layers, SHAPE).nodes, "v3")
    native, reference = (LRP(model_of(net), "epsilon_plus_flat", backend) for backend in ("native", "reference"))
    sizes = [(4, 4), (5, 7), (6, 4), (9, 8), (3, 3), (11, 5), (4, 4), (5, 7)]
    for height, wide in sizes:
        x = rng.uniform(-2, 2, (2, 3, height, wide)).astype(np.float32)
        found, expected = native.attribute(x, 1).relevance, reference.attribute(x.astype(np.float64), 1).relevance
        assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_gamma_box", "gradient"])
def test_every_method_of_convolution_gives_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, net = inputs(2), NETS["residual"]
    by_winograd = relevance(net, preset(name), "native", x)
    monkeypatch.setattr("lrpfast.engine.native.methods.SMALLEST_FOR_WINOGRAD", 1000)
    by_definition = relevance(net, preset(name), "native", x)
    assert_another_way_to_the_same_numbers(by_winograd, by_definition, 1e-5)


@pytest.mark.parametrize("name", ["epsilon_gamma_box", "epsilon_plus"])
def test_relevance_reaches_the_image_by_patches_or_else_with_the_same_numbers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    first = Convolution(weights(rng, 24, 3, 7, 7), None, window((7, 7), (2, 2), pads=3))
    pool = MaxPool(window((2, 2), (2, 2)))  # leaves a quarter of the relevance
    net = chain([first, Activation("relu"), pool, Reshape((-1,)), Dense(weights(rng, 3, 24 * 49), None)], (3, 28, 28))
    x = rng.uniform(-1, 1, (2, 3, 28, 28)).astype(np.float32)
    by_patches = relevance(net, preset(name), "native", x)
    monkeypatch.setattr("lrpfast.engine.native.methods.SMALLEST_PATCH", 1000)
    otherwise = relevance(net, preset(name), "native", x)
    assert_another_way_to_the_same_numbers(by_patches, otherwise, 1e-6)


@pytest.mark.parametrize("bias", [0, 1], ids=["without a bias", "with a bias"])
def test_ahead_of_a_relu_alpha_beta_leaves_the_values_as_they_are(bias: float) -> None:
    rng = np.random.default_rng(7)
    layers: list[Layer] = []
    for channels in ((24, 3), (24, 24), (24, 24)):
        offsets = bias * rng.standard_normal(24).astype(np.float32)
        layers += [Convolution(weights(rng, *channels, 3, 3), offsets, window((3, 3), pads=1)), Activation("relu")]
    net = chain([*layers, AveragePool(window((16, 16))), Reshape((-1,))], (3, 16, 16))
    x = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    output, found, _ = explain(net, preset("epsilon_alpha2_beta1"), "native", x)
    np.testing.assert_array_equal(output, explain(net, preset("epsilon_plus"), "native", x)[0])
    expected = explain(net, preset("epsilon_alpha2_beta1"), "reference", x.astype(np.float64))[1]
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize("net", NETS)
def test_the_rules_leave_the_values_of_the_forward_pass_as_they_are(net: str) -> None:
    outputs = [
        explain(NETS[net], preset(name), "native", inputs(2))[0] for name in ("gradient", "epsilon_alpha2_beta1")
    ]
    np.testing.assert_array_equal(*outputs)


def test_flat_regions_stay_ties_under_winograd() -> None:
    rng = np.random.default_rng(2)
    pooled: list[Layer] = []
    for channels in ((24, 3), (24, 24), (24, 24)):
        pooled += [Convolution(weights(rng, *channels, 3, 3), None, window((3, 3), pads=1)), Activation("relu")]
    pooled += [MaxPool(window((2, 2), (2, 2))), Reshape((-1,)), Dense(weights(rng, 3, 24 * 14 * 14), None)]
    net = chain(pooled, (3, 28, 28))
    x = np.full((1, 3, 28, 28), 0.7, np.float32)
    x[..., 14:] = rng.uniform(0, 1, (1, 3, 28, 14))
    found = relevance(net, named("epsilon_plus"), "native", x)[1]
    expected = relevance(net, named("epsilon_plus"), "reference", x.astype(np.float64))[1]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dark", [np.s_[..., :14], np.s_[..., :15, :]], ids=["columns", "rows"])
def test_nothing_speaks_against_a_unit_in_the_dark(dark: Any) -> None:
    """Its negative contributions are zero. Winograd's algorithm leaves rounding there, next to bright places; what is
    divided by that must not come back multiplied by them.
    """
    rng = np.random.default_rng(0)
    conv = Convolution(weights(rng, 32, 32, 3, 3), np.full(32, 0.1, np.float32), window((3, 3), pads=1))
    model = model_of(chain([Activation("relu"), conv, Activation("relu")], (32, 28, 28)))
    x = np.maximum(rng.standard_normal((1, 32, 28, 28)), 0).astype(np.float32)
    x[dark] = 0
    reference = LRP(model, "epsilon_alpha2_beta1", "reference")
    seed = reference.attribute(x).output
    expected = reference.attribute(x.astype(np.float64), seed.astype(np.float64)).relevance
    found = LRP(model, "epsilon_alpha2_beta1").attribute(x, seed).relevance
    assert np.abs(found - expected).max() < 5e-6 * np.abs(expected).max()


def test_less_memory_gives_the_same_numbers() -> None:
    x, model = inputs(9), model_of(NETS["residual"])
    free, bound = LRP(model, "epsilon_plus"), LRP(model, "epsilon_plus", max_memory=1)
    found, expected = bound.attribute(x), free.attribute(x)
    np.testing.assert_allclose(found.relevance, expected.relevance, atol=1e-5 * np.abs(expected.relevance).max())
    assert memory(bound) < memory(free) / 2
    for one, other in zip(found.audit, expected.audit, strict=True):  # type: ignore[call-overload]
        assert one.received.shape == (9,)
        np.testing.assert_allclose(one.handed_down, other.handed_down, rtol=1e-4)


def test_repeated_calls_take_no_more_memory() -> None:
    lrp = LRP(model_of(NETS["residual"]), "epsilon_alpha2_beta1_flat")
    sizes = []
    for _ in range(3):
        for batch in (1, 6, 3):
            lrp.attribute(inputs(batch))
        lrp.attribute(inputs(2), target=[[0, 1, 2], [3, 4, 5]])
        sizes.append(memory(lrp))
    assert sizes[0] == sizes[-1]


def memory(lrp: LRP) -> int:
    """Bytes of packed weights and of the workspaces that wait for the next call."""
    native = lrp._engine
    assert isinstance(native, NativeEngine)
    weights = sum(weights.bytes for weights in native.weights.values())
    free = [spaces for known in native._shapes.values() for spaces in known.free.values()]
    return weights + sum(workspace.bytes for spaces in free for workspace in spaces)


def test_a_pickled_lrp_gives_the_same_bits() -> None:
    lrp, x = LRP(model_of(NETS["plain"]), EpsilonGammaBox(low=-2, high=2), threads=2), inputs()
    copy = pickle.loads(pickle.dumps(lrp))
    assert str(copy) == str(lrp)
    np.testing.assert_array_equal(copy.attribute(x).relevance, lrp.attribute(x).relevance)


def test_what_an_attribution_holds_is_its_own() -> None:
    lrp, x = LRP(model_of(NETS["plain"])), inputs(2)
    first = lrp.attribute(x)
    kept = first.relevance.copy(), first.output.copy()
    lrp.attribute(inputs(2, seed=6))
    np.testing.assert_array_equal(first.relevance, kept[0])
    np.testing.assert_array_equal(first.output, kept[1])


OTHER_PROCESS = """
import sys
import numpy as np
from engine.test_native import NETS, inputs, preset, relevance
for net in NETS:
    for name in ("epsilon_plus_flat", "epsilon_gamma_box", "preset_b", "guided_backprop"):
        np.save(f"{sys.argv[1]}/{net}-{name}.npy", relevance(NETS[net], preset(name), "native", inputs())[1])
"""


@pytest.mark.parametrize("isa", available_isas())
def test_every_instruction_set_gives_the_numbers_of_the_reference(isa: str, tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    environment = os.environ | {"LRPFAST_ISA": isa, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(tmp_path)], env=environment, check=True)
    found = {path.stem: np.load(path) for path in tmp_path.glob("*.npy")}
    assert len(found) == 4 * len(NETS)
    for name, relevances in found.items():
        net, _, composite = name.partition("-")
        expected = relevance(NETS[net], preset(composite), "reference", inputs().astype(np.float64))[1]
        assert np.abs(relevances - expected).max() <= 5e-6 * np.abs(expected).max(), name
