"""Reading pictures: any mode comes out as upright 8-bit RGB, and what is no picture is refused."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from lrpfast.view.files import FileError
from lrpfast.view.pictures import decode_picture, read_picture

RNG = np.random.default_rng(6)
PIXELS = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    def save(picture, name="p.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def test_rgb_is_read_as_it_is(save):
    np.testing.assert_array_equal(np.asarray(read_picture(save(Image.fromarray(PIXELS)))), PIXELS)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I", "I;16"])
def test_every_mode_becomes_rgb(save, mode):
    picture = Image.fromarray(PIXELS)
    picture = Image.new(mode, (4, 6)) if mode.startswith("I") else picture.convert(mode)
    read = read_picture(save(picture, "p.tiff"))
    assert (read.mode, read.size) == ("RGB", (4, 6))


def test_16_bits_are_scaled_and_not_clipped(save):
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    read = np.asarray(read_picture(save(Image.fromarray(levels))))
    assert read[0, :, 0].tolist() == [0, 1, 128, 255]


def test_dark_16_bit_picture_stays_dark(save):
    read = np.asarray(read_picture(save(Image.fromarray(np.full((2, 2), 200, np.uint16)))))
    assert (read == 1).all()


def test_transparent_parts_are_white(save):
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    assert np.asarray(read_picture(save(picture))).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_transparent_color_of_a_palette_is_white(save):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.putpixel((1, 0), 1)
    read = read_picture(save(picture, "p.gif", transparency=0))
    assert np.asarray(read).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_exif_orientation_is_honoured(save):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row of the file is the right edge of the picture
    read = np.asarray(read_picture(save(Image.fromarray(PIXELS), exif=exif)))
    np.testing.assert_array_equal(read, np.rot90(PIXELS, -1))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"cat\.png': there is no such file"):
        read_picture(tmp_path / "cat.png")


def test_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match="it is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_file_that_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "p.png"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"no picture|damaged"):
        read_picture(path)


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp"])
def test_truncated_picture_is_refused(save, name):
    path = save(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileError, match=r"damaged or incomplete|no picture"):
        read_picture(path)


def test_picture_with_more_pixels_than_is_safe_is_refused(save, monkeypatch):
    path = save(Image.fromarray(PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(FileError, match="more pixels than are safe"):
        read_picture(path)


def test_large_picture_below_that_limit_is_read(save, monkeypatch):
    path = save(Image.fromarray(PIXELS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert read_picture(path).size == (4, 6)


def chunk(kind, content):
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *chunks):
    """A file that claims a size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(b"\0" * 100))]
    )


def test_more_pixels_than_are_safe_are_not_unpacked(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(50_000, 50_000))
    with pytest.raises(FileError, match=r"more pixels than are safe to unpack.*Scale it down"):
        read_picture(path)
    with pytest.raises(FileError, match="more pixels than are safe to unpack"):
        decode_picture(png(1000, 1000), most_pixels=999_999)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_texts_that_unpack_to_very_much_are_not_unpacked(tmp_path, kind):
    packed = zlib.compress(b"\0" * 10**8)
    content = b"k\0\0" + packed if kind == b"zTXt" else b"k\0\1\0\0\0" + packed
    path = tmp_path / "bomb.png"
    path.write_bytes(png(4, 4, *[chunk(kind, content)] * 20))
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match="damaged or incomplete"):
            read_picture(path)
        assert tracemalloc.get_traced_memory()[1] < 10**8
    finally:
        tracemalloc.stop()
