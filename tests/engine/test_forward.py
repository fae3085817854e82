"""The scores of both backends against those of onnxruntime."""

from importlib.resources import files

import numpy as np
import onnx
import pytest

import lrpfast
from oracles.onnx_models import light_model, relative_difference, run

BACKENDS = ("native", "reference")


def scores(source: onnx.ModelProto | bytes, x: np.ndarray, backend: str) -> np.ndarray:
    """Output of the forward pass, with the head that was left out put back."""
    model = lrpfast.load(source)
    output = lrpfast.LRP(model, "epsilon", backend=backend).attribute(x).output.astype(np.float64)
    if model.dropped_head == "Softmax":
        output = np.exp(output - output.max(axis=1, keepdims=True))
        output /= output.sum(axis=1, keepdims=True)
    return output


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_embedded_model_scores_digits_as_onnxruntime_does(backend: str):
    data = files("lrpfast") / "data"
    with (data / "digits.npz").open("rb") as file:
        digits = np.load(file)
        images, labels = digits["images"], digits["labels"]
    model = onnx.load_from_string((data / "digits.onnx").read_bytes())
    x = images[:, np.newaxis].astype(np.float32) / 255
    found = scores(model, x, backend)
    assert relative_difference(found, run(model, x)) < 1e-6
    assert (found.argmax(axis=1) == labels).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "name", ["squeezenet", "shufflenet", "resnet50", "inception_v1", "inception_v2", "densenet121"]
)
def test_light_models_with_random_weights_score_as_in_onnxruntime(name: str, backend: str):
    model = light_model(name)
    x = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    expected = run(model, x)
    assert relative_difference(scores(model, x, backend).reshape(expected.shape), expected) < 1e-4
