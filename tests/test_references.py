"""Every rule and preset against the relevance that other libraries find in float64, kept in `references/`.

Nothing here needs them. The goldens are drawn so that no near-tie of a max pool, no ReLU near its kink and no
denominator near zero decides: float32 has to find the same numbers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import LRP, Attribution
from oracles.graphs import BACKENDS, FLOATS
from references.golden import FOLDER, Golden, read
from references.rebuilt import composite, model

#: share of the largest relevance, and of the largest score, that may differ
TOLERANCE = {"reference": 1e-9, "native": 1e-5}

#: Captum divides by what pools hand on, too, and stabilizes it
CAPTUM_TOLERANCE = {"reference": 1e-7, "native": 1e-5}

golden = cache(lambda name: read(FOLDER / f"{name}.npz"))


def files(folder: str) -> list[str]:
    """Names of the golden files of a folder."""
    return [f"{folder}/{path.stem}" for path in sorted((FOLDER / folder).glob("*.npz"))]


def cases(folder: str) -> list[Any]:
    """Every case of every golden of a folder."""
    return [pytest.param(name, case, id=f"{name}: {case}") for name in files(folder) for case in golden(name).relevance]


def assert_close(
    found: npt.NDArray[Any], expected: npt.NDArray[Any], backend: str, tolerance: dict[str, float] = TOLERANCE
) -> None:
    assert found.dtype == FLOATS[backend]
    assert np.abs(found - expected).max() <= tolerance[backend] * np.abs(expected).max()


def inputs(known: Golden, backend: str) -> npt.NDArray[Any]:
    return known.inputs.astype(FLOATS[backend])


def explained(name: str, case: str, backend: str) -> Attribution:
    known = golden(name)
    lrp = LRP(model(known), composite(known, case), backend)  # type: ignore[arg-type]
    return lrp.attribute(inputs(known, backend), known.target)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "case"), cases("layers") + cases("networks") + cases("innvestigate"))
def test_relevance_is_that_of_the_field(name: str, case: str, backend: str) -> None:
    attribution = explained(name, case, backend)
    assert_close(attribution.output, golden(name).scores, backend)
    assert_close(attribution.relevance, golden(name).relevance[case], backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "case"), cases("captum"))
def test_rules_of_captum_are_those_of_the_field_for_positive_inputs_without_bias(
    name: str, case: str, backend: str
) -> None:
    found = explained(name, case, backend).relevance
    assert_close(found, golden(name).relevance[case], backend, CAPTUM_TOLERANCE)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "case"), cases("layers"))
def test_what_a_relu_proves_changes_no_relevance(name: str, case: str, backend: str) -> None:
    """The last sample is as after a ReLU; behind one, terms of negative inputs are left out."""
    known = golden(name)
    lrp = LRP(model(known, rectified=True), composite(known, case), backend)  # type: ignore[arg-type]
    found = lrp.attribute(inputs(known, backend)[1:], known.target[1:]).relevance
    assert_close(found, known.relevance[case][1:], backend)


@pytest.mark.parametrize("name", [name for name in files("networks") if golden(name).target.ndim == 1])
def test_what_is_explained_by_default_is_the_highest_score(name: str) -> None:
    known = golden(name)
    np.testing.assert_array_equal(LRP(model(known)).attribute(known.inputs).target, known.target)


def test_all_goldens_are_here() -> None:
    found = {folder: len(files(folder)) for folder in ("layers", "networks", "innvestigate", "captum")}
    assert found == {"layers": 45, "networks": 17, "innvestigate": 3, "captum": 1}
