"""The report in Chromium: pointed at, switched, read by keys, printed.

Needs playwright (`pip install "lrpfast[browser]"`) and a Chromium, named by the variable CHROMIUM or found on the path
(Debian: apt-get install chromium).
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from lrpfast import LRP
from lrpfast.app.demo import shipped
from lrpfast.view.report import make_report
from oracles.onnx_models import make_model, node

playwright = pytest.importorskip("playwright.sync_api", reason='the browser tests need pip install "lrpfast[browser]"')
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on the path, and none named by CHROMIUM")

EVIL = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, tmp_path):
    """Open a report; an error of its script, a dialog, or anything that it asks for is an error of the test."""

    @contextmanager
    def visit(report, width=1280, scheme="light"):
        path = tmp_path / "report.html"
        path.write_text(report, "utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
        context.set_default_timeout(10_000)
        page, troubles = context.new_page(), []
        page.on("pageerror", lambda error: troubles.append(error))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.on(
            "request", lambda asked: troubles.append(asked.url) if asked.url[:5] not in ("file:", "data:") else None
        )
        try:
            page.goto(path.as_uri())
            page.wait_for_selector("body[data-ready]")
            yield page
            assert troubles == []
        finally:
            context.close()

    return visit


@pytest.fixture(scope="module")
def digits():
    """Why each digit, of two digits, by two methods: {method: Attribution}."""
    model, samples = shipped()
    x = (samples[[3, 4]] / 255).astype(np.float32).reshape(-1, *model.sample_shape)
    return {
        name: LRP(model, name, "reference").attribute(x, [list(range(10))] * 2, layers=["relu1"] * (name == "epsilon"))
        for name in ("epsilon_plus_flat", "epsilon")
    }


@pytest.fixture(scope="module")
def report(digits):
    return make_report(digits, [str(digit) for digit in range(10)])


def drawn(page, canvas="#map"):
    """The colours of a canvas."""
    return page.evaluate("selector => document.querySelector(selector).toDataURL()", canvas)


def text(page, selector):
    return page.locator(selector).inner_text()


def choose(page, kind, place):
    """Click on a tile."""
    page.locator(f"label:has(input[name={kind}][value='{place}'])").click()


def test_the_prediction_is_explained_first(visit, report, digits):
    best = [int(scores.argmax()) for scores in digits["epsilon"].output]
    with visit(report) as page:
        assert text(page, "#title") == f"Why {best[0]}"
        assert text(page, "#predictions .explained .name") == str(best[0])
        choose(page, "sample", 1)
        assert text(page, "#predictions li:first-child .name") == str(best[1])


def test_samples_methods_and_classes_are_switched(visit, report):
    with visit(report) as page:
        seen = {drawn(page)}
        for kind, place in (("explanation", 8), ("method", 1), ("sample", 1)):
            choose(page, kind, place)
            seen.add(drawn(page))
        assert len(seen) == 4
        assert text(page, "#title") == "Why 8"
        assert "epsilon" in text(page, "#subject") and "sample 1" in text(page, "#subject")


def test_radios_are_switched_by_keys(visit, report):
    with visit(report) as page:
        choose(page, "explanation", 4)
        page.keyboard.press("ArrowRight")
        assert text(page, "#title") == "Why 5"


def test_opacity_shows_the_input_or_the_relevance_alone(visit, report):
    with visit(report) as page:
        between = drawn(page)
        page.locator("#opacity").fill("0")
        alone = drawn(page)
        choose(page, "explanation", 8)
        assert drawn(page) == alone != between
        page.locator("#opacity").fill("100")
        assert drawn(page) not in (alone, between)


def test_values_are_told_under_the_pointer_and_by_keys(visit, report, digits):
    made = digits["epsilon_plus_flat"]
    best = int(made.output[0].argmax())
    with visit(report) as page:
        assert text(page, "#value").startswith("Adds up to")
        page.locator("#map").focus()
        page.keyboard.press("ArrowRight")
        value = float(made.relevance[0, best, 0, 14, 15])
        told = text(page, "#value").replace("\u2212", "-")
        place, rest = told.split(": relevance ")
        relevance, shown = rest.split(", input ")
        assert place == "x 15, y 14"
        assert float(relevance) == pytest.approx(value, rel=0.06, abs=1e-9)
        assert float(shown) == pytest.approx(float(made.input[0, 0, 14, 15]), abs=0.01)
        box = page.locator("#map").bounding_box()
        page.mouse.move(box["x"] + 6, box["y"] + 6)  # corners are round
        assert text(page, "#value").startswith("x 0, y 0: relevance")


def test_the_account_is_a_sentence_bars_and_a_table(visit, report, digits):
    layers = list(digits["epsilon_plus_flat"].audit)
    with visit(report) as page:
        assert "arrived at the input" in text(page, "#balance")
        assert page.locator("#chart li").count() == len(layers)
        page.locator("summary").click()
        assert page.locator("tbody tr").count() == len(layers)
        for place, layer in enumerate(layers):
            row = page.locator("tbody tr").nth(place)
            assert row.locator("th").inner_text() == layer.name
            assert row.locator("td").nth(1).inner_text() == layer.rule_name


def test_many_layers_are_folded(visit, digits):
    made = digits["epsilon"]
    rows = [layer for _ in range(9) for layer in made.audit]
    with visit(make_report({"epsilon": replace(made, audit=rows)})) as page:
        few = page.locator("#chart li").count()
        assert few < len(rows)
        page.get_by_text(f"Show all {len(rows)} layers").click()
        assert page.locator("#chart li").count() == len(rows)


def test_layers_inside_are_shown_where_the_method_has_them(visit, report):
    with visit(report) as page:
        assert page.locator("#inside").is_hidden()
        choose(page, "method", 1)
        assert text(page, "#inner .name") == "relu1"


def test_zero_is_the_paper_of_light_and_dark_pages(visit, report):
    corner = "document.querySelector('.tiles canvas').getContext('2d').getImageData(0, 0, 1, 1).data[0]"
    for scheme, shade in (("light", range(250, 256)), ("dark", range(0, 30))):
        with visit(report, scheme=scheme) as page:
            assert page.evaluate(corner) in shade


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(visit, digits, width):
    labels = [EVIL, "a" * 80, "a name of many words " * 8, *map(str, range(7))]
    with visit(make_report(digits, labels, command="lrpfast " + "x" * 300), width) as page:
        for place in range(3):
            choose(page, "explanation", place)
            assert page.evaluate("document.documentElement.scrollWidth") == width
        page.locator("summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_names_are_text_whatever_they_say(visit, digits):
    with visit(make_report({EVIL: digits["epsilon"]}, [EVIL] * 10, command=EVIL)) as page:
        assert text(page, "#title") == f"Why {EVIL}"
        assert page.locator("img").count() == 0


def test_a_signal_is_read_by_keys(visit):
    weight = np.random.default_rng(2).normal(size=(2, 40)).astype(np.float32)
    model = make_model([node("Gemm", "x w", "y", transB=1)], ["N", 40], {"w": weight})
    made = LRP(model.SerializeToString(), "epsilon", "reference").attribute(np.linspace(-1, 1, 40)[None])
    with visit(made.to_html()) as page:
        before = drawn(page)
        page.locator("#map").focus()
        page.keyboard.press("ArrowLeft")
        assert text(page, "#value").startswith("Place 19: relevance")
        assert drawn(page) != before


def test_words_are_coloured_and_named(visit):
    model = make_model([node("Gemm", "x w", "y", transB=1)], ["N", 3], {"w": np.array([[2, 0, -1]], np.float32)})
    made = LRP(model.SerializeToString(), "epsilon", "reference").attribute(np.ones((1, 3)))
    with visit(made.to_html(words=[["not", "a", EVIL]])) as page:
        words = page.locator("#words span")
        assert words.all_inner_texts() == ["not", "a", EVIL]
        shades = words.evaluate_all("all => all.map((word) => getComputedStyle(word).backgroundColor)")
        assert shades[0].startswith("rgba(255, 0, 0") and shades[1].endswith(", 0)")
        assert shades[2].startswith("rgba(0, 0, 255")
        page.locator("#map").focus()
        page.keyboard.press("ArrowLeft")
        assert text(page, "#value").startswith("not: relevance +2")


def test_a_volume_is_shown_slice_by_slice(visit):
    weight = np.ones((1, 1, 1, 1, 1), np.float32)
    nodes = [node("Conv", "x w", "c"), node("GlobalAveragePool", "c", "g"), node("Flatten", "g", "y")]
    model = make_model(nodes, ["N", 1, 5, 8, 8], {"w": weight})
    x = np.random.default_rng(3).random((1, 1, 5, 8, 8), np.float32)
    with visit(LRP(model.SerializeToString(), "epsilon", "reference").attribute(x).to_html()) as page:
        assert text(page, "#slice-value") == "3 of 5"
        middle = drawn(page)
        page.locator("#slice").fill("4")
        assert text(page, "#slice-value") == "5 of 5"
        assert drawn(page) != middle


def test_paper_gets_every_map_and_the_page_comes_back(visit, report):
    with visit(report, scheme="dark") as page:
        before = drawn(page)
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("#prints figure").count() == 2 * 2 * 10
        assert page.locator("#prints figure").last.is_visible()
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("#prints figure").count() == 0
        assert drawn(page) == before
