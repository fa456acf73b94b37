"""Following the cursor: where a feed ends, and when it is standing still.

The rule, as documented: a page without records, or with none remaining, means caught up. Beside it
stands a guard: a cursor that is missing, repeats or comes round again while records remain is an
error, never an end. Source: api.md 3.4, failures.md F70 to F75.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable

from paragon_async.api.shapes import Envelope
from paragon_async.errors import StalledCursorError
from paragon_async.threads import ended

log = logging.getLogger("paragon_async.paging")
Fetch = Callable[[str | None], Awaitable[Envelope]]
Pause = Callable[[float], Awaitable[None]]
_ASKED_AGAIN = 3
_FIRST_PAUSE = 0.25


async def follow(
    fetch: Fetch, after: str | None, *, pages_ahead: int, pause: Pause
) -> AsyncGenerator[Envelope, None]:
    """Yield the pages after *after*, fetching up to *pages_ahead* more while the consumer works.

    Nothing is open across a `yield`: a page under way is a plain task that reads its answer to the
    end. However the loop is left, the tasks are cancelled and awaited.
    """
    guard = Guard(after)
    walk = _Walk(fetch, guard, pause)
    ahead: deque[asyncio.Task[Envelope | None]] = deque([walk.start(None)])
    try:
        while True:
            page = await ahead[0]
            if page is None:
                return
            latest = ahead[-1]
            while len(ahead) <= pages_ahead:
                latest = walk.start(latest)
                ahead.append(latest)
            ahead.popleft()
            if ahead:
                # A consumer that never waits would keep the next request from leaving.
                await asyncio.sleep(0)
            yield page
            if not ahead:
                ahead.append(walk.start(latest))
    finally:
        await _end(ahead)


class Guard:
    """Remembers where a pull has been; pure."""

    def __init__(self, after: str | None) -> None:
        self.cursor = after
        self._seen = {hash(after)} if after else set()

    def next_cursor(self, page: Envelope) -> str | None:
        """Return the cursor of the page that follows, or None when *page* is the last."""
        if page.is_empty or page.remaining == 0:
            return None
        if page.cursor is None:
            if page.remaining is None:
                return None
            raise StalledCursorError(
                f"{page.remaining} records remain, but the page has no cursor", cursor=self.cursor
            )
        if hash(page.cursor) in self._seen:
            how = "stands still" if page.cursor == self.cursor else "comes round again"
            raise StalledCursorError(f"the cursor {how} while records remain", cursor=self.cursor)
        self._seen.add(hash(page.cursor))
        self.cursor = page.cursor
        return page.cursor


class _Walk:
    """Fetches page after page; each step waits for the one before it, which knows the cursor."""

    def __init__(self, fetch: Fetch, guard: Guard, pause: Pause) -> None:
        self._fetch = fetch
        self._guard = guard
        self._pause = pause

    def start(self, before: asyncio.Task[Envelope | None] | None) -> asyncio.Task[Envelope | None]:
        task = asyncio.create_task(self._step(before))
        task.add_done_callback(_heard)
        return task

    async def _step(self, before: asyncio.Task[Envelope | None] | None) -> Envelope | None:
        cursor = self._guard.cursor
        if before is not None:
            # Shielded: a step that is given up must not take the page before it along.
            page = await asyncio.shield(before)
            cursor = self._guard.next_cursor(page) if page is not None else None
            if cursor is None:
                return None
        return await self._page(cursor)

    async def _page(self, cursor: str | None) -> Envelope:
        """Fetch one page; an empty one with records remaining is asked for again, then believed."""
        wait = _FIRST_PAUSE
        for _ in range(_ASKED_AGAIN):
            page = await self._fetch(cursor)
            if not page.is_empty or not page.remaining:
                return page
            await self._pause(wait)
            wait *= 2
        log.warning("an empty page says that %s records remain; taken for the end", page.remaining)
        return page


def _heard(task: asyncio.Task[Envelope | None]) -> None:
    """Look at the outcome, so that a page nobody waits for any more leaves no warning."""
    if not task.cancelled():
        task.exception()


async def _end(tasks: deque[asyncio.Task[Envelope | None]]) -> None:
    for task in tasks:
        task.cancel()
    await ended(tasks)
