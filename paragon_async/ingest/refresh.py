"""What is there, held against what should be: for `verify`, `retry` and `reconcile`.

examine      every content by hash, every file of rows by size
again        single records, asked for one by one, as pages
complete     may a pass that came to its end be believed?
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import anyio
import attrs

from paragon_async.client import ConnectedUser
from paragon_async.errors import ApiError, AuthenticationError, IngestError, NotFoundError
from paragon_async.ingest.book import Book
from paragon_async.ingest.contents import judge
from paragon_async.ingest.groups import first
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import Receipt
from paragon_async.models import Page, Record

_AT_ONCE = 100
_READERS = 4


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
        found.places = await sink.lacks(marks)
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

    async with anyio.create_task_group() as group:
        for _ in range(_READERS):
            group.start_soon(look)


async def again(
    user: ConnectedUser, sync_id: str, book: Book, ids: Sequence[str]
) -> AsyncGenerator[Page[Record], None]:
    """Yield records by id; one that is gone comes as a tombstone, one that is refused not at all."""
    for start in range(0, len(ids), _AT_ONCE):
        block = ids[start : start + _AT_ONCE]
        records = await _gather(user, sync_id, book, block)
        if any(record.deleted for record in records):
            # A sync that is gone answers 404 for every record: that deletes nothing.
            await user.syncs.status(sync_id)
        yield Page(records, None, len(ids) - start - len(block), len(ids))


async def _gather(
    user: ConnectedUser, sync_id: str, book: Book, ids: Sequence[str]
) -> list[Record]:
    found: list[Record] = []
    turn = iter(ids)

    async def fetch() -> None:
        for id_ in turn:
            try:
                found.append(await user.records.get(sync_id, id_))
            except NotFoundError:
                found.append(Record({"id": id_, "deleted": True}))
            except ApiError as error:
                if error.retryable or isinstance(error, AuthenticationError):
                    raise
                await book.bury([judge(error, Record({"id": id_}))])

    try:
        async with anyio.create_task_group() as group:
            for _ in range(_READERS):
                group.start_soon(fetch)
    except BaseExceptionGroup as errors:
        raise first(errors) from None
    return found


def complete(tally: Tally, came: int) -> None:
    """Raise `IngestError` unless a pass that ended met everything that the service counts."""
    if tally.remaining or came < (tally.total or 0):
        raise IngestError(
            f"the pass met {came} records where the service counts {tally.total} and {tally.remaining} "
            "still to come: nothing was deleted for its sake; reconcile again later"
        )
