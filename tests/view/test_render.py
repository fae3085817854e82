"""What is drawn: crisp pixels at their places, text as text, and the same file every time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from lrpfast.errors import InputError
from lrpfast.view.blocks import Block, Strokes, beside, box, pile, raster, stacked
from lrpfast.view.render import image, write
from lrpfast.view.text import line

RNG = np.random.default_rng(4)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(block):
    return np.array(image(block))


def written(block, form):
    file = BytesIO()
    write(block, file, form)
    return file.getvalue()


@pytest.mark.parametrize("factor", [1, 2, 7, 16])
@pytest.mark.parametrize("place", [(0, 0), (3, 1), (11, 40)])
def test_every_pixel_of_a_raster_is_a_crisp_square_at_its_place(factor, place):
    pixels = RNG.integers(0, 256, (5, 8, 3), dtype=np.uint8)
    squares = raster(pixels, factor)
    left, top = place
    page = drawn(pile([(left, top, squares)], squares.width + 33, squares.height + 57))
    found = page[top : top + squares.height, left : left + squares.width]
    np.testing.assert_array_equal(found, pixels.repeat(factor, axis=0).repeat(factor, axis=1))
    page[top : top + squares.height, left : left + squares.width] = 255
    assert (page == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (97, 1003), (1004, 665), (999, 7)])
def test_picture_has_the_size_of_the_block(size):
    assert image(Block(*size)).size == size


def test_picture_too_large_for_pixels_is_refused_and_can_be_svg():
    tall = Block(10, 2**16)
    with pytest.raises(InputError, match="65536 pixels; a side has at most 65535"):
        image(tall)
    assert written(tall, "SVG")
    assert image(Block(1, 2**16 - 1)).height == 2**16 - 1


def test_boxes_fill_their_pixels_and_no_others():
    page = drawn(pile([(2, 3, box(4, 5, (10, 20, 30)))], 9, 11))
    assert (page[3:8, 2:6] == (10, 20, 30)).all()
    assert (page == (10, 20, 30)).all(axis=-1).sum() == 20
    assert (page == 255).all(axis=-1).sum() == 99 - 20


def test_marks_cover_each_other_in_their_order_whatever_their_kind():
    red = raster(np.array([[[255, 0, 0]]], np.uint8), 10)
    blue = box(10, 10, (0, 0, 255))
    for below, above in ((red, blue), (blue, red)):
        covered = drawn(pile([(0, 0, below), (0, 0, above)], 10, 10))
        np.testing.assert_array_equal(covered, drawn(above))


def test_text_stays_in_its_block():
    for words in ("gjpqy|", "ÄÉ", "Egyptian cat, 44.0 %"):
        block = line(words, 15, width=400)
        page = drawn(pile([(20, 20, block)], block.width + 40, block.height + 40))
        rows, columns = np.nonzero((page < 255).any(axis=-1))
        assert columns.min() >= 19 and columns.max() <= 20 + block.width
        assert rows.min() >= 19 and rows.max() <= 20 + block.height


def test_strokes_have_their_colors_and_later_ones_are_above():
    lines = np.array([[[2.0, 5.0], [18.0, 5.0]], [[10.0, 0.0], [10.0, 10.0]]])
    colors = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    page = drawn(Block(20, 10, ((0, 0, Strokes(lines, colors, 4.0)),)))
    assert page[5, 5].tolist() == [255, 0, 0]
    assert page[5, 10].tolist() == [0, 0, 255]


PAGE = stacked([raster(RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8), 8), line("Straße $x$ & <b>")])


def test_svg_has_the_text_as_text_and_the_picture_as_pixels():
    root = ElementTree.fromstring(written(PAGE, "SVG"))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["Straße $x$ & <b>"]
    assert len(list(root.iter(f"{SVG}image"))) == 1
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(PAGE.width * 0.75)


def test_svg_image_is_where_the_png_has_it():
    block = pile([(10, 20, raster(np.zeros((2, 3, 3), np.uint8), 8))], 100, 200)
    (found,) = ElementTree.fromstring(written(block, "SVG")).iter(f"{SVG}image")
    assert [float(found.attrib[name]) for name in ("width", "height")] in ([18.0, 12.0], [24.0, 16.0])
    assert "pixelated" in found.attrib["style"]


def test_pdf_is_one_page_of_the_size_of_the_block():
    content = written(PAGE, "PDF")
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page ") == 1
    assert f"/MediaBox [ 0 0 {PAGE.width * 0.75:g} {PAGE.height * 0.75:g} ]".encode() in content
    assert b"TrueType" in content or b"CIDFontType2" in content


@pytest.mark.parametrize("form", ["PNG", "SVG", "PDF"])
def test_equal_pictures_are_equal_files(form):
    assert written(PAGE, form) == written(PAGE, form)


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
def test_other_formats_are_those_of_pillow(form):
    with Image.open(BytesIO(written(PAGE, form))) as picture:
        assert (picture.format, picture.mode) == (form, "RGB")


@pytest.mark.parametrize("form", ["PNG", "SVG"])
def test_settings_of_matplotlib_change_nothing_and_are_left_alone(form):
    expected = written(PAGE, form)
    style = {"font.family": "serif", "savefig.bbox": "tight", "figure.dpi": 50, "svg.fonttype": "path"}
    with matplotlib.rc_context(style):
        assert written(PAGE, form) == expected
        assert matplotlib.rcParams["svg.fonttype"] == "path"


def test_threads_draw_at_the_same_time():
    pages = [beside([line(f"page {number}"), PAGE]) for number in range(8)]
    expected = [written(page, "SVG") for page in pages]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda page: written(page, "SVG"), pages)) == expected
