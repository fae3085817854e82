"""What is let through, and what the browser is told to refuse."""

from __future__ import annotations

import pytest

serve = pytest.importorskip("lrpfast.app.serve.page", reason='the live page needs more: pip install "lrpfast[test]"')


EXPLAIN = "/api/explain"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8477",
        "http://localhost:8477",
        "http://localhost",
        "http://192.168.1.7:80",
        "http://[::1]:8477",
    ],
)
def test_names_and_addresses_of_this_server_are_served(connect, digit_explainer, url):
    assert connect(digit_explainer, url=url).get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8477", "127.0.0.1.evil.example", "localhost.evil.example", "", "["]
)
def test_another_name_for_this_server_is_refused(page, host):
    """A site may have its name point here, to read what its visitors can."""
    response = page.get("/", headers={"host": host})
    assert response.status_code == 403
    assert "This server is not called" in response.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_page_gets_no_explanation(page, headers):
    response = page.post(EXPLAIN, content=bytes(784), headers=headers)
    assert response.status_code == 403
    assert "Only the page of this server" in response.json()["error"]


@pytest.mark.parametrize("headers", [{"origin": "http://127.0.0.1:8477", "sec-fetch-site": "same-origin"}, {}])
def test_the_page_itself_and_programs_get_one(page, headers):
    assert page.post(EXPLAIN, content=bytes(784), headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/heatmap.js", "/api/model", "/nothing"])
def test_every_answer_forbids_what_the_page_does_not_need(page, path):
    headers = page.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_a_body_is_read_no_further_than_it_may_be_long(page, monkeypatch):
    assert page.post(EXPLAIN, content=bytes(785)).status_code == 413
    monkeypatch.setattr(serve, "MOST_BYTES", 1000)
    sent = []

    async def endless():
        while len(sent) < 10_000:
            sent.append(1)
            yield bytes(100)

    response = page.post("/api/picture", content=endless())
    assert response.status_code == 413
    assert "larger than" in response.json()["error"]
