"""Makes the golden files of Zennit and Captum; needs torch and both, neither lrpfast nor onnx. README.md says how."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from .architectures import ARCHITECTURES
from .by_captum import RULES as CAPTUM_RULES
from .by_captum import by_captum
from .by_zennit import by_presets, by_rules, rounded
from .golden import Golden, save
from .near_ties import NEARLY_TIED, near_tied
from .settled import bounds_of, changed, drawn, network, number, settled, without_bias
from .single_layers import (
    BY_CONTRIBUTION,
    NORM,
    NORMALISATION,
    RULES,
    TIED,
    UNWEIGHTED,
    WEIGHTED,
    Drawing,
    Rules,
    Shape,
)
from .torch_network import scores, values


def main() -> None:
    """Write all files."""
    torch.set_num_threads(1)  # the networks are small, and sums keep their order
    for layers, rules in ((WEIGHTED, RULES), (NORMALISATION, BY_CONTRIBUTION), (UNWEIGHTED, NORM)):
        for name, (shape, draw) in layers.items():
            save("layers", name, settled(name, partial(single_layer, shape, draw, rules), by_rules, values))
    for name, (shape, draw) in TIED.items():
        save("layers", name, by_rules(small_integers(shape, draw, number(name))))
    for name, architecture in ARCHITECTURES.items():
        save("networks", name, settled(name, partial(with_scores, *architecture), by_presets, values))
    for name in NEARLY_TIED:
        save("near-ties", name, rounded(explaining_scores(near_tied(name))))
    save("captum", "vgg", settled("captum", partial(rectified, *ARCHITECTURES["vgg"]), by_captum, values))


def single_layer(shape: Shape, draw: Drawing, rules: Rules, seed: int) -> Golden:
    """A layer with a sample of both signs and one as after a ReLU.

    Relevance of the output vanishes where a denominator may, with the bias and without: as in a network, where it is
    in proportion to the output.
    """
    sketch = drawn(shape, draw, seed)
    bounds = bounds_of(sketch, shape)
    inputs = sketch.rng.uniform(*bounds, (2, *shape)).astype(np.float32)
    inputs[1] = np.maximum(inputs[1], 0)
    output = scores(sketch.layers, inputs)
    vanishing = output * scores([without_bias(layer) for layer in sketch.layers], inputs)
    target = (vanishing * sketch.rng.uniform(-1, 1, output.shape)).astype(np.float32)
    return Golden(sketch.layers, inputs, bounds, target, output, rules, {})


def small_integers(shape: Shape, draw: Drawing, seed: int) -> Golden:
    """The same of -1, 0 and 1, so that denominators vanish where relevance of the output does not."""
    sketch = drawn(shape, draw, seed)

    def integers(*size: int) -> npt.NDArray[np.float32]:
        return sketch.rng.integers(-1, 2, size).astype(np.float32)

    layers, inputs = changed(sketch.layers, lambda array: integers(*array.shape)), integers(2, *shape)
    inputs[1] = np.maximum(inputs[1], 0)
    output = scores(layers, inputs)
    target = sketch.rng.integers(1, 4, output.shape).astype(np.float32)
    return Golden(layers, inputs, bounds_of(sketch, shape), target, output, RULES, {})


def with_scores(samples: int, shape: Shape, draw: Drawing, seed: int) -> Golden:
    """A network and what is explained."""
    return explaining_scores(network(samples, shape, draw, seed))


def explaining_scores(golden: Golden) -> Golden:
    """The highest score of each sample; where it is a map, that of each place."""
    output = scores(golden.layers, golden.inputs)
    highest = np.where(output == output.max(1, keepdims=True), output, 0).astype(np.float32)
    return replace(golden, scores=output, target=output.argmax(1) if output.ndim == 2 else highest)


def rectified(samples: int, shape: Shape, draw: Drawing, seed: int) -> Golden:
    """A network without negative inputs, for the rules of Captum, which take them for positive."""
    golden = network(samples, shape, draw, seed)
    inputs = np.maximum(golden.inputs, 0)
    output = scores(golden.layers, inputs)
    return replace(golden, inputs=inputs, scores=output, target=output.argmax(1), rules=CAPTUM_RULES)


if __name__ == "__main__":
    main()
