"""One piece of work at a time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lrpfast.app.serve.line import BusyError, GoneError, Line


async def here():
    return False


async def away():
    return True


def test_work_is_done_one_after_the_other():
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()
        return len(most)

    async def all_at_once():
        line = Line(length=4)
        return await asyncio.gather(*(line.run(work, here) for _ in range(5)))

    assert asyncio.run(all_at_once()) == [1, 2, 3, 4, 5]
    assert most == [1] * 5


def test_what_finds_the_line_full_is_refused_at_once():
    go = threading.Event()

    async def four():
        line = Line(length=2)
        waiting = [asyncio.create_task(line.run(go.wait, here)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await line.run(go.wait, here)
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        return await line.run(lambda: "free again", here)

    assert asyncio.run(four()) == "free again"


def test_nothing_is_done_for_who_has_left():
    done = []

    async def one():
        line = Line()
        with pytest.raises(GoneError):
            await line.run(lambda: done.append(1), away)
        return await line.run(lambda: "next", here)

    assert asyncio.run(one()) == "next"
    assert done == []


def test_a_failure_frees_the_line():
    async def two():
        line = Line()
        with pytest.raises(ZeroDivisionError):
            await line.run(lambda: 1 / 0, here)
        return await line.run(lambda: "next", here)

    assert asyncio.run(two()) == "next"
