"""What a run would do, found without doing it: state and feed are read, nothing is written.

preview(user, sync_id, folder)    counts, as the next `Ingest.run` or `reconcile` would come to them
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from pathlib import Path

import attrs

from paragon_async.client import ConnectedUser
from paragon_async.ingest import feeds, overview, statements
from paragon_async.ingest.contents import content_name, has_content
from paragon_async.ingest.sinks.protocol import Row, encoded
from paragon_async.ingest.statements import Known
from paragon_async.ingest.values import Feed, digest_of, version_of
from paragon_async.models import Page, Record
from paragon_async.threads import in_thread

_UNKNOWN = Known()


@attrs.define(kw_only=True)
class Preview:
    """What would come of a run: counts are of records, *bytes* of contents as their records say.

    *alive* is how many records the mirror holds, of which *deleted* would go.
    """

    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    files: int = 0
    bytes: int = 0
    alive: int = 0

    @property
    def share(self) -> float:
        """The share of the mirror that would be deleted: what the fuse asks for."""
        return self.deleted / self.alive if self.alive else 0.0


async def preview(
    user: ConnectedUser,
    sync_id: str,
    folder: str | os.PathLike[str],
    *,
    contents: bool = True,
    complete: bool = False,
) -> Preview:
    """Pull what a run into the mirror in *folder* would pull, and count what it would change.

    With *complete* as `reconcile` would. The folder need not exist. No lock is taken, so an ingest may
    be at work there; then the counts are those of about now. Raises as `Records.pull`, and `StateError`
    for a state that cannot be read.
    """
    feed = Feed(project=user.project_id or "", user=user.id or "", sync=sync_id)
    mirror = await in_thread(_Mirror.of, Path(folder), feed)
    found = Preview(alive=mirror.alive)
    gone: set[str] = set()
    met: set[str] = set()
    pages = user.records.pages(sync_id, after=None if complete else mirror.cursor)
    async with aclosing(pages):
        await _walk(pages, mirror, found, gone, met if complete else None, contents=contents)
    doomed = await in_thread(mirror.doomed)
    gone |= doomed - met
    if complete:
        gone |= await in_thread(mirror.others, met)
    found.deleted = len(gone)
    return found


async def _walk(
    pages: AsyncGenerator[Page[Record], None],
    mirror: _Mirror,
    found: Preview,
    gone: set[str],
    met: set[str] | None,
    *,
    contents: bool,
) -> None:
    async for page in pages:
        latest = {record.id: record for record in page.records}
        known = await in_thread(mirror.look, list(latest))
        found.records += len(page.records)
        for id_, record in latest.items():
            mine = known.get(id_, _UNKNOWN)
            if record.deleted:
                gone |= {id_} if mine.digest is not None else set()
                continue
            gone.discard(id_)
            if met is not None:
                met.add(id_)
            _count(found, record, mine, wants=contents and has_content(record))


def _count(found: Preview, record: Record, known: Known, *, wants: bool) -> None:
    receipt = known.receipt
    is_there = (
        receipt is not None
        and receipt.version == version_of(record.data)
        and (not wants or Path(receipt.path).name == content_name(record))
    )
    row = Row(record.id, encoded(record.data))
    if receipt is not None and is_there:
        row = Row(record.id, encoded(record.data), receipt.path, receipt.sha256)
    brings = wants and not is_there
    if brings:
        size = record.data.get("size")
        found.files += 1
        found.bytes += size if isinstance(size, int) else 0
    if known.digest is None:
        found.created += 1
    elif brings or digest_of(row.line) != known.digest:
        found.updated += 1
    else:
        found.unchanged += 1


@attrs.frozen(eq=False)
class _Mirror:
    """The state, read a moment at a time; *number* None where it knows nothing of the feed."""

    folder: Path
    number: int | None
    cursor: str | None
    alive: int

    @classmethod
    def of(cls, folder: Path, feed: Feed) -> _Mirror:
        if not overview.is_mirror(folder):
            return cls(folder, None, None, 0)
        with overview.reading(folder) as db:
            number = overview.number_of(db, feed)
            if number is None:
                return cls(folder, None, None, 0)
            return cls(
                folder, number, feeds.cursor_of(db, number, feed), statements.alive(db, number)
            )

    def look(self, ids: list[str]) -> Mapping[str, Known]:
        if self.number is None:
            return {}
        with overview.reading(self.folder) as db:
            return statements.look(db, self.number, ids)

    def doomed(self) -> set[str]:
        if self.number is None:
            return set()
        with overview.reading(self.folder) as db:
            count = statements.count_doomed(db, self.number)
            return set(statements.doomed(db, self.number, count))

    def others(self, met: Collection[str]) -> set[str]:
        """Return the living that a complete pass did not meet."""
        if self.number is None:
            return set()
        with overview.reading(self.folder) as db:
            rows = db.execute(
                "SELECT id FROM records WHERE feed = ? AND deleted_at IS NULL", (self.number,)
            )
            return {row[0] for row in rows}.difference(met)
