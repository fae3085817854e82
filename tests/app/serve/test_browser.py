"""The live page in Chromium: drawn on, dropped on, shared, and read by keys.

Needs playwright (`pip install "lrpfast[browser]"`) and a Chromium, named by the variable CHROMIUM or found on the path
(Debian: apt-get install chromium). LRPFAST_SCREENSHOTS names a folder for pictures of what the tests saw.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from lrpfast.view.heatmap import color_table, full_scale
from oracles.onnx_models import color_model

playwright = pytest.importorskip("playwright.sync_api", reason='the browser tests need pip install "lrpfast[browser]"')
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on the path, and none named by CHROMIUM")

#: Lines of a three, and of a seven, in parts of the square.
THREE = [[(0.3, 0.25), (0.4, 0.17), (0.55, 0.15), (0.68, 0.25), (0.6, 0.42), (0.46, 0.48), (0.62, 0.53)]]
THREE[0] += [(0.72, 0.66), (0.64, 0.82), (0.48, 0.87), (0.3, 0.78)]
SEVEN = [[(0.3, 0.16), (0.7, 0.16), (0.45, 0.87)]]

#: Milliseconds after which a page is not believed to change any more.
WAIT = 10_000

SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desk": (1280, 860)}


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def digits_url(serving):
    with serving() as (_, url):
        yield url


@pytest.fixture
def visit(chromium, tmp_path):
    """Open an address; an error of the page's script is one of the test."""

    @contextmanager
    def visit(url, size="desk", scheme="light", waits=True, **options):
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True, **options
        )
        context.set_default_timeout(WAIT)
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        try:
            page.goto(url)
            if waits:
                page.wait_for_selector("main:not([hidden])")
            yield page
            assert errors == []
        finally:
            context.close()

    return visit


def draw(page, strokes):
    """Draw with the mouse."""
    box = page.locator("#pad").bounding_box()
    for stroke in strokes:
        (x, y), *others = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in stroke]
        page.mouse.move(x, y)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(x, y, steps=4)
        page.mouse.up()


def says(page, words):
    """Wait until the page explains what the words ask for."""
    playwright.expect(page.locator("#why")).to_have_text(words, timeout=WAIT)


def reads(page, digit):
    """Wait until the page says that it reads a digit."""
    playwright.expect(page.locator("#classes .predicted .name")).to_have_text(str(digit), timeout=WAIT)
    says(page, f"Why {digit}")


def drawn(page, canvas="#map"):
    """The colours of a canvas, (H, W, 3)."""
    width, height, data = page.evaluate(
        """selector => {
          const canvas = document.querySelector(selector);
          const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.width, canvas.height, Array.from(data)];
        }""",
        canvas,
    )
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def saturation(colors):
    """How far each colour is from grey."""
    return np.ptp(colors.astype(int), axis=-1)


def keep(page, name):
    """Keep a picture of the page, where a folder for such is named."""
    if folder := os.environ.get("LRPFAST_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


# Drawing


def test_a_drawn_digit_is_read_and_explained(visit, digits_url):
    with visit(digits_url) as page:
        assert page.locator("#map").is_hidden()
        draw(page, THREE)
        reads(page, 3)
        red, _, blue = np.moveaxis(drawn(page).astype(int), -1, 0)
        assert (red - blue > 100).mean() > 0.02  # what speaks for it
        assert saturation(drawn(page))[:20].max() < 10  # hardly any relevance, hardly any colour
        assert page.locator("#classes label").count() == 10
        assert page.locator("#classes .predicted .name").inner_text() == "3"


def test_classes_are_explained_without_another_question(visit, digits_url):
    with visit(digits_url) as page:
        draw(page, THREE)
        reads(page, 3)
        before = drawn(page)
        page.route("**/api/explain*", lambda route: route.abort())
        page.keyboard.press("8")
        assert page.locator("#why").inner_text() == "Why 8"
        assert page.locator("#target").input_value() == "8"
        assert (drawn(page) != before).any()
        page.locator("#classes label").nth(5).click()
        assert page.locator("#why").inner_text() == "Why 5"
        page.keyboard.press("ArrowRight")
        assert page.locator("#why").inner_text() == "Why 6"


def test_a_preset_and_its_parameters_change_the_map(visit, digits_url):
    with visit(digits_url) as page:
        draw(page, THREE)
        reads(page, 3)
        maps = [drawn(page)]
        for change in (
            lambda: page.select_option("#preset", "epsilon_gamma_box"),
            lambda: page.locator("#gamma").fill("2"),
        ):
            with page.expect_response("**/api/explain*"):
                change()
            page.wait_for_timeout(100)
            maps.append(drawn(page))
        assert all((one != other).any() for one, other in pairwise(maps))
        page.select_option("#preset", "alpha_beta")
        assert page.locator("#parameters label").all_inner_texts() == ["epsilon", "alpha"]


def test_colors_and_opacity_need_no_server(visit, digits_url):
    with visit(digits_url) as page:
        draw(page, THREE)
        reads(page, 3)
        page.route("**/api/**", lambda route: route.abort())
        page.select_option("#colors", "blueorange")
        orange = drawn(page).reshape(-1, 3).astype(int)
        assert (orange[:, 0] >= orange[:, 2]).all()
        page.locator("#opacity").fill("0")
        assert saturation(drawn(page)).max() == 0  # the drawing alone, which is grey
        assert page.locator("#alert").is_hidden()


def test_a_link_brings_everything_back(visit, digits_url):
    with visit(digits_url) as page:
        draw(page, SEVEN)
        reads(page, 7)
        page.keyboard.press("2")
        page.select_option("#preset", "epsilon_gamma_box")
        page.locator("#gamma").fill("1")
        page.select_option("#colors", "bwr")
        page.locator("#opacity").fill("40")
        page.wait_for_url("**opacity=0.4**")
        link, expected = page.url, drawn(page)
        assert len(link) < 250
    with visit(link) as page:
        says(page, "Why 2")
        assert page.locator("#gamma").input_value() == "1"
        # lines lose points that nobody sees
        assert np.abs(drawn(page).astype(int) - expected).mean() < 6


@pytest.mark.parametrize(
    "link",
    ["#ink=%%%", "#ink=_w", "#sample=99", "#sample=-1", "#preset=magic&class=77", "#epsilon=x&opacity=7&colors=y"],
)
def test_a_damaged_link_opens_the_page_all_the_same(visit, digits_url, link):
    with visit(digits_url + "/" + link) as page:
        draw(page, THREE)
        reads(page, 3)


def test_samples_and_keys_stand_in_for_drawing(visit, digits_url):
    with visit(digits_url) as page:
        page.locator("#samples button").nth(8).press("Enter")
        reads(page, 7)
        assert "sample=8" in page.url or page.wait_for_url("**sample=8**") is None
        page.keyboard.press("Control+z")
        assert page.locator("#map").is_hidden()
        draw(page, THREE)
        reads(page, 3)
        page.keyboard.press("Escape")
        assert page.locator("#map").is_hidden()
        assert page.locator("#clear").is_disabled()


def test_values_are_read_by_pointer_and_by_arrow_keys(visit, digits_url):
    with visit(digits_url) as page:
        page.locator("#samples button").nth(3).click()
        reads(page, 3)
        page.locator("#map").hover(position={"x": 3, "y": 3})
        assert page.locator("#account").inner_text().startswith("x 0, y 0: ")
        page.mouse.move(0, 0)
        assert page.locator("#account").inner_text().startswith("Adds up to")
        page.locator("#map").focus()
        page.keyboard.press("ArrowDown")
        assert page.locator("#account").inner_text().startswith("x 14, y 15: ")


def test_the_picture_can_be_saved(visit, digits_url, tmp_path):
    with visit(digits_url) as page:
        page.locator("#samples button").nth(3).click()
        reads(page, 3)
        with page.expect_download() as download:
            page.locator("#save").click()
        assert download.value.suggested_filename == "digit_3_epsilon_plus_flat.png"
        download.value.save_as(tmp_path / "saved.png")
    with Image.open(tmp_path / "saved.png") as saved:
        assert saved.width > 600
        assert saturation(np.asarray(saved.convert("RGB"))).max() > 100


def test_small_digits_in_a_corner_are_read_too(visit, digits_url):
    with visit(digits_url) as page:
        draw(page, [[(0.4 * x + 0.55, 0.4 * y + 0.55) for x, y in stroke] for stroke in SEVEN])
        reads(page, 7)


def test_only_the_newest_drawing_waits_for_an_answer(visit, digits_url):
    with visit(digits_url) as page:
        asked, held = [], []
        page.on("request", lambda request: asked.append(request))
        page.route("**/api/explain*", lambda route: held.append(route), times=1)
        draw(page, THREE)
        page.wait_for_timeout(200)
        assert len(asked) == len(held) == 1
        held[0].continue_()
        reads(page, 3)


def test_a_busy_server_is_asked_again(visit, digits_url):
    with visit(digits_url) as page:
        busy = {"status": 503, "headers": {"retry-after": "1"}, "json": {"error": "Others are being served."}}
        page.route("**/api/explain*", lambda route: route.fulfill(**busy), times=1)
        page.locator("#samples button").nth(3).click()
        page.wait_for_selector("#alert:not([hidden])")
        assert page.locator("#alert").inner_text() == "Others are being served."
        reads(page, 3)
        assert page.locator("#alert").is_hidden()


def test_a_finger_draws_without_moving_the_page(visit, digits_url):
    with visit(digits_url, "phone", has_touch=True, is_mobile=True) as page:
        box = page.locator("#pad").bounding_box()
        session = page.context.new_cdp_session(page)

        def touch(kind, *points):
            places = [{"x": box["x"] + box["width"] * x, "y": box["y"] + box["height"] * y} for x, y in points]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

        touch("touchStart", SEVEN[0][0])
        for point in [(0.5, 0.16), (0.7, 0.16), (0.62, 0.4), (0.53, 0.65), (0.45, 0.87)]:
            touch("touchMove", point)
        touch("touchEnd")
        reads(page, 7)
        assert page.evaluate("scrollY") == 0


# How it looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off_or_covered(visit, digits_url, size, scheme):
    with visit(digits_url, size, scheme) as page:
        draw(page, THREE)
        reads(page, 3)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
        assert cut_off(page) == []
        assert overlapping(page) == []
        keep(page, f"digits_{scheme}_{size}")


def cut_off(page):
    """Texts that do not fit into their elements."""
    return page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, p, button, label, legend, .name, .share, output, footer")]
          .filter((element) => element.checkVisibility() && !element.classList.contains("unseen"))
          .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
          .map((element) => element.outerHTML.slice(0, 80))"""
    )


def overlapping(page):
    """Controls and texts that cover one another."""
    return page.evaluate(
        """() => {
          const kinds = "button, select, input[type=range], h1, h2, legend, .note, #pad, #frame, #drop, #samples";
          const all = [...document.querySelectorAll(kinds)]
            .filter((element) => element.checkVisibility())
            .map((element) => [element, element.getBoundingClientRect()]);
          const found = [];
          all.forEach(([a, one], place) => {
            for (const [b, other] of all.slice(place + 1)) {
              if (a.contains(b) || b.contains(a)) continue;
              const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
              const tall = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
              if (wide > 1 && tall > 1) found.push([a.id || a.tagName, b.id || b.tagName]);
            }
          });
          return found;
        }"""
    )


def test_a_dark_page_has_dark_zeros(visit, digits_url):
    with visit(digits_url, scheme="dark") as page:
        page.locator("#samples button").nth(3).click()
        reads(page, 3)
        assert drawn(page)[:20].max() < 40


# heatmap.js against lrpfast.view.heatmap


def test_the_page_colors_and_scales_as_lrpfast_does(visit, digits_url):
    values = np.random.default_rng(0).normal(size=997).astype(np.float32) ** 3
    with visit(digits_url) as page:
        for name in page.evaluate("Object.keys(Heatmap.maps)"):
            table = np.array(page.evaluate("name => Array.from(Heatmap.table(name))", name)).reshape(-1, 3)
            np.testing.assert_allclose(table, color_table(name).astype(int), atol=1)
        scale = page.evaluate("values => Heatmap.fullScale(Float32Array.from(values))", values.tolist())
        assert scale == pytest.approx(full_scale(values), rel=1e-6)
        assert page.evaluate("Heatmap.fullScale(new Float32Array(9))") == 1


# Pictures


@pytest.fixture
def own_url(serving, tmp_path):
    """The page of a model whose scores are the means of red, green and blue."""
    onnx.save(color_model(size=(64, 64)), tmp_path / "model.onnx")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    with serving("model.onnx", "--labels", "labels.txt", "-p", "0-1", folder=tmp_path) as (_, url):
        yield url


@pytest.fixture
def photo(tmp_path):
    """A picture with a green half."""
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[:, :60, 1] = 250
    Image.fromarray(picture).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_photograph_is_explained(visit, own_url, photo):
    with visit(own_url) as page:
        assert page.locator("#classes").is_hidden()
        page.set_input_files("#file", photo)
        says(page, "Why green")
        assert page.locator("#photo").is_visible()
        assert page.locator("#classes .name").all_inner_texts()[0] == "green"
        page.locator("#opacity").fill("100")
        colored = saturation(drawn(page))
        half = colored.shape[1] // 2
        assert colored[:, : half - 20].mean() > colored[:, half + 20 :].mean() + 50
        with page.expect_response("**/api/explain*target=2*"):
            page.select_option("#target", "2")
        says(page, "Why blue")
        assert overlapping(page) == cut_off(page) == []
        keep(page, "picture")


def test_a_picture_can_be_dropped(visit, own_url, photo):
    with visit(own_url) as page:
        files = page.evaluate_handle(
            """bytes => {
              const files = new DataTransfer();
              files.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
              return files;
            }""",
            list(photo.read_bytes()),
        )
        page.dispatch_event("main", "drop", {"dataTransfer": files})
        says(page, "Why green")
        assert "dropped.png" in page.locator("#photo-note").inner_text()


@pytest.mark.parametrize("kept", [0, 30, 200])
def test_a_broken_file_is_told_and_harms_nothing(visit, own_url, photo, tmp_path, kept):
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:kept])
    with visit(own_url) as page:
        page.set_input_files("#file", broken)
        page.wait_for_selector("#alert:not([hidden])")
        assert page.locator("#alert").inner_text().startswith("broken.png: Cannot read the picture: ")
        keep(page, "broken")
        page.set_input_files("#file", photo)
        says(page, "Why green")
        assert page.locator("#alert").is_hidden()


def test_a_server_that_has_gone_is_told(visit, own_url, photo):
    with visit(own_url) as page:
        page.route("**/api/**", lambda route: route.abort())
        page.set_input_files("#file", photo)
        page.wait_for_selector("#alert:not([hidden])")
        assert "Is lrpfast serve still running?" in page.locator("#alert").inner_text()
