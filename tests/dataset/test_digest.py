"""What the same things are recognised by, and what tells others from them."""

from __future__ import annotations

import numpy as np
import pytest

import lrpfast
from lrpfast.composites import PRESETS
from lrpfast.dataset.digest import digest, file_state


def test_the_same_file_has_the_same_digest(here):
    first, second = (digest(lrpfast.load("model.onnx").graph) for _ in range(2))
    assert first == second and len(first) == 64


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        ("1", 1),
        ([1, [2]], [[1], 2]),
        (["ab"], ["a", "b"]),
        (np.zeros(4, np.float32), np.zeros(4)),
        (np.zeros((2, 2)), np.zeros(4)),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (np.float32([0.0]), np.float32([-0.0])),
    ],
)
def test_others_have_others(one, other):
    assert digest(one) != digest(other)


def test_presets_differ():
    made = [factory(0, 1) if "box" in name or "bounded" in name else factory() for name, factory in PRESETS.items()]
    assert len({digest(composite) for composite in made}) == len(made)


def test_a_file_that_is_not_there_has_no_state(tmp_path):
    assert file_state(tmp_path / "none") is None
    (tmp_path / "some").write_bytes(b"12")
    assert file_state(tmp_path / "some")[0] == 2
