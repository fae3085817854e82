"""The canonical graph computes what the raw one does, and is as plain as its rules promise."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from lrpfast.model.canonize import canonize
from lrpfast.model.layers import Activation, Affine, Convolution, Dense, Moves, Pad, Reshape, Sum, Transpose
from lrpfast.model.onnx_import import read
from oracles.forward import forward
from oracles.onnx_models import light_model, make_model, node, relative_difference

RNG = np.random.default_rng(11)
SHAPE = (3, 6, 5)


def weights(*shape):
    return RNG.normal(size=shape)


def positive(*shape):
    return RNG.uniform(0.5, 1.5, shape)


def channels(count=3, *, signs=True):
    return (weights if signs else positive)(count, 1, 1)


def canonical(nodes, constants, shape=SHAPE, **options):
    """The canonical graph of these nodes in float64, checked against the raw one."""
    raw = read(make_model(nodes, ["N", *shape], constants, dtype=TensorProto.DOUBLE, **options)).graph
    graph = canonize(raw)
    sample_shape = [size if isinstance(size, int) else 6 for size in shape]
    batch = np.random.default_rng(5).normal(size=(2, *sample_shape))
    assert relative_difference(forward(graph, batch), forward(raw, batch)) < 1e-12
    assert graph.output == raw.output
    return graph


def operators(graph):
    return [entry.operator for entry in graph.nodes]


def count(graph, kind):
    return sum(isinstance(entry.layer, kind) for entry in graph.nodes)


def batch_norm(source, target, channel_count=3, name="bn"):
    """A node and its constants."""
    statistics = {f"{name}{key}": weights(channel_count) for key in "sbm"} | {f"{name}v": positive(channel_count)}
    return node("BatchNormalization", f"{source} {name}s {name}b {name}m {name}v", target, name), statistics


# Affines into the layer that they follow


def test_scale_and_shift_behind_changes_of_shape_are_folded_back():
    nodes = [
        node("Unsqueeze", "x two", "u"), node("Conv", "u w", "c"), node("Squeeze", "c two", "s"),
        node("Transpose", "s", "t", perm=[0, 2, 1]), node("Mul", "t f", "m"), node("Add", "m b", "a"),
        node("Relu", "a", "y"),
    ]  # fmt: skip
    given = {"two": np.array([2]), "w": weights(5, 3, 1, 3), "f": weights(5), "b": weights(1, 1, 5)}
    kinds = [entry.layer.kind for entry in canonical(nodes, given, (3, 9)).nodes if entry.layer.kind != "routing"]
    assert kinds == ["conv", "activation"]


def test_a_shift_that_differs_within_a_channel_stays_behind_a_change_of_shape():
    nodes = [node("Conv", "x w", "c"), node("Reshape", "c shape", "r"), node("Add", "r b", "a"), node("Relu", "a", "y")]
    given = {"w": weights(2, 3, 1, 1), "shape": np.array([0, 4, 15]), "b": weights(4, 1)}
    assert any(isinstance(entry.layer, Affine) for entry in canonical(nodes, given).nodes)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_batch_normalization_folds_into_the_convolution_before_it(bias, groups):
    norm, statistics = batch_norm("c", "y", 4)
    conv = node("Conv", "x w b" if bias else "x w", "c", "conv", pads=[1, 1, 1, 1], group=groups)
    constants = statistics | {"w": weights(4, 4 // groups, 3, 3)} | ({"b": weights(4)} if bias else {})
    graph = canonical([conv, norm], constants, (4, 6, 5))
    assert [(entry.name, entry.operator) for entry in graph.nodes] == [("conv", "Conv+BatchNormalization")]


def test_a_bias_written_as_add_folds_into_a_matmul():
    graph = canonical([node("MatMul", "x w", "m", "fc"), node("Add", "m b", "y")],
                      {"w": weights(7, 4), "b": weights(4)}, (7,))  # fmt: skip
    assert [(entry.name, entry.operator) for entry in graph.nodes] == [("fc", "MatMul+Add")]


def test_a_chain_of_affines_is_rounded_once():
    w, scale, shift, divisor = (array.astype(np.float32) for array in (weights(4, 3), *positive(3, 4)))
    nodes = [node("Gemm", "x w", "g", transB=1), node("Mul", "g s", "m"), node("Add", "m t", "a"),
             node("Div", "a d", "y")]  # fmt: skip
    graph = canonize(read(make_model(nodes, ["N", 3], {"w": w, "s": scale, "t": shift, "d": divisor})).graph)
    inverse = (1 / divisor.astype(np.float64)).astype(np.float32)
    exact = w.astype(np.float64) * (scale.astype(np.float64) * inverse)[:, None]
    np.testing.assert_array_equal(graph.nodes[0].layer.weight, exact.astype(np.float32))


def test_an_affine_stays_if_the_convolution_has_another_reader():
    nodes = [node("Conv", "x w", "c"), node("Mul", "c s", "m"), node("Relu", "c", "r"), node("Add", "m r", "y")]
    assert count(canonical(nodes, {"w": weights(3, 3, 3, 3), "s": channels()}), Affine) == 1


def test_an_affine_that_varies_within_a_channel_stays():
    nodes = [node("Conv", "x w", "c"), node("Mul", "c s", "y")]
    assert count(canonical(nodes, {"w": weights(3, 3, 1, 1), "s": weights(5)}), Affine) == 1


# Affines into the layers that follow them


@pytest.mark.parametrize("groups", [1, 3])
def test_an_affine_folds_forward_into_a_convolution_that_sees_no_padding(groups):
    norm, statistics = batch_norm("x", "n")
    nodes = [norm, node("Conv", "n w b", "y", "conv", group=groups)]
    graph = canonical(nodes, statistics | {"w": weights(6, 3 // groups, 3, 2), "b": weights(6)})
    assert [(entry.name, entry.operator) for entry in graph.nodes] == [("conv", "BatchNormalization+Conv")]


@pytest.mark.parametrize("padding", [{"pads": [0, 0, 1, 0]}, {"auto_pad": "SAME_UPPER"}])
def test_a_shift_in_front_of_a_padded_convolution_stays_whole(padding):
    norm, statistics = batch_norm("x", "n")
    for shape in (SHAPE, (3, "H", "W")):
        nodes = [norm, node("Conv", "n w", "y", **padding)]
        assert count(canonical(nodes, statistics | {"w": weights(6, 3, 3, 2)}, shape), Affine) == 1


def test_a_scale_alone_folds_into_a_padded_convolution():
    nodes = [node("Mul", "x s", "m"), node("Conv", "m w", "y", pads=[1, 1, 1, 1])]
    assert operators(canonical(nodes, {"s": channels(), "w": weights(2, 3, 3, 3)})) == ["Mul+Conv"]


def test_an_affine_folds_forward_only_if_all_readers_take_it():
    norm, statistics = batch_norm("x", "n")
    convs = [node("Conv", "n w", "a"), node("Conv", "n v", "b"), node("Add", "a b", "y")]
    constants = statistics | {"w": weights(2, 3, 1, 1), "v": weights(2, 3, 1, 1)}
    assert count(canonical([norm, *convs], constants), Affine) == 0
    rest = [node("Relu", "n", "r"), node("Conv", "r v", "b"), node("Add", "a b", "y")]
    assert count(canonical([norm, convs[0], *rest], constants), Affine) == 1


def test_an_affine_that_is_the_output_stays():
    nodes = [node("Relu", "x", "r"), node("Mul", "r s", "y")]
    assert operators(canonical(nodes, {"s": channels()})) == ["Relu", "Mul"]


@pytest.mark.parametrize("pool", ["MaxPool", "AveragePool"])
def test_an_affine_folds_through_pool_and_flatten_into_a_dense_layer(pool):
    nodes = [
        node("Relu", "x", "r"),
        node("Mul", "r s", "m"),
        node("Add", "m t", "a"),
        node(pool, "a", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1),
        node("Flatten", "p", "f"),
        node("Gemm", "f w", "y", "fc"),
    ]
    constants = {"s": channels(signs=False), "t": channels(), "w": weights(36, 4)}
    assert operators(canonical(nodes, constants)) == ["Relu", pool, "Flatten", "Mul+Add+Gemm"]


@pytest.mark.parametrize(
    ("pool", "signs", "shift", "stays"),
    [
        ({"op": "MaxPool"}, True, False, True),
        ({"op": "AveragePool"}, True, True, False),
        ({"op": "AveragePool", "count_include_pad": 1}, True, False, False),
        ({"op": "AveragePool", "count_include_pad": 1}, True, True, True),
        ({"op": "AveragePool", "count_include_pad": 1, "pads": [0, 0, 0, 0]}, True, True, False),
    ],
)
def test_an_affine_passes_a_pool_only_where_they_commute(pool, signs, shift, stays):
    options = {"kernel_shape": [2, 2], "pads": [1, 0, 0, 1]} | pool
    operator = options.pop("op")
    nodes = [
        node("Mul", "x s", "m"),
        *([node("Add", "m t", "a")] if shift else []),
        node(operator, "a" if shift else "m", "p", **options),
        node("Conv", "p w", "y"),
    ]
    constants = {"s": channels(signs=signs), "w": weights(2, 3, 1, 1)} | ({"t": channels()} if shift else {})
    assert count(canonical(nodes, constants), Affine) == int(stays)


def test_neighbouring_affines_become_one():
    nodes = [node("Mul", "x s", "m"), node("Sub", "c m", "d"), node("Add", "d t", "a"), node("Relu", "a", "y")]
    graph = canonical(nodes, {"s": channels(), "c": weights(5), "t": weights(6, 1)})
    assert operators(graph) == ["Mul+Sub+Add", "Relu"]


# Pads


def test_pads_merge_into_all_convolutions_behind_them():
    nodes = [
        node("Pad", "x p", "q"),
        node("Conv", "q w", "a", pads=[0, 1, 2, 0]),
        node("Conv", "q v", "b"),
        node("GlobalMaxPool", "a", "c"),
        node("GlobalMaxPool", "b", "d"),
        node("Add", "c d", "y"),
    ]
    constants = {"p": np.array([0, 0, 1, 0, 0, 0, 2, 1]), "w": weights(2, 3, 3, 3), "v": weights(2, 3, 2, 2)}
    graph = canonical(nodes, constants)
    assert count(graph, Pad) == 0
    assert graph.nodes[0].layer.window.pads == ((1, 4), (1, 1))
    assert graph.nodes[0].operator == "Pad+Conv"


UNMERGED = {
    "other value": ([node("Pad", "x p v", "q"), node("Conv", "q w", "y")], SHAPE),
    "cropping": ([node("Pad", "x crop", "q"), node("Conv", "q w", "y")], SHAPE),
    "channels": ([node("Pad", "x deep", "q"), node("Conv", "q w", "y")], (2, 6, 5)),
    "max pool": ([node("Pad", "x p", "q"), node("MaxPool", "q", "y", kernel_shape=[2, 2])], SHAPE),
    "average pool": ([node("Pad", "x p", "q"), node("AveragePool", "q", "y", kernel_shape=[2, 2])], SHAPE),
    "automatic padding": ([node("Pad", "x p", "q"), node("Conv", "q w", "y", auto_pad="SAME_UPPER")], (3, "H", "W")),
    "output": ([node("Pad", "x p", "y")], SHAPE),
}  # fmt: skip


@pytest.mark.parametrize("case", UNMERGED)
def test_a_pad_stays_where_merging_would_not_be_exact(case):
    nodes, shape = UNMERGED[case]
    constants = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "crop": np.array([0, 0, -1, 1, 0, 0, 1, 1]),
        "deep": np.array([0, 1, 0, 0, 0, 0, 0, 0]), "v": np.array(0.5), "w": weights(2, 3, 2, 2),
    }  # fmt: skip
    names = {name for entry in nodes for name in entry.input}
    given = {name: array for name, array in constants.items() if name in names}
    assert count(canonical(nodes, given, shape), Pad) == 1


# Parallel convolutions


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("order", ["wide point identity", "identity point wide", "point identity wide"])
def test_summed_branches_of_one_value_become_one_convolution(order, groups):
    norms = [batch_norm(source, target, name=f"{target}_bn")
             for source, target in (("c", "wide"), ("d", "point"), ("x", "identity"))]  # fmt: skip
    first, second, third = order.split()
    nodes = [
        node("Conv", "x w", "c", "conv", pads=[1, 1, 1, 1], group=groups),
        node("Conv", "x v b", "d", group=groups),
        *(entry for entry, _ in norms),
        node("Add", f"{first} {second}", "s"),
        node("Add", f"s {third}", "a"),
        node("Relu", "a", "y"),
    ]
    constants = {"w": weights(3, 3 // groups, 3, 3), "v": weights(3, 3 // groups, 1, 1), "b": weights(3)}
    for _, statistics in norms:
        constants |= statistics
    graph = canonical(nodes, constants)
    assert [entry.layer.kind for entry in graph.nodes] == ["conv", "activation"]


COVERED = {
    "strides": ([3, 3], {"pads": [1, 1, 1, 1], "strides": [2, 2]}, [1, 1], {"strides": [2, 2]}),
    "a row and a square": ([3, 3], {"pads": [1, 1, 1, 1]}, [1, 3], {"pads": [0, 1, 0, 1]}),
    "in a corner": ([3, 2], {"pads": [0, 0, 2, 1]}, [1, 1], {}),
    "a dilation that reaches nothing": ([3, 3], {"pads": [1, 1, 1, 1]}, [1, 1], {"dilations": [2, 2]}),
    "one size": ([1, 1], {}, [1, 1], {}),
}


@pytest.mark.parametrize("case", COVERED)
def test_a_kernel_is_added_where_another_covers_it(case):
    kernel, options, inner_kernel, inner_options = COVERED[case]
    nodes = [node("Conv", "x v", "b", **inner_options), node("Conv", "x w", "a", "wide", **options),
             node("Add", "b a", "y")]  # fmt: skip
    graph = canonical(nodes, {"w": weights(4, 3, *kernel), "v": weights(4, 3, *inner_kernel)})
    assert operators(graph) == ["Conv+Add"]


APART = {
    "other values": [node("Relu", "x", "r"), node("Conv", "x w", "a"), node("Conv", "r v", "b"),
                     node("Add", "a b", "y")],
    "a value itself": [node("Conv", "x w", "a"), node("Add", "a x", "y")],
    "a reader between": [node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b", "s"),
                         node("Relu", "b", "r"), node("Add", "s r", "y")],
    "other groups": [node("Conv", "x w", "a"), node("Conv", "x g", "b", group=3), node("Add", "a b", "y")],
    "rows and columns": [node("Conv", "x row", "a", pads=[0, 1, 0, 1]),
                         node("Conv", "x column", "b", pads=[1, 0, 1, 0]), node("Add", "a b", "y")],
    "a dilated kernel": [node("Conv", "x s", "a", pads=[2, 2, 2, 2], dilations=[2, 2]), node("Conv", "x w", "b"),
                         node("Add", "a b", "y")],
    "a scale that varies": [node("Conv", "x w", "a"), node("Mul", "x k", "b"), node("Add", "a b", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", APART)
def test_sums_of_other_branches_stay(case):
    constants = {
        "w": weights(3, 3, 1, 1), "v": weights(3, 3, 1, 1), "g": weights(3, 1, 1, 1), "row": weights(3, 3, 1, 3),
        "column": weights(3, 3, 3, 1), "s": weights(3, 3, 3, 3), "k": weights(5),
    }  # fmt: skip
    used = {name for entry in APART[case] for name in entry.input}
    graph = canonical(APART[case], {name: array for name, array in constants.items() if name in used})
    assert count(graph, Sum) == sum(entry.op_type == "Add" for entry in APART[case])


# Transposes and reshapes


def test_a_reshape_that_puts_a_grey_channel_first_becomes_the_order_of_the_input_axes():
    weights = {"s": np.array([-1, 1, 6, 5]), "w": np.ones((2, 1, 3, 3), np.float32)}
    model = make_model([node("Reshape", "x s", "r"), node("Conv", "r w", "y")], ["N", 6, 5, 1], weights)
    graph = canonize(read(model).graph)
    assert graph.input_permutation == (2, 0, 1)
    assert [entry.operator for entry in graph.nodes] == ["Conv"]


def test_a_transpose_of_the_input_becomes_the_order_of_the_input_axes():
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]
    graph = canonical(nodes, {"w": weights(2, 3, 3, 3)}, (6, 5, 3))
    assert operators(graph) == ["Conv"]
    assert graph.input_permutation == (2, 0, 1)
    assert graph.input_shape == (6, 5, 3)


def test_preprocessing_in_front_of_the_transpose_of_the_input_is_turned_with_it():
    nodes = [node("Sub", "x mean", "s"), node("Transpose", "s", "t", perm=[0, 3, 1, 2]),
             node("Conv", "t w", "y", pads=[1, 1, 1, 1])]  # fmt: skip
    graph = canonical(nodes, {"mean": weights(3), "w": weights(2, 3, 3, 3)}, (6, 5, 3))
    assert operators(graph) == ["Sub", "Conv"]
    assert graph.input_permutation == (2, 0, 1)


def channels_last_conv(source, target, weight):
    return [
        node("Transpose", source, f"{target}_first", perm=[0, 3, 1, 2]),
        node("Conv", f"{target}_first {weight}", f"{target}_conv", pads=[1, 1, 1, 1]),
        node("Transpose", f"{target}_conv", target, perm=[0, 2, 3, 1]),
    ]


def test_transposes_around_the_convolutions_of_a_residual_network_cancel():
    nodes = [
        *channels_last_conv("x", "a", "w"),
        node("Add", "a bias", "b"),
        node("Relu", "b", "c"),
        *channels_last_conv("c", "d", "v"),
        node("Add", "d c", "e"),
        node("Concat", "e c", "f", axis=3),
        node("ReduceMean", "f", "g", axes=[1, 2], keepdims=0),
        node("Gemm", "g m", "y"),
    ]
    constants = {"w": weights(4, 3, 3, 3), "v": weights(4, 4, 3, 3), "bias": weights(4), "m": weights(8, 2)}
    graph = canonical(nodes, constants, (6, 5, 3))
    assert count(graph, Transpose) == 0
    assert operators(graph) == ["Conv+Add", "Relu", "Conv", "Add", "Concat", "ReduceMean", "ReduceMean", "Gemm"]


def test_a_transpose_in_front_of_a_flattening_becomes_the_order_of_dense_columns():
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Reshape", "t flat", "f"),
        node("MatMul", "f m", "a"),
        node("MatMul", "f n", "b"),
        node("Add", "a b", "y"),
    ]
    constants = {"w": weights(4, 3, 3, 3), "flat": np.array([-1, 48]), "m": weights(48, 5), "n": weights(48, 5)}
    graph = canonical(nodes, constants)
    assert (count(graph, Transpose), count(graph, Dense)) == (0, 2)


def test_a_transpose_that_others_need_stays():
    nodes = [
        node("Conv", "x w", "c"),
        node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
        node("Flatten", "t", "f"),
        node("Relu", "f", "y"),
    ]
    assert count(canonical(nodes, {"w": weights(2, 3, 1, 1)}), Transpose) == 1


def test_transposes_that_cancel_nothing_keep_their_place():
    nodes = [node("Conv", "x w", "c"), node("Transpose", "c", "t", perm=[0, 2, 3, 1]), node("Relu", "t", "y")]
    assert operators(canonical(nodes, {"w": weights(2, 3, 1, 1)})) == ["Conv", "Transpose", "Relu"]


def test_a_transpose_of_axes_of_size_one_is_a_reshape():
    nodes = [node("GlobalMaxPool", "x", "g"), node("Transpose", "g", "t", perm=[0, 2, 3, 1]), node("Neg", "t", "y")]
    graph = canonical(nodes, {})
    assert (count(graph, Transpose), count(graph, Reshape)) == (0, 1)


def test_reshapes_in_a_row_become_one_and_idle_ones_vanish():
    nodes = [
        node("Reshape", "x a", "p"),
        node("Reshape", "p b", "q"),
        node("Relu", "q", "r"),
        node("Reshape", "r b", "s"),
        node("Neg", "s", "y"),
    ]
    graph = canonical(nodes, {"a": np.array([0, 5, 18]), "b": np.array([0, 90])})
    assert operators(graph) == ["Reshape", "Relu", "Neg"]


def test_channel_shuffles_are_left_alone():
    nodes = [
        node("Reshape", "x a", "p"),
        node("Transpose", "p", "q", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "q b", "r"),
        node("Conv", "r w", "y"),
    ]
    constants = {"a": np.array([0, 2, 3, 6, 5]), "b": np.array([0, 6, 6, 5]), "w": weights(2, 6, 1, 1)}
    assert operators(canonical(nodes, constants, (6, 6, 5))) == ["Reshape", "Transpose", "Reshape", "Conv"]


def test_values_moved_by_way_of_more_axes_are_one_layer():
    """Blocks of pixels that become channels, written as reshapes around a transpose."""
    nodes = [
        node("Relu", "x", "r"), node("Reshape", "r blocks", "b"), node("Transpose", "b", "t", perm=[0, 1, 3, 5, 2, 4]),
        node("Reshape", "t back", "y"),
    ]  # fmt: skip
    places = {"blocks": np.array([-1, 3, 2, 2, 3, 2]), "back": np.array([-1, 12, 2, 3])}
    assert [type(entry.layer) for entry in canonical(nodes, places, (3, 4, 6)).nodes] == [Activation, Moves]


def test_values_of_more_axes_that_others_read_stay():
    nodes = [
        node("Reshape", "x blocks", "b"), node("Transpose", "b", "t", perm=[0, 1, 3, 5, 2, 4]),
        node("Reshape", "t back", "a"), node("Relu", "b", "r"), node("Reshape", "r back", "c"), node("Add", "a c", "y"),
    ]  # fmt: skip
    places = {"blocks": np.array([-1, 3, 2, 2, 3, 2]), "back": np.array([-1, 12, 2, 3])}
    assert not count(canonical(nodes, places, (3, 4, 6)), Moves)


# Whole networks


def test_a_canonical_graph_is_a_fixed_point():
    graph = canonize(read(light_model("shufflenet")).graph)
    again = canonize(graph)
    assert [entry.name for entry in again.nodes] == [entry.name for entry in graph.nodes]
    assert [entry.inputs for entry in again.nodes] == [entry.inputs for entry in graph.nodes]


@pytest.mark.parametrize(("name", "affines"), [("resnet50", 0), ("inception_v2", 0), ("densenet121", 62)])
def test_batch_normalization_of_known_architectures_folds_where_it_can(name, affines):
    graph = canonize(read(light_model(name)).graph)
    assert count(graph, Affine) == affines


def random_layer(rng, source, target, depth):
    """A node of a random kind on a map with four channels, and its constants."""
    kind = rng.integers(9)
    key = f"k{depth}"
    if kind == 0:
        pads = [int(size) for size in rng.integers(0, 2, 4)]
        return node("Conv", f"{source} {key}", target, pads=pads), {key: rng.normal(size=(4, 4, 2, 2)) / 4}
    if kind == 1:
        return node("Conv", f"{source} {key}", target, group=2), {key: rng.normal(size=(4, 2, 1, 1))}
    if kind in (2, 3):
        shape = [(4, 1, 1), (1,), (), (1, 4, 1, 1)][rng.integers(4)]
        return node(["Mul", "Add"][kind - 2], f"{source} {key}", target), {key: rng.normal(size=shape)}
    if kind == 4:
        return node("Pad", f"{source} {key}", target), {key: np.array([0, 0, *rng.integers(0, 2, 2), 0, 0, 1, 0])}
    if kind == 5:
        return node("MaxPool", source, target, kernel_shape=[2, 2], pads=[1, 0, 0, 1]), {}
    if kind == 6:
        include = int(rng.integers(2))
        return node(
            "AveragePool", source, target, kernel_shape=[2, 2], pads=[1, 0, 0, 1], count_include_pad=include
        ), {}
    if kind == 7:
        return node("Relu", source, target), {}
    return node("Add", f"{source} {source}", target), {}


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_keep_their_function(seed):
    rng = np.random.default_rng(seed)
    nodes, constants, value = [], {}, "x"
    for depth in range(8):
        target = "y" if depth == 7 else f"v{depth}"
        entry, more = random_layer(rng, value, target, depth)
        nodes.append(entry)
        constants |= more
        value = target
    graph = canonical(nodes, constants, (4, 12, 11))
    assert count(graph, Convolution) == sum(entry.op_type == "Conv" for entry in nodes)
