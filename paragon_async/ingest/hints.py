"""What webhooks say of one feed. It is a hint, never the truth: it causes a pull, and nothing else.

Anybody who knows the address of a receiver can send anything. So an event of another sync or user is
ignored; many events make one pull, and pulls have a pause between them; a delete is only ever a claim,
kept in the state until the API's own answer settled it, and a record is asked for once a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from paragon_async.ingest.book import Book
from paragon_async.ingest.values import Feed
from paragon_async.webhooks.events import Event, RecordDeleted
from paragon_async.webhooks.router import Router

_ONCE_IN = 60.0


class Hints:
    """Hears of one *feed* from the events of routers: `hear(router)`, any number of times."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._changed = asyncio.Event()
        self._begun = asyncio.Event()
        self._book: Book | None = None
        self._routers: list[Router] = []
        self._asked: dict[str, float] = {}

    def hear(self, router: Router) -> None:
        """Register with *router*, once."""
        if not any(router is known for known in self._routers):
            self._routers.append(router)
            router.on(Event)(self.note)

    def begin(self, book: Book) -> None:
        """Keep claims in *book* from now on; whoever brought one waits until then."""
        self._book = book
        self._begun.set()

    def end(self) -> None:
        """Keep no claims any more; an event that brings one is not done until somebody does."""
        self._book = None
        self._begun.clear()

    async def note(self, event: Event) -> None:
        """Take note of an event, if it is of this feed; a claim is durable when this returns."""
        if not self._is_ours(event):
            return
        if isinstance(event, RecordDeleted):
            while (book := self._book) is None:
                await self._begun.wait()
            await book.claim(event.record_id)
        self._changed.set()

    def wake(self) -> None:
        """End the next wait at once: something is left to do."""
        self._changed.set()

    async def due(self, book: Book, now: float, most: int) -> list[str]:
        """Return at most so many of the records that are claimed to be gone, and may be asked for."""
        self._asked = {one: at for one, at in self._asked.items() if now - at < _ONCE_IN}
        claimed = await book.claims(most + len(self._asked))
        return [one for one in claimed if one not in self._asked][:most]

    def asked(self, records: Iterable[str], now: float) -> None:
        """Let nobody make us ask for *records* again before a minute has passed."""
        self._asked.update(dict.fromkeys(records, now))

    async def wait(self, seconds: float) -> None:
        """Wait for a hint, or for *seconds* to pass: webhooks get lost."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def begin_anew(self) -> None:
        """Count only hints that come from now on."""
        self._changed.clear()

    def _is_ours(self, event: Event) -> bool:
        """Tell whether an event is of this feed; older ones name the user alone."""
        if event.user_id not in {None, self._feed.user}:
            return False
        return event.sync_id == self._feed.sync or (
            event.sync_id is None and event.user_id is not None
        )
