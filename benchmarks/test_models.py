"""An explanation against a prediction: lrpfast, its NumPy reference, and onnxruntime's forward pass, per model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import lrpfast
from lrpfast.composites import EpsilonGammaBox

from .models import Case, Floats, cases
from .tables import ModelRow, Results
from .timing import a_few_times, in_turns

COMPOSITES: dict[str, str | lrpfast.Composite] = {
    "epsilon_plus_flat": "epsilon_plus_flat",
    "epsilon_alpha2_beta1_flat": "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box": EpsilonGammaBox(low=-1, high=1),
}


@dataclass(frozen=True)
class Subject:
    """A loaded model with a batch of its input."""

    case: Case
    model: lrpfast.Model
    x: Floats
    forward: Callable[[], object] | None  # onnxruntime's, where it is installed and takes this batch


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = cases(metafunc.config.getoption("--models"))
    metafunc.parametrize("subject", found, ids=[case.name for case in found], indirect=True, scope="module")


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest, results: Results) -> Iterator[Subject]:
    case: Case = request.param
    content = case.read()
    try:
        model = lrpfast.load(content)
    except lrpfast.LRPError as error:
        pytest.skip(f"{case.name}: {error}")
    x = case.sample((results.batch, *(size or 224 for size in model.input_shape[1:])))
    yield Subject(case, model, x, prediction(content, x, results.threads))


def prediction(content: bytes, x: Floats, threads: int) -> Callable[[], object] | None:
    """A call of onnxruntime's forward pass with so many threads."""
    try:
        import onnxruntime as ort
    except ImportError:
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x}
    try:
        session.run(None, feed)
    except Exception:  # the file may fix another batch size
        return None
    return lambda: session.run(None, feed)


@pytest.mark.parametrize("composite", COMPOSITES)
def test_explanation(benchmark: Any, subject: Subject, composite: str, results: Results) -> None:
    rules, x = COMPOSITES[composite], subject.x
    native = lrpfast.LRP(subject.model, rules, threads=results.threads)
    reference = lrpfast.LRP(subject.model, rules, backend="reference")
    rivals = {"forward": subject.forward} if subject.forward else {}
    benchmark.group = "models"
    times = in_turns(benchmark, lambda: native.attribute(x), rivals)
    slow = a_few_times(lambda: reference.attribute(x))
    row = ModelRow(subject.case.name, subject.case.weights, composite, times["native"], times.get("forward"), slow)
    results.models.append(row)
