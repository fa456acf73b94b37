"""What webhooks say of one feed. It is a hint, never the truth: it causes a pull, and nothing else.

Anybody who knows the address of a receiver can send anything. So an event of another sync or user is
ignored; many events make one pull, and pulls have a pause between them; a delete is only ever a record
to be asked for, which the API's own 404 has to confirm.
"""

from __future__ import annotations

import asyncio

from paragon_async.ingest.values import Feed
from paragon_async.webhooks.events import Event, RecordDeleted
from paragon_async.webhooks.router import Router

_MOST_DELETES = 1000


class Hints:
    """Hears of one *feed* from a router's events: `Hints(feed, router)`."""

    def __init__(self, feed: Feed, router: Router) -> None:
        self._feed = feed
        self._changed = asyncio.Event()
        self._gone: dict[str, None] = {}
        router.on(Event)(self.note)

    async def note(self, event: Event) -> None:
        """Take note of an event, if it is of this feed."""
        if event.sync_id != self._feed.sync or event.user_id not in {None, self._feed.user}:
            return
        # More than these are found by the pull, or by the next reconcile: memory is bounded.
        if isinstance(event, RecordDeleted) and len(self._gone) < _MOST_DELETES:
            self._gone[event.record_id] = None
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a hint, or for *seconds* to pass: webhooks get lost."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def take(self, most: int) -> list[str]:
        """Begin anew, and return at most *most* ids that were said to be gone; the others wait."""
        self._changed.clear()
        gone = list(self._gone)[:most]
        for id_ in gone:
            del self._gone[id_]
        return gone

    def put_back(self, gone: list[str]) -> None:
        """Take note once more of ids that could not be asked for."""
        self._gone = dict.fromkeys(gone) | self._gone
