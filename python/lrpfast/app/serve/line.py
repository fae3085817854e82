"""One piece of work at a time, a few more waiting, the rest refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Result = TypeVar("Result")


class BusyError(Exception):
    """The line is full."""


class GoneError(Exception):
    """Who asked has left."""


class Line:
    """Runs work in a thread, one piece after the other; `length` pieces may wait."""

    def __init__(self, length: int = 4) -> None:
        self._length = length
        self._waiting = 0
        self._lock = asyncio.Lock()

    async def run(self, work: Callable[[], Result], gone: Callable[[], Awaitable[bool]]) -> Result:
        """The result of the work.

        Raises
        ------
        BusyError
            Too much is waiting already.
        GoneError
            `gone` said, when it was this work's turn, that nobody waits for it any more.
        """
        if self._waiting >= self._length and self._lock.locked():
            raise BusyError
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            if await gone():
                raise GoneError
            return await asyncio.to_thread(work)
        finally:
            self._lock.release()
