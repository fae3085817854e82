"""Models of Keras become models that compute the same, in the layout of Keras."""

from __future__ import annotations

import numpy as np
import pytest

import lrpfast
from lrpfast import LRP, InputTypeError, ModelError, from_keras

keras = pytest.importorskip("keras", exc_type=ImportError)
layers = keras.layers

pytestmark = pytest.mark.filterwarnings("ignore")


def sequential():
    """A digit classifier as every tutorial has it."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def residual():
    keras.utils.set_random_seed(0)
    source = keras.Input((16, 16, 3), name="image")
    value = layers.Conv2D(8, 3, padding="same", activation="relu")(source)
    value = layers.Add()([value, layers.DepthwiseConv2D(3, padding="same")(value)])
    return keras.Model(source, layers.Dense(5)(layers.GlobalAveragePooling2D()(value)), name="residual")


class Written(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.pool, self.dense = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)

    def call(self, x):
        return self.dense(self.pool(keras.ops.relu(self.conv(x))))


def agrees(model, read, x):
    expected, found = np.asarray(model.predict(x, verbose=0)), LRP(read).scores(x)
    if read.dropped_head == "Softmax":
        found = np.exp(found) / np.exp(found).sum(1, keepdims=True)
    return found.shape == expected.shape and np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def pictures(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def test_a_sequential_model_is_read_in_its_own_layout():
    x, model = pictures(3, 28, 28, 1), sequential()
    read = from_keras(model)
    assert read.name == model.name
    assert read.dropped_head == "Softmax"
    assert read.input_shape == (None, 28, 28, 1)
    assert agrees(model, read, x)
    attribution = LRP(read).attribute(x)
    assert attribution.relevance.shape == x.shape
    assert attribution.channel_axis == 2
    assert attribution.heatmap().shape == (28, 28, 3)


def test_a_functional_model_is_read():
    x, model = pictures(3, 16, 16, 3), residual()
    read = from_keras(model)
    assert (read.name, read.input_name) == ("residual", "image")
    assert agrees(model, read, x)
    assert LRP(read).attribute(x).channel_axis == 2


def test_a_subclass_is_read_after_its_first_call():
    x, model = pictures(1, 16, 16, 3), Written()
    with pytest.raises(ModelError, match="call it on a batch"):
        from_keras(model)
    model(x)
    assert agrees(model, from_keras(model), x)


def test_an_application_is_read():
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2((64, 64, 3), weights=None, classes=7)
    assert agrees(model, from_keras(model), pictures(2, 64, 64, 3))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends export axes of free size")
def test_axes_of_free_size_are_asked_for():
    source = keras.Input((None, None, 3))
    model = keras.Model(source, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(source)))
    with pytest.raises(ModelError, match=r"axes of free size, \(None, None, None, 3\).*keras.Sequential"):
        from_keras(model)
    sized = keras.Sequential([keras.Input((16, 16, 3)), model])
    assert agrees(sized, from_keras(sized), pictures(2, 16, 16, 3))


def test_wrong_turns_are_met_with_what_to_do(tmp_path):
    with pytest.raises(InputTypeError, match=r"takes a model of Keras 3, not builtins.str; .*tf2onnx"):
        from_keras("model.keras")
    with pytest.raises(InputTypeError, match=r"not from Sequential; lrpfast.from_keras\(model\) reads it"):
        lrpfast.load(sequential())
    sequential().save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=r"a Keras model; lrpfast.from_keras\(keras.models.load_model\(path\)\)"):
        lrpfast.load(tmp_path / "model.keras")
