"""What is there, held against what should be: for `verify`, `retry` and `reconcile`.

examine      every content by hash, every file of rows by size
again        single records, asked for one by one, as pages
complete     may a pass that came to its end be believed?
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any

import anyio
import attrs

from paragon_async.client import ConnectedUser
from paragon_async.errors import (
    IngestError,
    NotFoundError,
    ParagonError,
    TransportError,
)
from paragon_async.ingest.book import Book
from paragon_async.ingest.contents import ELSEWHERE, judge
from paragon_async.ingest.groups import first
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import Receipt
from paragon_async.models import Page, Record, SyncStatus

_AT_ONCE = 100
_READERS = 4
_PATIENCE = 20


@attrs.define(kw_only=True)
class Verified:
    """What `verify` found: *contents* looked at, and ids and locations of those gone or altered.

    *places* are files of rows that are damaged. *restored* contents are there again or deleted at
    their source, *is_mended* tells that all was done about the rest, *dead_letters* stand at the end.
    """

    contents: int = 0
    bytes: int = 0
    damaged: dict[str, str] = attrs.field(factory=dict)
    places: list[str] = attrs.field(factory=list)
    restored: int = 0
    is_mended: bool = False
    dead_letters: int = 0

    @property
    def is_good(self) -> bool:
        """Whether every content is there at the end; rows of damaged places are written anew."""
        return len(self.damaged) == self.restored and (self.is_mended or not self.places)


async def examine(book: Book, sink: Sink, *, thorough: bool = True) -> Verified:
    """Look at every content that has a receipt and, when *thorough*, read it, and at all rows."""
    found = Verified()
    async for block in book.receipts():
        await _examine(block, sink, found, thorough=thorough)
    if thorough:
        marks = {name: place.size for name, place in (await book.places()).items()}
        found.places = sorted({*await sink.lacks(marks), *await sink.differs(book)})
    return found


async def _examine(
    block: Sequence[Receipt], sink: Sink, found: Verified, *, thorough: bool
) -> None:
    turn = iter(block)

    async def look() -> None:
        for receipt in turn:
            sha256 = receipt.sha256 if thorough else None
            if not await sink.holds(receipt.path, receipt.size, sha256):
                found.damaged[receipt.id] = receipt.path
            found.contents += 1
            found.bytes += receipt.size

    await _side_by_side(look)


async def again(
    user: ConnectedUser,
    sync_id: str,
    book: Book,
    ids: Sequence[str],
    failed: list[str] | None = None,
) -> AsyncGenerator[Page[Record], None]:
    """Yield records by id; one that is gone comes as a tombstone, one that is refused not at all.

    Where *failed* is given, ids for which the service has no answer are put there, instead of raising.
    """
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        records = await _gather(user, sync_id, book, block, failed)
        if any(record.deleted for record in records):
            # A sync that is gone answers 404 for every record: that deletes nothing.
            await user.syncs.status(sync_id)
        yield Page(records, None, len(ids) - start - len(block), len(ids))


async def _gather(
    user: ConnectedUser, sync_id: str, book: Book, ids: Sequence[str], failed: list[str] | None
) -> list[Record]:
    found: list[Record] = []
    misses: list[str] = []
    turn = iter(ids)

    async def fetch() -> None:
        for id_ in turn:
            try:
                found.append(await user.records.get(sync_id, id_))
            except NotFoundError:
                found.append(Record({"id": id_, "deleted": True}))
            except ParagonError as error:
                if isinstance(error, ELSEWHERE):
                    raise
                if failed is not None:
                    failed.append(id_)
                    continue
                if isinstance(error, TransportError) and not error.sent:
                    raise
                await book.bury([judge(error, Record({"id": id_}))])
                # One record without an answer stops nothing; one after the other is no accident.
                misses.append(id_)
                if len(misses) >= _PATIENCE:
                    raise
            else:
                misses.clear()

    await _side_by_side(fetch)
    return found


async def _side_by_side(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        async with anyio.create_task_group() as group:
            for _ in range(_READERS):
                group.start_soon(work)
    except BaseExceptionGroup as errors:
        raise first(errors) from None


def settled(sync: SyncStatus) -> None:
    """Raise `IngestError` unless the sync is at rest: while it works, what is missing may yet come."""
    if sync.status != "IDLE":
        raise IngestError(
            f"the sync is {sync.status}: nothing was deleted for the sake of this pass; "
            "reconcile again when it is IDLE"
        )


def complete(tally: Tally, met: int) -> None:
    """Raise `IngestError` unless a pass that ended met as many records as the service counts."""
    if tally.remaining == 0 and tally.total is not None and met >= tally.total:
        return
    if tally.total is None or tally.remaining is None:
        why = "the service does not say how many records there are"
    else:
        why = f"the pass met {met} records, the service counts {tally.total}"
    raise IngestError(f"{why}: nothing was deleted for its sake; reconcile again later")
