"""Every kind of input gives its inputs in order, by any slices, and says what is wrong with it."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import lrpfast
from lrpfast.dataset.sources import find_inputs
from lrpfast.errors import FileError, InputError
from oracles.onnx_models import color_model

zarr = pytest.importorskip("zarr")
pa = pytest.importorskip("pyarrow", exc_type=ImportError)  # recent ones refuse old NumPy
parquet = pytest.importorskip("pyarrow.parquet")

FILES = [f"photos/{index}.png" for index in range(7)]


def write_zarr(path, array, **options):
    """An array as either version of zarr writes it."""
    stored = zarr.open(path, mode="w", shape=array.shape, dtype=array.dtype, chunks=(3, *array.shape[1:]), **options)
    stored[:] = array


def write_table(path, columns, **options):
    parquet.write_table(pa.table(columns), path, **options)


def make(kind):
    """The seven pictures, or their values, in a kind of input; return what to give."""
    x, pictures = np.load("x.npy"), [Path(name).read_bytes() for name in FILES]
    match kind:
        case "folder":
            return "photos"
        case "pattern":
            return "photos/*.png"
        case "files":
            return FILES
        case "list":
            Path("list.txt").write_text("\n".join(FILES) + "\n\n")
            return "list.txt"
        case "npy":
            return "x.npy"
        case "npy by columns":
            np.save("f.npy", np.asfortranarray(x))
            return "f.npy"
        case "npz":
            np.savez("x.npz", x=x, labels=np.arange(7))
            return "x.npz"
        case "compressed npz":
            np.savez_compressed("x.npz", x)
            return "x.npz"
        case "zarr array":
            write_zarr("x.zarr", x)
            return "x.zarr"
        case "zarr group":
            zarr.open_group("g.zarr", mode="w")
            write_zarr("g.zarr/x", x)
            write_zarr("g.zarr/labels", np.arange(7))
            return "g.zarr"
        case "parquet of pictures":
            write_table("p.parquet", {"image": pictures, "caption": ["none"] * 7}, row_group_size=3)
            return "p.parquet"
        case "parquet of structures":
            values = [{"bytes": content, "path": name} for content, name in zip(pictures, FILES, strict=True)]
            write_table("p.parquet", {"image": values, "label": list(range(7))})
            return "p.parquet"
        case "parquet of paths":
            write_table("p.parquet", {"file": FILES, "label": list(range(7))}, row_group_size=2)
            return "p.parquet"
        case "several":
            write_table("last.parquet", {"image": pictures[6:]})
            np.save("third.npy", np.load("pixels.npy")[2:4])
            return [*FILES[:2], "third.npy", *FILES[4:6], "last.parquet"]


KINDS = [
    *("folder", "pattern", "files", "list", "npy", "npy by columns", "npz", "compressed npz", "zarr array"),
    *("zarr group", "parquet of pictures", "parquet of structures", "parquet of paths", "several"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_explanations(explain, content, kind):
    explain("x.npy", "expected.zarr")
    done = explain(make(kind), "out.zarr")
    assert (done.images, done.explained) == (7, 7)
    found, expected = content("out.zarr"), content("expected.zarr")
    np.testing.assert_allclose(found["relevance"], expected["relevance"], rtol=1e-5, atol=1e-6)
    assert np.array_equal(found["targets"], expected["targets"])


@pytest.mark.parametrize("kind", KINDS)
def test_any_slices_can_be_read_in_any_order_also_after_pickling(here, kind):
    arguments = make(kind)
    arguments = [arguments] if isinstance(arguments, str) else arguments
    source, _ = find_inputs(arguments, lrpfast.load("model.onnx"))
    names, items = source.read(0, 7)
    assert len(names) == len(items) == source.count == 7
    for start, stop in ((5, 7), (0, 2), (1, 6), (6, 7), (3, 4)):
        source = pickle.loads(pickle.dumps(source)) if start == 1 else source
        some, found = source.read(start, stop)
        assert some == names[start:stop]
        assert all(np.array_equal(one, other) for one, other in zip(found, items[start:stop], strict=True))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("list", FILES),
        ("npy", [f"x.npy[{index}]" for index in range(7)]),
        ("parquet of pictures", [f"p.parquet[{index}]" for index in range(7)]),
        ("parquet of structures", FILES),
        ("parquet of paths", FILES),
    ],
)
def test_inputs_have_the_names_that_a_person_would_look_for(here, kind, names):
    assert find_inputs([make(kind)], lrpfast.load("model.onnx"))[0].read(0, 7)[0] == names


def test_rows_without_a_picture_are_told(explain, content):
    write_table("p.parquet", {"image": [b"junk", None, Path(FILES[0]).read_bytes()]})
    assert explain("p.parquet", "out.zarr").explained == 1
    junk, empty, fine = content("out.zarr")["errors"]
    assert junk.startswith("Cannot read the picture") and empty == "'p.parquet[1]' is empty: it holds no picture."
    assert fine == ""


def test_pixels_with_channels_first_and_grey_ones(explain, same, content):
    pixels = np.load("pixels.npy")
    np.save("first.npy", np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    np.save("grey.npy", pixels[..., 0])
    np.save("one.npy", pixels[..., :1])
    explain("pixels.npy", "last.zarr")
    explain("first.npy", "first.zarr")
    assert np.array_equal(content("last.zarr")["relevance"], content("first.zarr")["relevance"])
    explain("grey.npy", "grey.zarr")
    explain("one.npy", "one.zarr")
    assert np.array_equal(content("grey.zarr")["relevance"], content("one.zarr")["relevance"])


@pytest.mark.parametrize(
    ("prepare", "given", "error", "words"),
    [
        (lambda: None, "none.npy", FileError, "No such file"),
        (lambda: None, "none.zarr", FileError, "none.zarr"),
        (lambda: None, "none.parquet", FileError, "none.parquet"),
        (lambda: None, "none.txt", FileError, "No such file"),
        (lambda: None, "none/*.npy", FileError, "matches nothing"),
        (lambda: Path("broken.npy").write_bytes(b"nothing"), "broken.npy", FileError, "Cannot read"),
        (lambda: Path("broken.npz").write_bytes(b"nothing"), "broken.npz", FileError, "not a zip file"),
        (lambda: Path("broken.parquet").write_bytes(b"nothing"), "broken.parquet", FileError, "Cannot read"),
        (lambda: Path("empty.txt").write_bytes(b"\n"), "empty.txt", InputError, "nothing to explain"),
        (lambda: np.save("one.npy", np.float32(1)), "one.npy", InputError, "a single number"),
        (lambda: np.save("flat.npy", np.zeros((4, 7), np.float32)), "flat.npy", InputError, "takes an input of shape"),
        (lambda: np.savez("two.npz", a=np.zeros((2, 3, 6, 5)), b=np.zeros((2, 3, 6, 5))), "two.npz", InputError, "a "),
        (lambda: np.savez("f.npz", np.asfortranarray(np.zeros((2, 3, 6, 5)))), "f.npz", FileError, "by columns"),
        (lambda: write_table("n.parquet", {"label": [1]}), "n.parquet", InputError, "no columns .* label"),
        (lambda: write_table("t.parquet", {"a": ["x"], "b": ["y"]}), "t.parquet", InputError, "several columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_told(explain, prepare, given, error, words):
    prepare()
    with pytest.raises(error, match=words):
        explain(given, "out.zarr")
    assert not os.path.exists("out.zarr")


def test_a_file_that_is_damaged_further_on_ends_the_run_which_can_be_gone_on_with(explain):
    rows = [Path(FILES[index % 7]).read_bytes() for index in range(400)]
    write_table("p.parquet", {"image": rows}, row_group_size=4, compression="zstd")
    whole = Path("p.parquet").read_bytes()
    place = len(whole) // 2
    Path("p.parquet").write_bytes(whole[:place] + bytes(200) + whole[place + 200 :])
    with pytest.raises(FileError, match=r"Cannot read 'p\.parquet'"):
        explain("p.parquet", "out.zarr", chunk=32)
    done = zarr.open("out.zarr")["committed"][:]
    assert done[0] == 32 and done[-1] == -1


def test_a_column_can_be_named(explain, content):
    write_table("p.parquet", {"before": FILES, "after": FILES[::-1]})
    explain("p.parquet", "out.zarr", column="after")
    assert content("out.zarr")["names"].tolist() == FILES[::-1]
    with pytest.raises(InputError, match="no columns"):
        explain("p.parquet", "other.zarr", column="label")


def test_samples_of_several_shapes_are_refused(explain):
    onnx.save(color_model(size=("H", "W")), "model.onnx")
    np.save("wide.npy", np.zeros((2, 3, 6, 9), np.float32))
    with pytest.raises(InputError, match=r"several shapes: .* from 'x.npy', .* from 'wide.npy'"):
        explain(["x.npy", "wide.npy"], "out.zarr")


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed npz", "zarr array", "parquet of pictures"])
def test_reading_takes_no_more_memory_for_more_inputs(explain, kind):
    onnx.save(color_model(size=(48, 40)), "model.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    Image.fromarray(pixels).save(FILES[0])
    picture, sample = Path(FILES[0]).read_bytes(), np.moveaxis(pixels, -1, 0) / np.float32(255)

    def peak(count, out):
        np.save("x.npy", np.broadcast_to(sample, (count, *sample.shape)))
        given = make(kind)
        if kind == "parquet of pictures":
            write_table("p.parquet", {"image": [picture] * count}, row_group_size=32)
        tracemalloc.start()
        try:
            explain(given, out, chunk=8)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(16, "first.zarr")  # what is imported and kept once
    few, many = peak(32, "few.zarr"), peak(700, "many.zarr")
    assert many < few + 160 * sample.nbytes  # what zarr has read may wait for the garbage collector, up to a hundred
