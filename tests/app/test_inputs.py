"""Which pictures arguments mean, and which files of folders and patterns are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrpfast.app.inputs import find_pictures, is_picture
from lrpfast.errors import FileError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with pictures, other files, and a folder inside."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt", "inside/c.webp", "inside/deep/d.png", "empty/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def found(*arguments):
    return [path.as_posix() for path in find_pictures(arguments).files]


@pytest.mark.parametrize(
    ("argument", "files"),
    [
        (".", ["a.JPG", "b.png"]),
        ("inside", ["inside/c.webp"]),
        ("*", ["a.JPG", "b.png"]),
        ("*.png", ["b.png"]),
        ("[ab].*", ["a.JPG", "b.png"]),
        ("**/*.png", ["b.png", "inside/deep/d.png"]),
        ("**", ["a.JPG", "b.png", "inside/c.webp", "inside/deep/d.png"]),
        ("notes.txt", ["notes.txt"]),
        ("none.png", ["none.png"]),
    ],
)
def test_folders_and_patterns_mean_their_pictures_and_files_themselves(folder, argument, files):
    assert found(argument) == files


def test_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    Path("[b].png").write_bytes(b"")
    assert found("[b].png") == ["[b].png"]


def test_order_of_arguments_is_kept_and_a_picture_explained_once(folder):
    pictures = find_pictures(["b.png", ".", "./a.JPG"])
    assert [path.name for path in pictures.files] == ["b.png", "a.JPG"]
    assert pictures.repeated == 2


def test_what_is_left_out_is_counted(folder):
    assert find_pictures(["."]).notes() == ["Left out: 2 hidden or no picture."]
    assert find_pictures(["b.png"]).notes() == []


def test_explanations_beside_their_pictures_are_left_out(folder):
    for name in ("b_epsilon.png", "b_gradient_2.png", "b_zplus_epsilon.png", "other_epsilon.png", "b_side.png"):
        Path(name).write_bytes(b"")
    pictures = find_pictures(["."])
    assert [path.name for path in pictures.files] == ["a.JPG", "b.png", "b_side.png", "other_epsilon.png"]
    assert pictures.earlier == 3
    assert found("b_epsilon.png") == ["b_epsilon.png"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("empty", "no picture to explain in the folder 'empty': it holds 1 files"),
        ("nothing*.png", "The pattern 'nothing*.png' matches nothing"),
        ("*.txt", "matches 1 files, but no picture"),
    ],
)
def test_argument_that_means_no_picture_is_refused(folder, argument, words):
    with pytest.raises(FileError, match=words.replace("*", r"\*")):
        find_pictures(["b.png", argument])


@pytest.mark.parametrize(("name", "known"), [("a.png", True), ("a.pdf", False), ("a", False), ("model.onnx", False)])
def test_pictures_are_told_by_their_names(name, known):
    assert is_picture(Path(name)) == known
