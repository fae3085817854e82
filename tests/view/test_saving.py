"""Pictures as files and in notebooks."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from lrpfast.errors import FileError, InputError
from lrpfast.view.blocks import box
from lrpfast.view.pictures import picture_format
from lrpfast.view.saving import Picture

PICTURE = Picture(box(30, 20, (10, 20, 30)))


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_suffix_chooses_the_format(tmp_path, suffix, start):
    assert PICTURE.save(tmp_path / f"p{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


def test_notebook_gets_a_png():
    with Image.open(BytesIO(PICTURE._repr_png_())) as picture:
        assert (picture.format, picture.size) == ("PNG", (30, 20))


@pytest.mark.parametrize("name", ["p", "p.xyz"])
def test_suffix_of_no_picture_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"Use \.png, \.svg, \.pdf"):
        PICTURE.save(tmp_path / name)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        PICTURE.save(tmp_path / "no" / "p.svg")


@pytest.mark.parametrize(("name", "form"), [("a.svg", "SVG"), ("a.pdf", "PDF"), ("a.jpg", "JPEG")])
def test_formats_have_the_names_of_pillow(name, form):
    assert picture_format(name) == form
