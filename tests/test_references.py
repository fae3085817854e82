"""Every rule and preset against the relevance that other libraries find in float64, kept in `references/`.

Nothing here needs them. The goldens are drawn so that no near-tie of a max pool, no ReLU near its kink and no
denominator near zero decides: float32 has to find the same numbers. Where near-ties do decide, in those of
`near-ties/`, it is held to what Zennit's own float32 makes of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast import LRP, Attribution
from lrpfast import _native as core
from lrpfast.composites import named
from lrpfast.engine.plan import make_plan
from lrpfast.model.graph import Graph
from oracles.graphs import BACKENDS, FLOATS, engine, graph
from references.golden import FOLDER, Golden, errors, read
from references.rebuilt import composite, model
from references.winners import LEAD, MISSED_BY, leads

#: share of the largest relevance, and of the largest score, that may differ
TOLERANCE = {"reference": 1e-9, "native": 1e-5}

#: Captum divides by what pools hand on, too, and stabilizes it
CAPTUM_TOLERANCE = {"reference": 1e-7, "native": 1e-5}

#: what float32 may cost beyond what it costs Zennit, as share of the largest relevance
ROUNDING = 1e-6

#: leads at which float32 begins to decide
NEAR = (1e-12, 1e-6)

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


@cache
def exact_relevance(name: str, case: str) -> npt.NDArray[np.float64]:
    """What the reference finds in float64."""
    return explained(name, case, "reference").relevance


def all_values(known: Golden) -> dict[str, npt.NDArray[np.float64]]:
    """What every layer makes of the inputs in float64."""
    runner = engine(make_plan(model(known).graph, named("epsilon")), "reference")
    return runner.forward(known.inputs.astype(np.float64))[1].values  # type: ignore[attr-defined, no-any-return]


def up_to(net: Graph, value: str) -> Graph:
    """The network as far as the layer that makes a value."""
    made_by = [node.output for node in net.nodes].index(value)
    return graph(net.nodes[: made_by + 1], net.input_shape)


@pytest.mark.parametrize("name", files("networks") + files("innvestigate") + files("captum"))
def test_float32_has_the_winners_of_float64(name: str) -> None:
    """Winners lead by more than float32 misses values by, so that it stands as if they were injected.

    Twice that, and what counts as equal behind Winograd's algorithm (a millionth), is less than the lead. Where a ReLU
    leaves only zeros the first one wins, in both.
    """
    known = golden(name)
    exact = all_values(known)
    assert np.all(leads(known.layers, exact) > LEAD)
    for source in {layer.inputs[0] for layer in known.layers if layer.kind == "max pool"}:
        net = up_to(model(known).graph, source)
        found, _ = engine(make_plan(net, named("epsilon")), "native").forward(inputs(known, "native"))
        assert errors(found, exact[source])[0] < MISSED_BY
        np.testing.assert_array_equal(found == 0, exact[source] == 0)


@pytest.mark.parametrize("name", files("near-ties"))
def test_near_ties_have_the_winners_of_zennits_float64(name: str) -> None:
    """Every sample has one; in flat regions values tie exactly."""
    known = golden(name)
    ahead = leads(known.layers, all_values(known))
    assert np.all(np.any((ahead > NEAR[0]) & (ahead < NEAR[1]), axis=1))
    for case, relevance in known.relevance.items():
        assert errors(exact_relevance(name, case), relevance)[0] < ROUNDING


@pytest.mark.skipif(core.isa() not in ("avx2", "avx512"), reason="near-ties turn by chance where sums round otherwise")
@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name in files("near-ties") for case in golden(name).rounding]
)
def test_near_ties_cost_float32_no_more_than_zennits(name: str, case: str) -> None:
    """In relevance: at most, and for 999 of 1,000 values."""
    found = errors(explained(name, case, "native").relevance, exact_relevance(name, case))
    assert np.all(found <= golden(name).rounding[case] + ROUNDING)


def test_all_goldens_are_here() -> None:
    found = {path.name: len(files(path.name)) for path in FOLDER.iterdir() if files(path.name)}
    assert found == {"layers": 55, "networks": 19, "innvestigate": 4, "captum": 1, "near-ties": 8}
