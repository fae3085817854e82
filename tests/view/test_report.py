"""The report: one page with everything in it, into which nothing that somebody named can break."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import datetime, timezone

import numpy as np
import pytest

from lrpfast.attribution import Attribution, Origin
from lrpfast.errors import InputError
from lrpfast.view.report import Subject, make_report
from oracles.books import audit_of

RNG = np.random.default_rng(5)
HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "a\u2028b & 'c' \"d\"", "\ud800 lone"]


def attribution(shape=(2, 3, 8, 6), explanations=None, channel_axis=0, method="epsilon", **changes):
    """Relevance by chance, an account of two layers, and four classes, of which the last has the highest score."""
    leading = shape[:1] if explanations is None else (shape[0], explanations)
    relevance = RNG.normal(size=(*leading, *shape[1:])).astype(np.float32)
    audit = audit_of({"head": {"received": 2.0, "handed_down": 1.5, "bias": 0.5}, "body": {"received": 1.5}}, leading)
    targets = np.full(leading, 3) if explanations is None else np.tile(np.arange(explanations), (shape[0], 1))
    fields = {
        "relevance": relevance,
        "output": np.tile(np.arange(4, dtype=np.float32), (shape[0], 1)),
        "target": targets,
        "input": RNG.normal(size=shape).astype(np.float32),
        "audit": audit,
        "channel_axis": channel_axis,
        "origin": Origin("net", method, "reference", True),
    }
    return Attribution(**{**fields, **changes})


def data_of(page):
    """What the page holds for its script."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


# What a report holds


def test_every_sample_explanation_and_method_has_its_map():
    one = attribution(explanations=3)
    other = attribution(explanations=3, input=one.input, method="other")
    data = data_of(make_report({"one": one, "other": other}))
    assert data["shape"] == [8, 6]
    assert [method["name"] for method in data["methods"]] == ["one", "other"]
    for sample, shown in enumerate(data["samples"]):
        for place, explanation in enumerate(shown["explanations"]):
            for result, made in zip(explanation["results"], (one, other), strict=True):
                expected = made.relevance[sample, place].sum(axis=0)
                np.testing.assert_allclose(decoded(result["relevance"]), expected.ravel(), rtol=1e-5, atol=1e-6)
                assert result["sum"] == pytest.approx(expected.sum(), rel=1e-4, abs=1e-5)


def test_channels_at_the_end_are_summed_too():
    last = attribution((1, 8, 6, 3), channel_axis=2)
    data = data_of(make_report({"epsilon": last}))
    (result,) = data["samples"][0]["explanations"][0]["results"]
    assert data["shape"] == [8, 6]
    np.testing.assert_allclose(decoded(result["relevance"]), last.relevance[0].sum(-1).ravel(), rtol=1e-5, atol=1e-6)


def test_the_account_is_that_of_the_audit_with_operators_and_rules():
    data = data_of(make_report({"epsilon": attribution()}))
    assert data["methods"][0]["layers"] == [["head", "Gemm", "Epsilon()"], ["body", "Gemm", "Epsilon()"]]
    account = data["samples"][1]["explanations"][0]["results"][0]["account"]
    assert account == [[2.0, 1.5, 0.5, 0.0, 0.0], [1.5, 0.0, 0.0, 0.0, 0.0]]


def test_an_attribution_without_an_audit_has_no_account():
    data = data_of(make_report({"Occlusion": attribution(audit=None)}))
    assert data["methods"][0]["layers"] == []
    assert data["samples"][0]["explanations"][0]["results"][0]["account"] == []


def test_the_highest_scores_are_listed_by_the_names_of_their_classes():
    data = data_of(make_report({"epsilon": attribution()}, list("abcd")))
    predictions = data["samples"][0]["predictions"]
    assert [(shown["name"], shown["score"]) for shown in predictions] == [("d", 3), ("c", 2), ("b", 1), ("a", 0)]
    assert data["samples"][0]["explanations"][0]["name"] == "d"


def test_one_class_through_several_masks_is_told_apart():
    data = data_of(make_report({"epsilon": attribution(explanations=2, target=np.full(2, 3))}))
    names = [explanation["name"] for explanation in data["samples"][0]["explanations"]]
    assert names == ["class 3, explanation 0", "class 3, explanation 1"]


def test_a_seed_has_no_class():
    data = data_of(make_report({"epsilon": attribution(target=np.ones((2, 4), np.float32))}))
    (explanation,) = data["samples"][0]["explanations"]
    assert explanation["index"] is None and explanation["score"] is None
    assert data["samples"][0]["predictions"] == []


def test_layers_that_were_asked_for_are_shown_with_their_channels_summed():
    inner = RNG.normal(size=(2, 5, 4, 3)).astype(np.float32)
    data = data_of(make_report({"epsilon": attribution(layers={"conv": inner})}))
    (shown,) = data["samples"][1]["explanations"][0]["results"][0]["inner"]
    assert (shown["name"], shown["shape"], shown["units"]) == ("conv", [4, 3], [5, 4, 3])
    np.testing.assert_allclose(decoded(shown["relevance"]), inner[1].sum(axis=0).ravel(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "channel_axis", "places", "kind"),
    [
        ((1, 20), None, [20], "trace"),
        ((1, 2, 20), 0, [20], "trace"),
        ((1, 1, 1, 20), 0, [20], "trace"),
        ((1, 1, 4, 6, 5), 0, [4, 6, 5], "picture"),
    ],
)
def test_vectors_signals_and_volumes_are_shown_too(shape, channel_axis, places, kind):
    data = data_of(make_report({"epsilon": attribution(shape, channel_axis=channel_axis)}))
    assert data["shape"] == places
    assert kind in data["samples"][0]


def test_facts_say_what_made_it_and_when():
    when = datetime(2024, 5, 6, 7, 8, tzinfo=timezone.utc)
    page = make_report({"epsilon": attribution()}, command="lrpfast explain 'a b.onnx'", made=when)
    facts = dict(data_of(page)["facts"])
    assert facts["Model"] == "net" and facts["Method"] == "epsilon" and facts["Backend"] == "reference"
    assert facts["Made"] == "2024-05-06 07:08 UTC"
    assert facts["Command"] == "lrpfast explain 'a b.onnx'"
    assert all(f"{name} " in facts["Versions"] for name in ("lrpfast", "numpy", "onnx", "Python"))


def test_a_photograph_and_probabilities_are_shown_where_they_are_known():
    subject = Subject("cat.png", np.zeros((16, 12, 3), np.uint8), np.array([0.1, 0.2, 0.3, 0.4]), "dog")
    (sample,) = data_of(make_report({"epsilon": attribution((1, 3, 8, 6))}, subjects=[subject]))["samples"]
    assert sample["name"] == "cat.png" and sample["rival"] == "dog"
    assert sample["explanations"][0]["probability"] == 0.4
    assert sample["picture"].startswith("data:image/png;base64,")


# What it must not do


@pytest.fixture
def hostile_page():
    """A page on which everything that somebody may name has a name that would like to be markup."""
    evil = HOSTILE[0]
    one = attribution(
        (1, 3, 8, 6), origin=Origin(evil, evil, evil, True), audit=audit_of({evil: {"received": 1}}, (1,))
    )
    return make_report({evil: one}, HOSTILE, [Subject(evil, rival=evil)], command=evil)


def test_no_name_ends_the_data_or_begins_a_tag(hostile_page):
    assert hostile_page.count("<script") == hostile_page.count("</script>") == 2
    assert "<!--" not in hostile_page
    assert data_of(hostile_page)["samples"][0]["predictions"][0]["name"] == HOSTILE[3]
    hostile_page.encode()  # also what is no Unicode


def test_nothing_is_loaded(hostile_page):
    assert not re.search(r"(src|href|action)\s*=\s*[\"']", hostile_page)
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|import\(", hostile_page)


def test_only_the_script_and_the_style_of_the_page_may_run(hostile_page):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', hostile_page)[1]
    assert policy.startswith("default-src 'none';")
    for kind in ("script", "style"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", hostile_page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "style=" not in hostile_page and " onload=" not in hostile_page


def test_attributions_of_different_questions_are_refused():
    with pytest.raises(InputError, match="same inputs and targets"):
        make_report({"one": attribution(), "other": attribution()})


def test_no_attribution_is_refused():
    with pytest.raises(InputError, match="at least one"):
        make_report({})


def test_labels_of_another_number_are_refused():
    with pytest.raises(InputError, match="3 labels for 4 classes"):
        make_report({"epsilon": attribution()}, ["a", "b", "c"])


@pytest.mark.parametrize("shape", [(1, 20), (1, 3, 8, 6)])
def test_words_for_another_number_of_elements_are_refused(shape):
    with pytest.raises(InputError, match="3 words for an input"):
        channel_axis = 0 if len(shape) > 2 else None
        make_report({"epsilon": attribution(shape, channel_axis=channel_axis)}, subjects=[Subject(words="abc")])


def test_values_without_a_color_are_refused():
    broken = attribution()
    broken.relevance[0, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        make_report({"epsilon": broken})


def test_more_axes_than_a_page_has_are_refused():
    with pytest.raises(InputError, match="more than three axes"):
        make_report({"epsilon": attribution((1, 1, 2, 2, 2, 2))})
