"""Small networks of the kinds that are in use.

Batch normalisation is folded, as lrpfast does it before it explains, except where no layer is at hand to take it.
"""

from __future__ import annotations

from collections.abc import Callable

from .sketch import Sketch


def vgg(s: Sketch) -> None:
    """Maps large enough for the fast algorithms of 3x3 convolutions."""
    v = s.relu(s.conv("x", 12, 3, pads=1))
    v = s.max_pool(s.relu(s.conv(v, 16, 3, pads=1)), 2, 2)
    v = s.max_pool(s.relu(s.conv(v, 20, 3, pads=1)), 2, 2)
    v = s.relu(s.dense(s.flatten(v, 20 * 6 * 6), 17))
    s.dense(v, 10)


def alexnet(s: Sketch) -> None:
    """Local responses are normalised; pools overlap, the last windows hang over; convolutions in two groups."""
    v = s.local_response(s.relu(s.conv("x", 12, 5, strides=2, pads=2)), (12, 8, 8), size=5, alpha=0.5, beta=0.75, k=2.0)
    v = s.relu(s.conv(s.max_pool(v, 3, 2, ceil=True), 20, 3, pads=1, groups=2))
    v = s.max_pool(s.local_response(v, (20, 4, 4), size=3, alpha=0.25, beta=0.5, k=1.0), 3, 2, ceil=True)
    v = s.relu(s.dense(s.flatten(v, 20 * 2 * 2), 24))
    v = s.relu(s.dense(v, 17))
    s.dense(v, 5)


def lenet(s: Sketch) -> None:
    """Average pools, their padding counted and not."""
    v = s.average_pool(s.relu(s.conv("x", 6, 3)), 2, 2)
    v = s.average_pool(s.relu(s.conv(v, 17, 3, pads=1)), 3, 2, pads=1, count_include_pad=True)
    s.dense(s.relu(s.dense(s.flatten(v, 17 * 3 * 3), 12)), 4)


def residual(s: Sketch) -> None:
    """A block on its own map, one with stride and projection."""
    v = s.relu(s.conv("x", 12, 3, pads=1))
    inner = s.conv(s.relu(s.conv(v, 12, 3, pads=1)), 12, 3, pads=1)
    v = s.relu(s.sum(inner, v))
    inner = s.conv(s.relu(s.conv(v, 20, 3, strides=2, pads=1)), 20, 3, pads=1)
    v = s.relu(s.sum(inner, s.conv(v, 20, 1, strides=2)))
    s.dense(s.flatten(s.global_average(v), 20), 5)


def pre_activation(s: Sketch) -> None:
    """Sums of both signs run through the whole network; ReLU stands before the convolutions."""
    v = s.conv("x", 12, 3, pads=1)
    for _ in range(2):
        inner = s.conv(s.relu(v), 16, 3, pads=1)
        v = s.sum(v, s.conv(s.relu(inner), 12, 3, pads=1))
    s.dense(s.flatten(s.global_average(s.relu(v)), 12), 5)


def densenet(s: Sketch) -> None:
    """Each convolution reads all maps before it, normalised and rectified once more; a transition halves them."""
    v = s.relu(s.conv("x", 8, 3, pads=1))
    for _ in range(3):
        inner = s.conv(s.relu(s.affine(v)), 12, 1)
        v = s.concat(v, s.relu(s.conv(s.relu(inner), 6, 3, pads=1)))
    v = s.average_pool(s.relu(s.conv(v, 13, 1)), 2, 2)
    s.dense(s.flatten(s.global_average(v), 13), 5)


def inception(s: Sketch) -> None:
    """Branches of kernels 1, 3 and 5 and a pool, side by side."""
    v = s.max_pool(s.relu(s.conv("x", 12, 3, pads=1)), 2, 2)
    small = s.relu(s.conv(v, 6, 1))
    middle = s.relu(s.conv(s.relu(s.conv(v, 7, 1)), 10, 3, pads=1))
    large = s.relu(s.conv(s.relu(s.conv(v, 3, 1)), 5, 5, pads=2))
    pooled = s.relu(s.conv(s.max_pool(v, 3, 1, pads=1), 4, 1))
    v = s.concat(small, middle, large, pooled)
    s.dense(s.flatten(s.global_average(v), 25), 5)


def squeezenet(s: Sketch) -> None:
    """Fire modules; the classes are the channels of the last convolution, averaged."""
    v = s.max_pool(s.relu(s.conv("x", 12, 3)), 3, 2, ceil=True)
    v = s.relu(s.conv(v, 6, 1))
    v = s.concat(s.relu(s.conv(v, 9, 1)), s.relu(s.conv(v, 9, 3, pads=1)))
    v = s.relu(s.conv(v, 5, 1))
    s.flatten(s.global_average(v), 5)


def mobilenet(s: Sketch) -> None:
    """Inverted bottlenecks: expansion and depthwise behind ReLU6, a linear projection, a sum where shapes allow."""

    def bottleneck(v: str, outputs: int, expanded: int, strides: int, pads: tuple[tuple[int, int], ...]) -> str:
        inner = s.activation(s.conv(v, expanded, 1), "relu6")
        inner = s.conv(inner, expanded, 3, strides=strides, pads=pads, groups=expanded)
        return s.conv(s.activation(inner, "relu6"), outputs, 1)

    v = s.activation(s.conv("x", 8, 3, pads=1), "relu6")
    v = bottleneck(v, 6, 20, 2, ((0, 1), (0, 1)))
    v = s.sum(v, bottleneck(v, 6, 20, 1, ((1, 1), (1, 1))))
    v = s.activation(s.conv(v, 18, 1), "relu6")
    s.dense(s.flatten(s.global_average(v), 18), 5)


def shufflenet(s: Sketch) -> None:
    """A unit changes one half of the channels, and shuffles both halves."""
    v = s.max_pool(s.relu(s.conv("x", 12, 3, strides=2, pads=1)), 3, 2, pads=1)
    for _ in range(2):
        kept, inner = s.gather(v, 0, range(6)), s.gather(v, 0, range(6, 12))
        inner = s.conv(s.relu(s.conv(inner, 6, 1)), 6, 3, pads=1, groups=6)
        v = s.shuffle(s.concat(kept, s.relu(s.conv(inner, 6, 1))), 4, 2)
    s.dense(s.flatten(s.global_average(v), 12), 5)


def squeeze_excite(s: Sketch) -> None:
    """A gate for each channel in a residual block, one for each place behind it."""
    size = 9
    v = s.relu(s.conv("x", 12, 3, pads=1))
    inner = s.conv(v, 12, 3, pads=1)
    gate = s.relu(s.conv(s.global_average(inner), 4, 1))
    gate = s.activation(s.conv(gate, 12, 1), "sigmoid")
    v = s.relu(s.sum(s.gate(inner, s.upsample(gate, 1, size)), v))
    v = s.gate(v, s.gather(s.activation(s.conv(v, 1, 1), "sigmoid"), 0, [0] * 12))
    s.dense(s.flatten(s.global_average(v), 12), 5)


def unet(s: Sketch) -> None:
    """A class for each place: down by pools, up by repetition, the maps of the way down beside those of the way up."""
    large = s.relu(s.conv("x", 8, 3, pads=1))
    middle = s.relu(s.conv(s.max_pool(large, 2, 2), 12, 3, pads=1))
    small = s.relu(s.conv(s.max_pool(middle, 2, 2), 17, 3, pads=1))
    v = s.relu(s.conv(s.concat(s.upsample(small, 3, 2), middle), 12, 3, pads=1))
    v = s.relu(s.conv(s.concat(s.upsample(v, 6, 2), large), 8, 3, pads=1))
    s.conv(v, 3, 1)


def decoder(s: Sketch) -> None:
    """Maps grow by interpolation of each kind, and shrink by one."""
    v = s.relu(s.conv("x", 12, 3, strides=2, pads=1))
    v = s.relu(s.conv(s.interpolation(v, "bilinear", (5, 5), (10, 8)), 10, 3, pads=1))
    v = s.relu(s.conv(s.interpolation(v, "bicubic", (10, 8), (7, 12)), 9, 3, strides=2, pads=1))
    v = s.relu(s.conv(s.nearest(v, "nearest", (4, 6), (9, 9)), 8, 3))
    v = s.interpolation(s.conv(v, 6, 1), "bilinear", (7, 7), (9, 9), align_corners=True)
    s.conv(s.nearest(v, "nearest-exact", (9, 9), (11, 8)), 3, 1)


def normalized(s: Sketch) -> None:
    """Normalised by what is measured on the sample: each map, groups of maps, all of them."""
    v = s.relu(s.normalized(s.conv("x", 12, 3, pads=1), "instance", (12, 9, 9)))
    inner = s.relu(s.normalized(s.conv(v, 12, 3, pads=1), "group", (12, 9, 9), groups=3))
    v = s.relu(s.sum(s.conv(inner, 12, 3, pads=1), v))
    v = s.relu(s.normalized(s.conv(v, 16, 3, strides=2, pads=1), "layer", (16, 5, 5)))
    s.dense(s.flatten(s.global_average(v), 16), 5)


def all_convolutional(s: Sketch) -> None:
    """Strides in place of pools, a kernel as large as the map in place of a dense layer."""
    v = s.relu(s.conv("x", 12, 3, strides=2, pads=1))
    v = s.relu(s.conv(v, 20, 3, strides=2, pads=1))
    s.flatten(s.conv(s.relu(s.conv(v, 16, 1)), 5, 3), 5)


def signed_activations(s: Sketch) -> None:
    """Activations that let negative values through."""
    v = s.activation(s.conv("x", 10, 3, pads=1), "leaky_relu", slope=0.125)
    v = s.activation(s.conv(v, 12, 3, pads=1, strides=2), "hard_swish")
    v = s.activation(s.conv(v, 12, 3, pads=1), "elu", alpha=1.0)
    v = s.activation(s.conv(v, 10, 3), "tanh")
    v = s.activation(s.dense(s.flatten(v, 10 * 3 * 3), 12), "sigmoid")
    s.dense(v, 5)


def audio(s: Sketch) -> None:
    """Sound: long kernels with stride, dilation, pools of one dimension."""
    v = s.max_pool(s.relu(s.conv("x", 12, 9, strides=4, pads=((4, 3),))), 3, 2, pads=1)
    v = s.max_pool(s.relu(s.conv(v, 20, 3, dilations=2, pads=2)), 2, 2)
    v = s.average_pool(s.relu(s.conv(v, 17, 3, pads=1)), 2, 2)
    s.dense(s.flatten(v, 17 * 5), 5)


def volume(s: Sketch) -> None:
    """Volumes: convolutions and pools of three dimensions."""
    v = s.max_pool(s.relu(s.conv("x", 8, 3, pads=1)), 2, 2)
    v = s.relu(s.conv(v, 17, 2))
    s.dense(s.flatten(s.global_average(v), 17), 5)


def perceptron(s: Sketch) -> None:
    """Dense layers alone."""
    v = s.relu(s.dense("x", 32))
    v = s.relu(s.dense(v, 17))
    s.dense(v, 5)


#: name: number of samples, shape of one, the network
ARCHITECTURES: dict[str, tuple[int, tuple[int, ...], Callable[[Sketch], None]]] = {
    "vgg": (1, (1, 26, 26), vgg),
    "alexnet": (1, (3, 15, 15), alexnet),
    "lenet": (2, (1, 12, 12), lenet),
    "residual": (2, (3, 10, 10), residual),
    "pre-activation": (2, (3, 9, 9), pre_activation),
    "densenet": (2, (3, 8, 8), densenet),
    "inception": (2, (3, 10, 10), inception),
    "squeezenet": (2, (3, 12, 12), squeezenet),
    "mobilenet": (2, (3, 10, 10), mobilenet),
    "shufflenet": (2, (3, 16, 16), shufflenet),
    "squeeze-excite": (2, (3, 9, 9), squeeze_excite),
    "unet": (1, (3, 12, 12), unet),
    "decoder": (1, (3, 9, 9), decoder),
    "normalized": (2, (3, 9, 9), normalized),
    "all-convolutional": (2, (3, 12, 12), all_convolutional),
    "signed activations": (2, (3, 10, 10), signed_activations),
    "audio": (2, (1, 168), audio),
    "volume": (2, (1, 6, 6, 6), volume),
    "perceptron": (2, (40,), perceptron),
}
