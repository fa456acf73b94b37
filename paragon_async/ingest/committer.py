"""Writes the rows of pages that are done, then the state: what is saved is never ahead of what is safe.

    settle contents → remove old ones → write rows → commit receipts, digests, letters and cursor

A step that fails ends the run; every step before it can be repeated. Source: failures.md, "order of
operations for one file".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager

import anyio
import attrs

from paragon_async.ingest.book import Book
from paragon_async.ingest.frontier import Frontier, Ticket
from paragon_async.ingest.sinks.protocol import Row, Sink
from paragon_async.ingest.statements import Batch, Known
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import DeadLetter, Receipt, digest_of
from paragon_async.models import Record

_ROWS_AT_ONCE = 5_000


@attrs.frozen(kw_only=True)
class Entry:
    """What came of one living record; *is_touched* when its contents may have changed in the sink."""

    record: Record
    known: Known
    receipt: Receipt | None
    is_new: bool = False
    is_touched: bool = False
    dead: DeadLetter | None = None

    @property
    def lost_its_content(self) -> bool:
        """Whether something may lie in the sink that is no content of this record any more."""
        return self.receipt is None and bool(self.known.receipt or self.known.is_suspect)


@attrs.define(eq=False, kw_only=True)
class Job:
    """One page on its way: what is done of it, and how many contents it still waits for.

    *doomed* ids are to be deleted; the contents of *intended* ones are worked on; *strays* are gone
    and may have left one, though they have no row.
    """

    ticket: Ticket | None
    ids: frozenset[str]
    entries: list[Entry] = attrs.field(factory=list)
    doomed: list[str] = attrs.field(factory=list)
    intended: list[str] = attrs.field(factory=list)
    strays: list[str] = attrs.field(factory=list)
    pending: int = 0
    committed: anyio.Event = attrs.field(factory=anyio.Event)


@attrs.define(eq=False, kw_only=True)
class Committer:
    """Commits jobs in groups, as large as the sink likes them.

    With *saves* the frontier's cursor is the one to resume from. *pass_no* marks what was met,
    *reason* is why tombstones doom: the feed said so, or the API with a 404.
    """

    book: Book
    sink: Sink
    frontier: Frontier
    tally: Tally
    pass_no: int | None = None
    saves: bool = True
    reason: str = "feed"
    _ready: deque[Job] = attrs.field(factory=deque, init=False)
    _waiting_rows: int = attrs.field(default=0, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _is_closing: bool = attrs.field(default=False, init=False)
    _hurried: int = attrs.field(default=0, init=False)
    _has_failed: bool = attrs.field(default=False, init=False)

    def add(self, job: Job) -> None:
        """Take a page whose contents are all done."""
        self._ready.append(job)
        self._waiting_rows += len(job.ids)
        self._notify()

    def close(self) -> None:
        """Let `serve` end when everything is committed."""
        self._is_closing = True
        self._notify()

    @contextmanager
    def hurrying(self) -> Generator[None, None, None]:
        """Commit what is ready, however little, while the body waits for it."""
        self._hurried += 1
        self._notify()
        try:
            yield
        finally:
            self._hurried -= 1

    async def room(self) -> None:
        """Wait until so few rows wait to be written that more may come."""
        while self._waiting_rows >= 2 * self._most:
            await self._change()

    async def serve(self) -> None:
        """Commit until closed. Cancelling waits for the commit under way."""
        while not (self._is_closing and not self._ready):
            if self._ready and (
                self._waiting_rows >= self.sink.batch_rows or self._is_closing or self._hurried
            ):
                await self._commit(self._group())
            else:
                await self._change()

    async def flush(self) -> None:
        """Commit what is ready after the run was stopped, unless committing is what failed."""
        while self._ready and not self._has_failed:
            await self._commit(self._group())

    @property
    def _most(self) -> int:
        """How many rows are written at once: what the sink asks for, where it asks for any number."""
        return self.sink.batch_rows if self.sink.batch_rows > 1 else _ROWS_AT_ONCE

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()

    def _group(self) -> list[Job]:
        group: list[Job] = []
        rows = 0
        while self._ready and (not group or rows < self._most):
            group.append(self._ready.popleft())
            rows += len(group[-1].ids)
        return group

    async def _commit(self, group: list[Job]) -> None:
        # Between a write and its commit there is no good moment to stop.
        with anyio.CancelScope(shield=True):
            try:
                await self._write(group)
            except BaseException:
                self._has_failed = True
                raise
        self._waiting_rows -= sum(len(job.ids) for job in group)
        for job in group:
            job.committed.set()
        self._notify()
        self.tally.tell()

    async def _write(self, group: list[Job]) -> None:
        entries = [entry for job in group for entry in job.entries]
        rows, digests = _changed(entries)
        # Other sinks are durable with every content, and its receipt is written by then.
        settled = {
            e.record.id: e.receipt
            for e in entries
            if self.sink.settles and e.receipt and e.is_touched
        }
        if settled:
            await self.sink.settle()
        # The new contents are durable, so the old ones may go; after the commit nobody would come
        # back for them.
        for id_, receipt in settled.items():
            await self.sink.remove(id_, receipt.path)
        strays = [id_ for job in group for id_ in job.strays]
        strays += [e.record.id for e in entries if e.lost_its_content]
        for id_ in strays:
            await self.sink.remove(id_)
        mark = await self.sink.write(rows, ()) if rows else None
        tickets = [job.ticket for job in group if job.ticket]
        await self.book.commit(
            Batch(
                rows=digests,
                receipts=list(settled.values()),
                mark=mark,
                cursor=self.frontier.after(tickets) if tickets and self.saves else None,
                dead=[e.dead for e in entries if e.dead],
                healed=[
                    *(e.record.id for e in entries if e.known.is_dead and not e.dead),
                    *(id_ for job in group for id_ in job.strays),
                ],
                spared=[e.record.id for e in entries if e.known.is_doomed],
                doomed={id_: self.reason for job in group for id_ in job.doomed},
                seen=[i for job in group for i in job.ids] if self.pass_no is not None else (),
                strays=strays,
                cleared=[id_ for job in group for id_ in job.intended],
                pass_no=self.pass_no,
            )
        )
        self.frontier.finish(tickets)
        self._count(entries, digests)

    def _count(self, entries: list[Entry], digests: dict[str, bytes]) -> None:
        report = self.tally.report
        for entry in entries:
            if entry.known.digest is None:
                report.created += 1
            elif entry.record.id in digests or entry.is_new:
                report.updated += 1
            else:
                report.unchanged += 1
        if self.saves:
            report.cursor = self.frontier.cursor


def _changed(entries: Iterable[Entry]) -> tuple[list[Row], dict[str, bytes]]:
    """Return the rows that are not in the mirror as they are, and their digests."""
    rows: list[Row] = []
    digests: dict[str, bytes] = {}
    for entry in entries:
        receipt = entry.receipt
        row = Row(
            entry.record.id,
            entry.record.data,
            receipt.path if receipt else None,
            receipt.sha256 if receipt else None,
        )
        digest = digest_of(row.line)
        if digest != entry.known.digest:
            rows.append(row)
            digests[row.id] = digest
    return rows, digests
