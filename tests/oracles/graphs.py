"""Small graphs, and a plan's way through a backend in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast import Model
from lrpfast.composites import Composite
from lrpfast.engine.audit import Audit
from lrpfast.engine.backend import Backend
from lrpfast.engine.native import NativeEngine
from lrpfast.engine.plan import Plan, make_plan
from lrpfast.engine.reference import ReferenceEngine
from lrpfast.model.graph import Graph, Node
from lrpfast.model.layers import (
    Activation,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Gate,
    Gather,
    Layer,
    MaxPool,
    Moves,
    Pad,
    Reshape,
    Shape,
    Sum,
    Transpose,
    Weighted,
    Window,
)

BACKENDS = ("reference", "native")
FLOATS = {"reference": np.float64, "native": np.float32}

Floats = npt.NDArray[Any]


def window(
    kernel: Shape, strides: Shape | None = None, pads: Any = 0, dilations: Shape | None = None, **more: Any
) -> Window:
    """A window; `pads` is one number for all sides, or (before, after) per axis."""
    rank = len(kernel)
    sides = ((pads, pads),) * rank if isinstance(pads, int) else tuple(pads)
    return Window(kernel, strides or (1,) * rank, dilations or (1,) * rank, sides, **more)


def node(name: str, layer: Layer, inputs: str, output: str) -> Node:
    """A node; `inputs` are names with blanks between them."""
    return Node(name, type(layer).__name__, layer, tuple(inputs.split()), output)


def graph(nodes: Sequence[Node], shape: tuple[int | None, ...], permutation: Shape = ()) -> Graph:
    """A graph whose input is called x and whose output is that of the last node."""
    return Graph("x", shape, tuple(nodes), nodes[-1].output, permutation)


def chain(layers: Sequence[Layer], shape: Shape) -> Graph:
    """Layers one after the other, called n0, n1 and so on."""
    names = ["x", *(f"v{index}" for index in range(len(layers)))]
    nodes = [node(f"n{index}", layer, names[index], names[index + 1]) for index, layer in enumerate(layers)]
    return graph(nodes, shape)


def sum_of_slices(branches: int, shape: Shape, before: Sequence[Layer] = ()) -> Graph:
    """The sum of equal slices of the input's channels, after the layers `before`, so that each can be told apart."""
    width = shape[0] // branches
    nodes = list(chain(before, shape).nodes) if before else []
    source = nodes[-1].output if nodes else "x"
    rest = ((0, 0),) * (len(shape) - 1)
    for index in range(branches):
        cut = Pad(((-index * width, -(branches - 1 - index) * width), *rest))
        nodes.append(node(f"slice{index}", cut, source, f"s{index}"))
    nodes.append(node("sum", Sum(), " ".join(f"s{index}" for index in range(branches)), "y"))
    return graph(nodes, shape)


def model_of(net: Graph, name: str = "net") -> Model:
    """A model that holds the graph as it is."""
    known = [size for size in net.input_shape if size is not None]
    complete = len(known) == len(net.input_shape)
    output = net.shapes(tuple(known))[net.output] if complete else (None,)
    return Model(net, name, "x", (None, *net.input_shape), "y", (None, *output))


def engine(plan: Plan, backend: str, threads: int | None = None) -> Backend:
    """The backend of that name for a plan."""
    return ReferenceEngine(plan) if backend == "reference" else NativeEngine(plan, threads)


def explain(
    net: Graph, composite: Composite, backend: str, x: npt.ArrayLike, seed: npt.ArrayLike | None = None
) -> tuple[Floats, Floats, Audit]:
    """Output, relevance of the input and audit, for a seed of the output's shape (None: the output itself)."""
    runner = engine(make_plan(net, composite), backend, threads=2)
    output, state = runner.forward(np.asarray(x, FLOATS[backend]))
    given = output if seed is None else np.asarray(seed, output.dtype)
    relevance, audit, _ = runner.relevance(state, given[:, np.newaxis])
    return output, relevance[:, 0], audit


def weights(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    """Random weights that keep the size of what passes through."""
    scale = 1 / np.sqrt(np.prod(shape[1:]))
    return np.asarray(rng.standard_normal(shape) * scale, np.float32)


def bias(rng: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    """Random bias of both signs."""
    return (rng.standard_normal(size) * 0.5).astype(np.float32)


def small_cnn(seed: int = 0, biased: bool = True, channels: int = 3) -> Graph:
    """A ReLU and max-pool classifier of 5 classes for inputs (channels, 12, 12)."""
    rng = np.random.default_rng(seed)

    def maybe(size: int) -> npt.NDArray[np.float32] | None:
        return bias(rng, size) * np.float32(0.2) if biased else None

    relu, pool = Activation("relu"), MaxPool(window((2, 2), (2, 2)))
    layers = [
        Convolution(weights(rng, 8, channels, 3, 3), maybe(8), window((3, 3), pads=1)),
        relu,
        pool,
        Convolution(weights(rng, 20, 8, 3, 3), maybe(20), window((3, 3), pads=1)),
        relu,
        pool,
        Reshape((180,)),
        Dense(weights(rng, 17, 180), maybe(17)),
        relu,
        Dense(weights(rng, 5, 17), maybe(5)),
    ]
    return chain(layers, (channels, 12, 12))


def without_biases(net: Graph) -> Graph:
    """The same network, its biases left out."""
    return replace(
        net,
        nodes=tuple(
            replace(node, layer=replace(node.layer, bias=None)) if isinstance(node.layer, Weighted) else node
            for node in net.nodes
        ),
    )


def gated_net() -> Graph:
    """Gates (a squeeze-excite block, one as large as its signal), the larger of two branches, values moved about."""
    rng = np.random.default_rng(8)

    def conv(outputs: int, channels: int, size: int) -> Convolution:
        return Convolution(
            weights(rng, outputs, channels, size, size), bias(rng, outputs), window((size, size), pads=size // 2)
        )

    side_by_side = Window((2, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    nodes = [
        node("conv0", conv(8, 3, 3), "x", "a"),
        node("relu0", Activation("relu"), "a", "b"),
        node("squeeze", AveragePool(window((0, 0))), "b", "c"),
        node("excite", conv(8, 8, 1), "c", "d"),
        node("sigmoid", Activation("sigmoid"), "d", "e"),
        node("down", Gather(1, (0,) * 12), "e", "f"),
        node("across", Gather(2, (0,) * 12), "f", "g"),
        node("gate0", Gate(), "b g", "h"),
        node("conv1", conv(8, 8, 3), "h", "i"),
        node("gate1", Gate(), "i h", "j"),
        node("blocks", Moves((Reshape((2, 2, 2, 12, 12)), Transpose((2, 3, 0, 4, 1)), Reshape((2, 24, 24)))), "j", "k"),
        node("some", Gather(2, (5, 5, 0, 23, 7)), "k", "l"),
        node("left", Reshape((2, 1, 120)), "l", "m"),
        node("turned", Gather(2, tuple(range(119, -1, -1))), "m", "n"),
        node("beside", Concat(1), "m n", "o"),
        node("larger", MaxPool(side_by_side), "o", "p"),
        node("flatten", Reshape((240,)), "p", "q"),
        node("classes", Dense(weights(rng, 5, 240), bias(rng, 5)), "q", "y"),
    ]
    return graph(nodes, (3, 12, 12))
