"""What is printed while work goes on."""

from __future__ import annotations

import pytest
from rich.progress import Task

from lrpfast.app.report import Pace, with_progress


@pytest.mark.parametrize(
    ("completed", "total", "elapsed", "shown"),
    [
        (0, 10, 3.0, ""),
        (30, 105, 2.0, "15.0 a second, 0:05 left"),
        (4, 104, 20.0, "5.0 s each, 8:20 left"),
    ],
)
def test_pace_is_the_average_and_the_time_that_remains(completed, total, elapsed, shown):
    task = Task(0, "", total=total, completed=completed, _get_time=lambda: elapsed)
    task.start_time = 0.0
    assert str(Pace().render(task)) == shown


def test_no_bar_where_there_is_no_terminal(capfd, monkeypatch):
    monkeypatch.setattr("lrpfast.app.report.PATIENCE", 0.0)
    assert list(with_progress([1, 2, 3])) == [1, 2, 3]
    assert capfd.readouterr() == ("", "")
