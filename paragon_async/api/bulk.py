"""Many contents at once: some workers over one source, what is done is told as it is done.

    records → workers (each: one download) → done → settled together, where asked → the caller

Nothing is open across a `yield`: the workers are plain tasks, ended however the loop is left.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from paragon_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    ParagonError,
)

if TYPE_CHECKING:
    from paragon_async.download import Saved

Source = Iterable[object] | AsyncIterable[object]
OnError = Callable[[object, ParagonError], None]
_END = object()
# What a disk says of one file, it will say of all that follow.
_OF_ALL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


async def crew(
    source: Source,
    one: Callable[[object], Awaitable[Saved | None]],
    *,
    concurrency: int,
    settle: Callable[[], Awaitable[None]] | None,
    on_error: OnError | None,
) -> AsyncGenerator[Saved, None]:
    """Yield what *one* makes of each record of *source*, in the order in which it is done.

    *settle* is awaited before anything that came until then is yielded. Errors of single records go to
    *on_error*; one that concerns all, or any without it, is raised, after what was done is yielded. An
    async generator that is given as *source* is closed at the end.
    """
    work = _Work(source, one, concurrency, on_error)
    tasks = [asyncio.create_task(work.run()) for _ in range(concurrency)]
    try:
        while work.running and work.failure is None:
            await work.changed.wait()
            for saved in await _settled(work, settle):
                yield saved
        for saved in await _settled(work, settle):
            yield saved
        if work.failure is not None:
            raise work.failure
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await work.aclose()


async def _settled(work: _Work, settle: Callable[[], Awaitable[None]] | None) -> list[Saved]:
    found = work.take()
    if found and settle:
        await settle()
    return found


class _Work:
    """What the workers share: the source, and what is done and not yet told."""

    def __init__(
        self,
        source: Source,
        one: Callable[[object], Awaitable[Saved | None]],
        concurrency: int,
        on_error: OnError | None,
    ) -> None:
        self.changed = asyncio.Event()
        self.running = concurrency
        self.failure: BaseException | None = None
        self._source = source
        self._records = _each(source)
        self._turn = asyncio.Lock()
        self._one = one
        self._on_error = on_error
        self._done: deque[Saved] = deque()
        self._most = 2 * concurrency
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Work until the source is at its end, or something fails for good."""
        try:
            while (record := await self._next()) is not _END:
                saved = await self._try(record)
                if saved is not None:
                    await self._tell(saved)
        except BaseException as error:
            self.failure = self.failure or error
            if not isinstance(error, Exception):
                raise
        finally:
            self.running -= 1
            self.changed.set()

    async def aclose(self) -> None:
        """Close the source, if it can be closed."""
        await self._records.aclose()
        if isinstance(self._source, AsyncGenerator):
            await self._source.aclose()

    async def _next(self) -> object:
        async with self._turn:
            return await anext(self._records, _END)

    def take(self) -> list[Saved]:
        """Return what is done, and make room for more."""
        found = list(self._done)
        self._done.clear()
        self.changed.clear()
        self._room.set()
        return found

    async def _try(self, record: object) -> Saved | None:
        try:
            return await self._one(record)
        except ParagonError as error:
            if self._on_error is None or _concerns_all(error):
                raise
            self._on_error(record, error)
            return None

    async def _tell(self, saved: Saved) -> None:
        # A caller who is slow holds up the workers, and nothing piles up.
        while len(self._done) >= self._most:
            self._room.clear()
            await self._room.wait()
        self._done.append(saved)
        self.changed.set()


def _concerns_all(error: ParagonError) -> bool:
    match error:
        case AuthenticationError() | ConfigurationError():
            return True
        case DestinationError():
            return error.errno in _OF_ALL
        case _:
            return False


async def _each(source: Source) -> AsyncGenerator[object, None]:
    if isinstance(source, AsyncIterable):
        async for record in source:
            yield record
    else:
        for record in source:
            yield record
