"""Perceptrons of scikit-learn become models that predict the same."""

from __future__ import annotations

import numpy as np
import pytest

import lrpfast
from lrpfast import LRP, InputError, InputTypeError, UnsupportedError, from_sklearn

pytest.importorskip("sklearn")
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

RNG = np.random.default_rng(0)
X = RNG.normal(2, 3, size=(60, 12))
LABELS = X[:, :3].argmax(1)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(**options):
    return MLPClassifier(hidden_layer_sizes=(16, 8), max_iter=20, random_state=0, **options)


def scores(estimator):
    return LRP(from_sklearn(estimator)).scores(X)


def softmax(values):
    shares = np.exp(values - values.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_scores_of_several_classes_lie_before_the_softmax(activation):
    estimator = classifier(activation=activation).fit(X, LABELS)
    model = from_sklearn(estimator)
    assert (model.name, model.dropped_head, model.output_shape) == ("MLPClassifier", "Softmax", (None, 3))
    np.testing.assert_allclose(softmax(scores(estimator)), estimator.predict_proba(X), atol=1e-5)


def test_each_of_two_classes_has_its_log_odds():
    estimator = classifier().fit(X, LABELS == 1)
    assert from_sklearn(estimator).dropped_head == "Sigmoid"
    np.testing.assert_allclose(sigmoid(scores(estimator)), estimator.predict_proba(X), atol=1e-5)
    lrp = LRP(from_sklearn(estimator), "epsilon")
    speaks, against = (lrp.attribute(X, target).relevance for target in (1, 0))
    np.testing.assert_allclose(speaks, -against, rtol=1e-4, atol=1e-5)


def test_labels_that_do_not_exclude_each_other_have_a_sigmoid_each():
    estimator = classifier().fit(X, np.stack([X[:, 0] > 2, X[:, 1] > 2], axis=1))
    np.testing.assert_allclose(sigmoid(scores(estimator)), estimator.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_regressor_gives_its_predictions(targets):
    estimator = MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0).fit(X, X[:, :targets].squeeze())
    np.testing.assert_allclose(scores(estimator).reshape(60, -1).squeeze(), estimator.predict(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False), MinMaxScaler((-1, 1)),
        "passthrough",
    ],
    ids=str,
)  # fmt: skip
def test_scalers_ahead_of_it_are_part_of_the_model(scaler):
    estimator = make_pipeline(scaler, classifier()).fit(X, LABELS)
    np.testing.assert_allclose(softmax(scores(estimator)), estimator.predict_proba(X), atol=1e-5)


def test_features_that_are_pixels_have_the_shape_of_a_picture(tmp_path):
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    estimator = classifier().fit(X, LABELS)
    lrp = LRP(from_sklearn(estimator, shape=(1, 3, 4)))
    attribution = lrp.attribute(X[:2].reshape(2, 1, 3, 4))
    flat = LRP(from_sklearn(estimator)).attribute(X[:2])
    assert (attribution.relevance.reshape(2, 12) == flat.relevance).all()
    assert attribution.heatmap().shape == (3, 4, 3)
    assert attribution.save(tmp_path / "map.png").exists()


@pytest.mark.parametrize(
    ("estimator", "shape", "error", "message"),
    [
        (classifier(), None, InputError, "has no weights yet; call fit first"),
        (MLPClassifier, None, InputTypeError, "takes an estimator of scikit-learn"),
        (LogisticRegression(), None, UnsupportedError, r"not LogisticRegression\. .*skl2onnx\.to_onnx"),
        (make_pipeline(PCA(3), classifier()), None, UnsupportedError, r"not PCA\. .*skl2onnx\.to_onnx"),
        (classifier(), (3, 5), InputError, r"shape \(3, 5\) do not have the 12 features"),
    ],
    ids=["not fitted", "class", "another estimator", "another step", "shape"],
)
def test_wrong_turns_are_met_with_what_to_do(estimator, shape, error, message):
    if error is UnsupportedError or shape:
        estimator.fit(X, LABELS)
    with pytest.raises(error, match=message):
        from_sklearn(estimator, shape)


def test_an_estimator_given_to_load_is_shown_the_way():
    with pytest.raises(InputTypeError, match=r"not from MLPClassifier; lrpfast.from_sklearn\(estimator\) reads it"):
        lrpfast.load(classifier())
