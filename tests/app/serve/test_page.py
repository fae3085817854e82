"""The page's files, and its three questions."""

from __future__ import annotations

import re
from base64 import b64decode

import numpy as np
import pytest

serve = pytest.importorskip("lrpfast.app.serve.page", reason='the live page needs more: pip install "lrpfast[test]"')


@pytest.mark.parametrize("path", serve.STATIC)
def test_the_page_has_all_that_it_refers_to(page, path):
    response = page.get(path)
    assert response.status_code == 200
    for name in re.findall(r'(?:src|href)="([^"#]+)"|from "\./([^"]+)"', response.text):
        assert f"/{name[0] or name[1]}" in serve.STATIC


@pytest.mark.parametrize("path", serve.STATIC)
def test_the_page_needs_no_network(page, path):
    addresses = re.findall(r"https?://[^\s\"')]+", page.get(path).text)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # a name, not a place


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../page.py", "/%2e%2e/page.py", "/page.py", "/static/page.js", "//etc/passwd"]
)
def test_no_other_path_leads_anywhere(page, path):
    assert page.get(path).status_code == 404


def test_the_model_and_the_choices_are_told(page, digits):
    facts = page.get("/api/model").json()
    assert (facts["draws"], facts["width"], facts["height"], facts["channels"]) == (True, 28, 28, 1)
    assert facts["classes"] == list("0123456789")
    assert facts["preset"] in [preset["name"] for preset in facts["presets"]]
    assert [b64decode(sample) for sample in facts["samples"]] == [digit.tobytes() for digit in digits]


def test_names_of_classes_are_told(picture_page):
    facts = picture_page.get("/api/model").json()
    assert (facts["draws"], facts["classes"]) == (False, ["red", "green", "blue"])


def test_all_digits_are_explained_by_one_question(page, arrays, digits, digit_explainer):
    query = {"target": "0,1,2,3,4,5,6,7,8,9", "preset": "epsilon"}
    facts, scores, shares, maps = arrays(page.post("/api/explain", params=query, content=digits[5].tobytes()))
    assert facts["targets"] == list(range(10))
    assert maps.shape == (10, 28, 28)
    assert scores.argmax() == shares.argmax() == 4
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), facts["sums"], rtol=1e-3, atol=1e-4)


def test_a_picture_is_seen_and_then_explained(picture_page, parts, arrays, file_of):
    facts, data = parts(picture_page.post("/api/picture", content=file_of("lime")))
    pixels, shown = data[: facts["pixels"]], data[facts["pixels"] :]
    assert pixels == bytes([0, 255, 0] * 12 * 16)
    assert shown.startswith(b"\xff\xd8")  # a JPEG
    facts, scores, _, maps = arrays(picture_page.post("/api/explain", content=pixels))
    assert facts["targets"] == [1]
    np.testing.assert_allclose(scores, [0, 2, 0], atol=1e-6)
    assert (maps > 0).all()


@pytest.mark.parametrize("cut", [0, 3, 60])
def test_a_broken_file_is_refused_in_words(picture_page, file_of, cut):
    response = picture_page.post("/api/picture", content=file_of()[:cut])
    assert response.status_code == 422
    assert response.json()["error"].startswith("Cannot read the picture: ")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("preset=magic", "There is no preset"),
        ("epsilon=-1", "epsilon is a number from"),
        ("magic=1", "takes no 'magic'"),
        ("target=x", "The target is a class"),
        ("target=10", "out of range"),
        ("target=-1", "out of range"),
        ("target=" + "1," * 10 + "1", "too many at once"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(page, query, reason):
    response = page.post(f"/api/explain?{query}", content=bytes(784))
    assert response.status_code == 422
    assert reason in response.json()["error"]


def test_a_full_line_asks_to_come_again(page, monkeypatch):
    async def full(*_):
        raise serve.BusyError

    monkeypatch.setattr(serve.Page, "_run", full)
    response = page.post("/api/explain", content=bytes(784))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_questions_are_asked_by_the_right_method(page):
    assert page.get("/api/explain").status_code == 405
    assert page.post("/").status_code == 405
