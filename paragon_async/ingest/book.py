"""One feed in an open state: every method is one transaction, durable when it returns.

What each does to the tables stands in `statements`. A `Book` is also the `Index` that sinks tidy by.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any

import attrs

from paragon_async.ingest import feeds, letters, places, statements
from paragon_async.ingest.database import Database
from paragon_async.ingest.glance import Glance, glance
from paragon_async.ingest.sinks.protocol import Mark, Place
from paragon_async.ingest.statements import Batch, Known
from paragon_async.ingest.values import DeadLetter, Feed, Receipt, Report

_RECEIPTS_AT_ONCE = 500


@attrs.frozen(eq=False)
class Book:
    """What the state knows of one *feed*; *number* names it there."""

    _database: Database
    feed: Feed
    number: int

    @classmethod
    async def open(
        cls, database: Database, feed: Feed, sink: str, busy: Collection[Feed] = ()
    ) -> Book:
        """Find the feed, or begin it; `SinkError` when *sink* holds another one."""
        number = await database.run(lambda db: feeds.find_feed(db, feed, sink, busy))
        return cls(database, feed, number)

    async def cursor(self) -> str | None:
        """Return the saved cursor; `StateError` when its row is damaged."""
        return await self._database.run(lambda db: feeds.cursor_of(db, self.number, self.feed))

    async def look(self, ids: Sequence[str]) -> dict[str, Known]:
        """Return what is known of *ids*."""
        return await self._database.run(lambda db: statements.look(db, self.number, ids))

    async def receive(self, receipt: Receipt) -> None:
        """Note a content that is durable; its record stays suspect until its row is, too."""
        now = self._database.wall()
        await self._database.run(lambda db: statements.receive(db, self.number, [receipt], now))

    async def is_empty(self) -> bool:
        """Tell whether nothing is known of any record, so that `look` would find none."""
        return await self._database.run(lambda db: statements.is_empty(db, self.number))

    async def glance(self, ids: Collection[str]) -> Glance:
        """Return what is known of *ids*, as `look` does, in a shape that costs little."""
        return await self._database.read(lambda db: glance(db, self.number, ids))

    async def commit(self, *batches: Batch) -> None:
        """Note what pages came to, all or nothing; the last cursor with it. No id is in two batches."""
        now = self._database.wall()
        await self._database.run(
            lambda db: statements.commit(db, self.number, self.feed, batches, now)
        )

    async def letters(self) -> list[DeadLetter]:
        """Return the dead letters."""
        return await self._database.run(lambda db: letters.letters(db, self.number))

    async def count_letters(self) -> int:
        """Return how many dead letters there are."""
        return await self._database.run(lambda db: letters.count_letters(db, self.number))

    async def due(self) -> list[str]:
        """Return ids of letters that a run tries again by itself."""
        now = self._database.wall()
        return await self._database.run(lambda db: letters.due(db, self.number, now))

    async def bury(self, dead: Sequence[DeadLetter]) -> None:
        """Note dead letters alone."""
        now = self._database.wall()
        await self._database.run(lambda db: letters.bury(db, self.number, dead, now))

    async def claim(self, id_: str) -> None:
        """Note that a record is said to be gone."""
        await self._database.run(lambda db: letters.claim(db, self.number, id_))

    async def claims(self, limit: int) -> list[str]:
        """Return ids that are said to be gone, at most *limit*."""
        return await self._database.run(lambda db: letters.claims(db, self.number, limit))

    async def settle_claims(self, asked: Collection[str], open_: Collection[str]) -> bool:
        """Forget claims that were asked for, but for those left open; tell whether new ones wait."""
        return await self._database.run(
            lambda db: letters.settle_claims(db, self.number, asked, open_)
        )

    async def alive(self) -> int:
        """Return how many records the mirror holds."""
        return await self._database.run(lambda db: statements.alive(db, self.number))

    async def count_doomed(self, reason: str | None = None) -> int:
        """Return how many records are to be deleted, for *reason* or for any."""
        return await self._database.run(lambda db: statements.count_doomed(db, self.number, reason))

    async def doomed(self, limit: int, reason: str | None = None) -> list[str]:
        """Return ids that are to be deleted, for *reason* or for any, at most *limit*."""
        return await self._database.run(
            lambda db: statements.doomed(db, self.number, limit, reason)
        )

    async def intend(self, ids: Collection[str]) -> None:
        """Note records whose contents are going to be worked on; from now on they are suspect."""
        if ids:
            await self._database.run(lambda db: statements.intend(db, self.number, ids))

    async def suspects(self) -> list[str]:
        """Return ids of records that a run worked on when it was cut off."""
        return await self._database.run(lambda db: statements.intents(db, self.number))

    async def delete(self, ids: Sequence[str], mark: Mark | None) -> None:
        """Note that records are gone from the destination."""
        now = self._database.wall()
        await self._database.run(lambda db: statements.delete(db, self.number, ids, mark, now))

    async def places(self) -> Mapping[str, Place]:
        """Return the places of rows."""
        return await self._database.run(lambda db: places.places(db, self.number))

    async def current(self, place: str, ids: Sequence[str]) -> set[str]:
        """Return those of *ids* whose row lies in *place*."""
        return await self._database.run(lambda db: places.current(db, self.number, place, ids))

    async def moved(self, old: Sequence[str], mark: Mark | None, ids: Sequence[str]) -> None:
        """Note that the rows of the *old* places lie at *mark* now."""
        await self._database.run(lambda db: places.moved(db, self.number, old, mark, ids))

    async def digests(self, place: str, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the digests of those rows of *ids* that lie in *place*."""
        return await self._database.run(lambda db: places.digests(db, self.number, place, ids))

    async def owe(self, ids: Collection[str], lost: Sequence[str] = ()) -> list[str]:
        """Forget damaged contents, and *lost* places; return the ids of all that is owed now.

        They are dead letters until they come, so that nothing that stops on the way forgets them.
        """
        now = self._database.wall()

        def work(db: sqlite3.Connection) -> list[str]:
            statements.drop_receipts(db, self.number, ids)
            # What lies there is not what it should be, whether or not it is fetched again.
            statements.intend(db, self.number, ids)
            owed = sorted({*ids, *places.lose(db, self.number, lost)})
            letters.owe(db, self.number, owed, now)
            return owed

        return await self._database.run(work)

    async def receipts(self) -> AsyncGenerator[list[Receipt], None]:
        """Yield all receipts, some hundred at once."""
        block = await self._receipts("")
        while block:
            yield block
            block = await self._receipts(block[-1].id)

    async def _receipts(self, after: str) -> list[Receipt]:
        return await self._database.run(
            lambda db: statements.receipts(db, self.number, after, _RECEIPTS_AT_ONCE)
        )

    async def owner(self) -> str:
        """Return the name that the state has in its destinations."""
        return await self._database.run(feeds.owner)

    async def forget(self) -> None:
        """Forget this feed, if nothing of it is stored."""
        await self._database.run(lambda db: feeds.forget_feed(db, self.number))

    async def settings(self) -> dict[str, Any]:
        """Return what the mirror was last asked for."""
        return await self._database.run(lambda db: feeds.settings(db, self.number))

    async def restart(self) -> None:
        """Forget the cursor: the next pull begins at the beginning, what is there stays."""
        await self._database.run(lambda db: feeds.restart(db, self.number, self.feed))

    async def set_settings(self, settings: Mapping[str, Any]) -> None:
        """Note what the mirror is asked for."""
        await self._database.run(lambda db: feeds.set_settings(db, self.number, settings))

    async def without_row(self, ids: Sequence[str]) -> list[str]:
        """Return those of *ids* that are alive and whose row was lost."""
        known = await self.look(ids)
        return [id_ for id_, one in known.items() if one.digest == b""]

    async def still_owed(self, ids: Collection[str]) -> list[str]:
        """Return those of *ids* that are dead letters."""
        known = await self.look(list(ids))
        return [id_ for id_, one in known.items() if one.is_dead]

    async def is_new(self) -> bool:
        """Tell whether no run of this feed ever began."""
        return await self._database.run(lambda db: feeds.is_new(db, self.number))

    async def mark_running(self, is_running: bool) -> None:  # noqa: FBT001  # a value
        """Note that a run begins, or that it came to its end."""
        await self._database.run(lambda db: feeds.mark_running(db, self.number, is_running))

    async def begin_pass(self) -> int:
        """Return the number of a new complete pass."""
        return await self._database.run(lambda db: statements.begin_pass(db, self.number))

    async def met(self, pass_no: int) -> int:
        """Return how many records a pass has met, each counted once."""
        return await self._database.run(lambda db: statements.met(db, self.number, pass_no))

    async def doom_unseen(self, pass_no: int) -> None:
        """Doom what a complete pass did not meet."""
        await self._database.run(lambda db: statements.doom_unseen(db, self.number, pass_no))

    async def without_receipt(self, ids: Sequence[str]) -> list[str]:
        """Return those of *ids* that are alive and have no content."""
        known = await self.look(ids)
        return [i for i, k in known.items() if k.digest is not None and k.receipt is None]

    async def log_run(self, kind: str, started_at: float, outcome: str, report: Report) -> None:
        """Keep what a run did, for `status`."""
        text = json.dumps(attrs.asdict(report))
        await self._database.run(
            lambda db: statements.log_run(db, self.number, (kind, started_at, outcome, text))
        )
