"""Writes the rows of pages that are done, then the state: what is saved is never ahead of what is safe.

    settle contents → remove old ones → write rows → commit receipts, digests, letters and cursor

A step that fails ends the run; every step before it can be repeated. Source: failures.md, "order of
operations for one file".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import anyio
import attrs

from paragon_async.ingest.book import Book
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.jobs import Entry, Job, changed
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.statements import Batch
from paragon_async.ingest.tally import Tally

_ROWS_AT_ONCE = 5_000
# Rows that are written and not yet committed: their ids and digests take some hundred bytes each.
_MOST_WRITTEN = 24_000
# A commit touches a page of the tree for almost every row, so it waits for some, though not for long.
_WORTH_A_COMMIT = 12_000
_PATIENCE = 0.2


@attrs.frozen(kw_only=True)
class _Group:
    """Jobs whose rows are durable, and what is to be committed of them."""

    jobs: list[Job]
    batch: Batch
    size: int
    created: int
    updated: int
    unchanged: int

    @classmethod
    def of(cls, jobs: list[Job], entries: list[Entry], batch: Batch, plain_rows: int) -> _Group:
        """Count *jobs*, with *plain_rows* that are of no entry, and let go of what is written."""
        renewed = sum(len(job.replaced) for job in jobs)
        known = [e for e in entries if e.known.digest is not None]
        updated = sum(e.is_new or e.id in batch.rows for e in known)
        found = cls(
            jobs=jobs,
            batch=batch,
            size=sum(len(job.ids) for job in jobs),
            created=plain_rows - renewed + len(entries) - len(known),
            updated=renewed + updated,
            unchanged=sum(job.unchanged for job in jobs) + len(known) - updated,
        )
        for job in jobs:
            job.rows, job.digests, job.entries = [], {}, []  # its ids are needed until the commit
        return found


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
    _written: list[_Group] = attrs.field(factory=list, init=False)
    _ready_rows: int = attrs.field(default=0, init=False)
    _written_rows: int = attrs.field(default=0, init=False)
    _changed: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _is_closing: bool = attrs.field(default=False, init=False)
    _hurried: int = attrs.field(default=0, init=False)
    _due_at: float = attrs.field(default=math.inf, init=False)
    _has_written: bool = attrs.field(default=False, init=False)
    _can_write: bool = attrs.field(default=True, init=False)
    _can_commit: bool = attrs.field(default=True, init=False)

    def add(self, job: Job) -> None:
        """Take a page whose contents are all done."""
        self._ready.append(job)
        self._ready_rows += len(job.ids)
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
        while self._ready_rows >= self._most + _ROWS_AT_ONCE:
            await self._change()

    async def serve(self) -> None:
        """Write and commit until closed. Cancelling waits for the steps under way.

        While rows are being written, those written before are committed, all that there are: the
        longer a commit takes, the more rows share the next one.
        """
        async with anyio.create_task_group() as both:
            both.start_soon(self._commit_all)
            await self._write_all()
            self._has_written = True
            self._notify()

    async def flush(self) -> None:
        """Write and commit what is ready after the run was stopped, but for a step that failed."""
        while self._ready and self._can_write and self._can_commit:
            await self._write(self._group())
        if self._written and self._can_commit:
            await self._commit()

    async def _write_all(self) -> None:
        while not (self._is_closing and not self._ready):
            is_due = self._ready_rows >= self.sink.batch_rows or self._is_closing or self._hurried
            if self._ready and is_due and self._written_rows < _MOST_WRITTEN:
                await self._write(self._group())
            else:
                await self._change()

    async def _commit_all(self) -> None:
        while not (self._has_written and not self._written):
            if self._written and (self._is_worth_it or anyio.current_time() >= self._due_at):
                await self._commit()
            else:
                with anyio.CancelScope(deadline=self._due_at):
                    await self._change()

    @property
    def _is_worth_it(self) -> bool:
        """Whether so many rows are written that a commit costs little a row, or somebody waits."""
        is_hurried = self._hurried or self._has_written or self._is_closing
        return bool(is_hurried or self._written_rows >= _WORTH_A_COMMIT)

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

    async def _write(self, jobs: list[Job]) -> None:
        # Within a write, and within a commit, there is no good moment to stop.
        with anyio.CancelScope(shield=True):
            self._can_write = False
            group = await self._settle_and_write(jobs)
            self._can_write = True
        self._ready_rows -= group.size
        self._written_rows += group.size
        if not self._written:
            self._due_at = anyio.current_time() + _PATIENCE
        self._written.append(group)
        self._notify()

    async def _commit(self) -> None:
        groups, self._written = self._written, []
        self._due_at = math.inf
        tickets = [job.ticket for group in groups for job in group.jobs if job.ticket]
        cursor = self.frontier.after(tickets) if tickets and self.saves else None
        with anyio.CancelScope(shield=True):
            self._can_commit = False
            await self.book.commit(*(group.batch for group in groups), Batch(cursor=cursor))
            self._can_commit = True
        self.frontier.finish(tickets)
        for group in groups:
            self._count(group)
            self._written_rows -= group.size
            for job in group.jobs:
                job.committed.set()
        self._notify()
        self.tally.tell()

    async def _settle_and_write(self, jobs: list[Job]) -> _Group:
        """Make contents last, remove old ones, write rows; return what is to be committed."""
        entries = [entry for job in jobs for entry in job.entries]
        rows, digests = changed(entries)
        of_entries = len(rows)
        for job in jobs:
            rows += job.rows
            digests |= job.digests
        # Other sinks are durable with every content, and its receipt is written by then.
        settled = [e for e in entries if self.sink.settles and e.receipt and e.is_touched]
        if settled:
            await self.sink.settle()
        strays = [id_ for job in jobs for id_ in job.strays]
        strays += [e.id for e in entries if e.lost_its_content]
        has_removed = await self._remove(settled, strays)
        if has_removed or not self.sink.settles:
            # What a power cut brings back after the commit, nobody would look for.
            await self.sink.settle()
        mark = await self.sink.write(rows, ()) if rows else None
        batch = Batch(
            rows=digests,
            receipts=[e.receipt for e in settled if e.receipt],
            mark=mark,
            replaced=[
                *(e.id for e in entries if e.id in digests and e.known.digest is not None),
                *(id_ for job in jobs for id_ in job.replaced),
            ],
            dead=[e.dead for e in entries if e.dead],
            healed=[
                *(e.id for e in entries if e.known.is_dead and not e.dead),
                *(id_ for job in jobs for id_ in job.strays),
            ],
            spared=[e.id for e in entries if e.known.is_doomed],
            doomed={id_: self.reason for job in jobs for id_ in job.doomed},
            seen=[i for job in jobs for i in job.ids] if self.pass_no is not None else (),
            strays=strays,
            cleared=[id_ for job in jobs for id_ in job.intended],
            pass_no=self.pass_no,
        )
        return _Group.of(jobs, entries, batch, len(rows) - of_entries)

    async def _remove(self, settled: list[Entry], strays: list[str]) -> bool:
        """Let old contents go, the new ones being durable; tell whether there were any."""
        old = [e for e in settled if e.known.receipt or e.known.is_suspect]
        for entry in old:
            if entry.receipt:
                await self.sink.remove(entry.id, entry.receipt.path)
        for id_ in strays:
            await self.sink.remove(id_)
        return bool(old or strays)

    def _count(self, group: _Group) -> None:
        report = self.tally.report
        report.created += group.created
        report.updated += group.updated
        report.unchanged += group.unchanged
        if self.saves:
            report.cursor = self.frontier.cursor
