"""Deletes: collected durably while a run goes on, counted at its end, then applied, or none of them.

A record that is gone at its source is doomed in the same commit that moves the cursor past its
tombstone; one that comes back alive meanwhile is spared. Only when the run has seen everything is it
known how many there are, which is what the fuse asks.
"""

from __future__ import annotations

from paragon_async.errors import TooManyDeletesError
from paragon_async.ingest.book import Book
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.tally import Tally

_AT_ONCE = 500


def check(count: int, total: int, fuse: float | None) -> None:
    """Raise `TooManyDeletesError` when *count* of *total* is more than the share *fuse*."""
    if fuse is None or count <= fuse * total:
        return
    raise TooManyDeletesError(
        f"{count} of {total} records of this mirror are to be deleted, more than the {fuse:.0%} that "
        "one run may: nothing was deleted; look at the source, and if it is right, run again with a "
        "higher fuse (--max-delete 100%)",
        count=count,
        total=total,
    )


async def apply(
    book: Book, sink: Sink, tally: Tally, fuse: float | None, reason: str | None = None
) -> None:
    """Delete what is doomed, for *reason* or for any.

    Contents go first, so that a crash leaves the state to say what is left.
    """
    count = await book.count_doomed(reason)
    if not count:
        return
    check(count, await book.alive(), fuse)
    while ids := await book.doomed(_AT_ONCE, reason):
        for id_ in ids:
            await sink.remove(id_)
        await sink.settle()
        mark = await sink.write((), [{"id": id_, "deleted": True} for id_ in ids])
        await book.delete(ids, mark)
        tally.report.deleted += len(ids)
        tally.tell()
