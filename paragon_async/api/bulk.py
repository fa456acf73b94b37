"""Many contents at once: some workers over one source, what is done is told as it is done.

    records → workers (each: one download) → done → settled together, where asked → the caller

Nothing is open across a `yield`: the workers are plain tasks, ended however the loop is left.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
)
from typing import TYPE_CHECKING

from paragon_async.api import subject
from paragon_async.api.subject import Subject
from paragon_async.disk import OF_ONE_NAME
from paragon_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    ParagonError,
)
from paragon_async.threads import ended

if TYPE_CHECKING:
    from paragon_async.download import Saved

Source = Iterable[object] | AsyncIterable[object]
Complete = Callable[["Saved"], None]
OnError = Callable[[object, ParagonError], Awaitable[None] | None]
_END = object()
_PASSED_OVER = 20


async def crew(
    source: Source,
    one: Callable[[Subject, Complete], Awaitable[Saved]],
    *,
    concurrency: int,
    settle: Callable[[], Awaitable[None]] | None,
    on_error: OnError | None,
) -> AsyncGenerator[Saved, None]:
    """Yield what *one* makes of each record of *source*, in the order in which it is done.

    *settle* is awaited before anything that came until then is yielded. Errors of single records go to
    *on_error*; one that concerns all, or any without it, is raised, after what was done is yielded. A
    generator that is given as *source* is closed at the end.
    """
    work = _Work(source, one, concurrency, on_error)
    try:
        work.grow()
        while work.running and work.failure is None:
            await work.changed.wait()
            for saved in await _settled(work, settle):
                yield saved
        await work.stop()
        for saved in await _settled(work, settle):
            yield saved
        if work.failure is not None:
            raise work.failure
    finally:
        try:
            await work.stop()
        finally:
            await close(work.records)
            await close(source)


def checked(records: object, concurrency: object) -> None:
    """Raise `ConfigurationError` for what cannot be many records, or a number of workers."""
    if isinstance(records, str | bytes | Mapping) or not isinstance(
        records, Iterable | AsyncIterable
    ):
        kind = type(records).__name__
        raise ConfigurationError(f"a {kind} is no source of records: pass a list, or pull(…)")
    if type(concurrency) is not int or concurrency < 1:
        raise ConfigurationError("concurrency must be an integer of at least 1")


async def close(source: object) -> None:
    """Close a generator; what else records come from is the caller's."""
    if isinstance(source, AsyncGenerator):
        await source.aclose()
    elif isinstance(source, Generator):
        source.close()


async def _settled(work: _Work, settle: Callable[[], Awaitable[None]] | None) -> list[Saved]:
    found = work.take()
    if found and settle:
        try:
            await settle()
        except ParagonError as error:
            raise error from work.failure
    return found


class _Work:
    """What the workers share: the source, and what is done and not yet told."""

    def __init__(
        self,
        source: Source,
        one: Callable[[Subject, Complete], Awaitable[Saved]],
        concurrency: int,
        on_error: OnError | None,
    ) -> None:
        self.changed = asyncio.Event()
        self.running = 0
        self.failure: BaseException | None = None
        self.records = _each(source)
        self._one = one
        self._on_error = on_error
        self._concurrency = concurrency
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._last: dict[str, asyncio.Event] = {}
        self._done: deque[Saved] = deque()
        self._room = asyncio.Event()

    def grow(self) -> None:
        """Begin one more worker, if there may be one: they come as records come."""
        if len(self._tasks) < self._concurrency:
            self.running += 1
            self._tasks.append(asyncio.create_task(self._run()))

    async def stop(self) -> None:
        """End the workers and wait for that; a content that is complete by then stays."""
        for task in self._tasks:
            task.cancel()
        await ended(self._tasks)

    def take(self) -> list[Saved]:
        """Return what is done, and make room for more."""
        found = list(self._done)
        self._done.clear()
        self.changed.clear()
        self._room.set()
        return found

    async def _run(self) -> None:
        """Work until the source is at its end, or something fails for good."""
        passed = 0
        try:
            while (record := await self._next()) is not _END:
                self.grow()
                item = subject.of(record)
                if item.is_folder or item.is_gone:
                    passed += 1
                    if not passed % _PASSED_OVER:
                        await asyncio.sleep(0)
                    continue
                await self._alone(record, item)
        except BaseException as error:
            self.failure = self.failure or error
            if not isinstance(error, Exception):
                raise
        finally:
            self.running -= 1
            self.changed.set()

    async def _next(self) -> object:
        async with self._turn:
            return _END if self.failure else await anext(self.records, _END)

    async def _alone(self, record: object, item: Subject) -> None:
        """Bring one content, after those of the same record that came before it in the feed."""
        before, mine = self._last.get(item.id), asyncio.Event()
        self._last[item.id] = mine
        try:
            if before is not None:
                await before.wait()
            saved = await self._try(record, item)
        finally:
            mine.set()
            if self._last.get(item.id) is mine:
                del self._last[item.id]
        if saved is not None:
            await self._tell(saved)

    async def _try(self, record: object, item: Subject) -> Saved | None:
        try:
            # What is complete when a failure elsewhere ends it lies there, and is told as well.
            return await self._one(item, self._done.append)
        except ParagonError as error:
            if self._on_error is None or _concerns_all(error):
                raise
            heard = self._on_error(record, error)
            if inspect.isawaitable(heard):
                await heard
            return None

    async def _tell(self, saved: Saved) -> None:
        # A caller who is slow holds up the workers, and nothing piles up.
        try:
            while len(self._done) >= 2 * self._concurrency:
                self._room.clear()
                await self._room.wait()
        finally:
            self._done.append(saved)
            self.changed.set()


def _concerns_all(error: ParagonError) -> bool:
    """Tell whether the next record would meet the same: a refused token, a full disk, a lost folder."""
    match error:
        case AuthenticationError() | ConfigurationError():
            return True
        case DestinationError():
            return error.errno not in OF_ONE_NAME
        case _:
            return False


async def _each(source: Source) -> AsyncGenerator[object, None]:
    if isinstance(source, AsyncIterable):
        async for record in source:
            yield record
    else:
        for record in source:
            yield record
