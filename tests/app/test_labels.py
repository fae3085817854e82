"""Names of classes from files of several forms, and what is said of those that do not fit."""

from __future__ import annotations

import pytest

from lrpfast.app.labels import match_labels, read_labels
from lrpfast.errors import FileError, InputError


@pytest.fixture
def labels(tmp_path):
    """Read labels from a file of that content."""

    def labels(content, name="labels.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode())
        return read_labels(path)

    return labels


@pytest.mark.parametrize("text", ["a\nb\n\nd", "a\nb\n\nd\n", "a\r\nb\r\n\r\nd\r\n\r\n", "\ufeffa\n b \n\nd"])
def test_labels_are_lines_with_blank_ones_at_the_end_left_out(labels, text):
    assert labels(text) == ("a", "b", "", "d")


@pytest.mark.parametrize(
    "text", ["0 a\n1 b c\n", "0: a\n1: b c", "0,a\n1,b c", "0\ta\n1\tb c", "1 b c\n0 a", "0 ; a\n\n1 ; b c"]
)
def test_lines_may_be_numbered_from_0(labels, text):
    assert labels(text) == ("a", "b c")


@pytest.mark.parametrize("text", ["1 a\n2 b", "0 a\nb", "0 a\n0 b", "0 a\n2 b", "10 dollars\n20 dollars"])
def test_numbers_that_do_not_count_all_classes_are_part_of_the_names(labels, text):
    assert labels(text) == tuple(text.splitlines())


def test_numbers_of_wordnet_are_no_part_of_the_names(labels):
    assert labels("n01440764 tench, Tinca tinca\nn01443537 goldfish") == ("tench, Tinca tinca", "goldfish")


@pytest.mark.parametrize(
    "text",
    [
        '["a", "b"]',
        '{"0": "a", "1": "b"}',
        '{"1": "b", "0": "a"}',
        '{"a": 0, "b": 1}',
        '{"0": ["n1", "a"], "1": ["b"]}',
    ],
)
def test_json_lists_or_numbers_the_names(labels, text):
    assert labels(text, "labels.json") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["a",\n"b"', "line 2 is no JSON"),
        ('{"0": "a", "2": "b"}', 'class 1 has no name. An object of 2 classes names each from "0" to "1"'),
        ('{"0": "a", "1": 5}', "class 1 is called 5, which is no text"),
        ('{"a": 0, "b": 2}', "class 1 has no name"),
        ('"a"', "give a list of names, or an object"),
        ("[1, 2]", "give a list of names, or an object"),
        ("{}", "give a list of names, or an object"),
    ],
)
def test_json_of_another_form_is_refused_with_the_file_and_the_place(labels, text, words):
    with pytest.raises(FileError, match=r"Cannot read the labels '.*labels\.json'") as caught:
        labels(text, "labels.json")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("names", "count", "words"),
    [
        (("a", "b"), 3, "have 2 names, but the model has 3 classes. Give one name per line"),
        (("background", "a", "b"), 2, "Line 1 names a class that the model does not have: 'background'"),
        (("a", "", "b"), 2, "Lines without a name count too: line 2"),
        (("a",) * 1000, 1001, "put a line 'background' on top"),
    ],
)
def test_another_number_of_names_is_refused_with_a_remedy(tmp_path, names, count, words):
    with pytest.raises(InputError) as caught:
        match_labels(tmp_path / "labels.txt", names, count)
    assert "labels.txt" in str(caught.value)
    assert words in str(caught.value)
