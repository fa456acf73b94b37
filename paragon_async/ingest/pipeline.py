"""From pages to a mirror: one feeder, some workers, one committer.

    pages → feeder → contents → workers → page done → committer → rows, receipts, cursor

The feeder looks up what is known and hands contents to the workers through a narrow door; a page
whose contents are all safe, or dead letters, goes to the committer. Only so many pages and bytes are
on their way: a slow sink stops the feeder, and the feeder stops asking for pages.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
import attrs
from anyio.abc import ObjectReceiveStream, ObjectSendStream

from paragon_async.ingest.book import Book
from paragon_async.ingest.committer import Committer
from paragon_async.ingest.contents import Contents, Fetched, Need
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.glance import Glance
from paragon_async.ingest.groups import first
from paragon_async.ingest.jobs import Entry, Job
from paragon_async.ingest.room import Room
from paragon_async.ingest.sinks.protocol import encoded
from paragon_async.ingest.statements import Known
from paragon_async.ingest.strangers import Strangers
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import DeadLetter
from paragon_async.models import Page, Record

_PAGES = 4
# So many contents in a row that fail for passing reasons are no accident of single files.
_PATIENCE = 20
_UNKNOWN_SIZE = 4 << 20
_Item = tuple[Job, Record, Known]


@attrs.define(eq=False, kw_only=True)
class Pipeline:
    """One pass over some pages. *room* bounds contents, with others that share it, by *key*.

    With *walks* the pages are the feed's, in order, and move the frontier; contents that fail one
    after the other then stop it, for that is no matter of a file. Single records are all tried.
    """

    book: Book
    contents: Contents
    committer: Committer
    frontier: Frontier
    room: Room
    key: str
    workers: int
    tally: Tally
    walks: bool
    _busy: set[str] = attrs.field(factory=set, init=False)
    _jobs: list[Job] = attrs.field(factory=list, init=False)
    _strangers: Strangers | None = attrs.field(default=None, init=False)
    _misses: list[DeadLetter] = attrs.field(factory=list, init=False)
    _window: anyio.Semaphore = attrs.field(factory=lambda: anyio.Semaphore(_PAGES), init=False)

    async def run(self, pages: AsyncGenerator[Page[Record], None]) -> None:
        """Mirror all *pages*; raises what stops the run.

        However it ends, pages that are done are committed. Cancelling lets go of contents on their
        way, whose old versions stay.
        """
        try:
            await self._run(pages)
        except BaseExceptionGroup as group:
            raise first(group) from None
        finally:
            with anyio.CancelScope(shield=True):
                await self.committer.flush()

    async def _run(self, pages: AsyncGenerator[Page[Record], None]) -> None:
        if await self.book.is_empty():
            self._strangers = Strangers()
        send, receive = anyio.create_memory_object_stream[_Item](0)
        async with aclosing(pages), receive, anyio.create_task_group() as outer:
            outer.start_soon(self.committer.serve)
            async with anyio.create_task_group() as inner:
                for _ in range(self.workers):
                    inner.start_soon(self._work, receive.clone())
                async with send:
                    async for page in pages:
                        await self._page(page, send)
            self.committer.close()

    async def _page(self, page: Page[Record], send: ObjectSendStream[_Item]) -> None:
        """Decide about every record of a page, and hand on what has to be fetched."""
        await self.committer.room()
        await self._window.acquire()
        # A record can come twice in a page, and the later one counts.
        latest = {record.data["id"]: record for record in page.records}
        await self._settled(latest)
        maybe_known = latest if self._strangers is None else self._strangers.met(latest)
        glance = await self.book.glance(maybe_known) if maybe_known else Glance()
        job = Job(
            ticket=self.frontier.begin(page.cursor) if self.walks else None,
            ids=frozenset(latest),
        )
        self._busy |= job.ids
        self._jobs.append(job)
        items = self._sort(job, latest, glance)
        # Before anything of them is touched: a crash then leaves word of what may not be as it seems.
        job.intended = [*(item[1].id for item in items), *job.strays]
        job.intended += [e.id for e in job.entries if e.lost_its_content]
        await self.book.intend(job.intended)
        job.pending = len(items)
        self.tally.report.records += len(page.records)
        self.tally.remaining, self.tally.total = page.remaining, page.total
        if not items:
            self._done(job)
        for item in items:
            await send.send(item)

    def _sort(self, job: Job, latest: dict[str, Record], glance: Glance) -> list[_Item]:
        """Note what needs no content, and return what does."""
        if not self.contents.brings_any and not glance.known:
            # The fast way of a pull of records alone: `_decide` comes to the same, one by one.
            living = [record for record in latest.values() if not record.deleted]
            if len(living) < len(latest):
                gone = latest.keys() & glance.digests.keys()
                job.doomed = [id_ for id_ in gone if latest[id_].deleted]
            job.plain(living, glance.digests)
            return []
        return [item for record in latest.values() for item in self._decide(job, record, glance)]

    def _decide(self, job: Job, record: Record, glance: Glance) -> list[_Item]:
        mine = glance.of(record.id)
        if record.deleted:
            if mine.digest is not None:
                job.doomed.append(record.id)
            elif mine.receipt or mine.is_suspect or mine.is_dead:
                job.strays.append(record.id)
            return []
        need = self.contents.plan(record, mine)
        entry = Entry(id=record.id, record=b"", known=mine, receipt=None)
        # What lies there of a suspect has to be looked at, however unreadable its record is.
        if isinstance(need, DeadLetter) and not mine.is_suspect:
            entry.receipt, entry.dead = mine.receipt, need
        elif need is Need.NOTHING or (need is Need.KEEP and not mine.is_suspect):
            entry.receipt = None if mine.is_suspect else mine.receipt
        elif need is not Need.DROP:
            return [(job, record, mine)]
        entry.record = encoded(record.data)
        job.entries.append(entry)
        return []

    async def _settled(self, latest: dict[str, Record]) -> None:
        """Wait for pages before that hold one of these records: versions stay in their order."""
        self._forget()
        if self._busy.isdisjoint(latest):
            return
        for job in self._jobs:
            if not job.ids.isdisjoint(latest):
                with self.committer.hurrying():
                    await job.committed.wait()
        self._forget()

    def _forget(self) -> None:
        """Let go of pages that are committed; no record is in two that are not."""
        for job in self._jobs:
            if job.committed.is_set():
                self._busy -= job.ids
        self._jobs = [job for job in self._jobs if not job.committed.is_set()]

    async def _work(self, receive: ObjectReceiveStream[_Item]) -> None:
        async with receive:
            async for job, record, known in receive:
                fetched = await self._bring(record, known)
                await self._note(fetched, known)
                job.entries.append(
                    Entry(
                        id=record.id,
                        record=encoded(record.data),
                        known=known,
                        receipt=fetched.receipt,
                        is_new=fetched.is_new,
                        is_touched=fetched.receipt is not None and fetched.dead is None,
                        dead=fetched.dead,
                    )
                )
                job.pending -= 1
                if not job.pending:
                    self._done(job)

    async def _bring(self, record: Record, known: Known) -> Fetched:
        size = record.data.get("size")
        come = 0

        def progress(now: int, _: int | None) -> None:
            nonlocal come
            self.tally.bytes_in_flight += now - come
            come = now
            self.tally.tell()

        # Documents that are exported and archives of tickets do not say how large they will be.
        room = size if isinstance(size, int) and size > 0 else _UNKNOWN_SIZE
        async with self.room.hold(self.key, room):
            self.tally.in_flight += 1
            try:
                return await self.contents.bring(record, known, progress=progress)
            finally:
                self.tally.in_flight -= 1
                self.tally.bytes_in_flight -= come

    async def _note(self, fetched: Fetched, known: Known) -> None:
        """Count; raise when contents fail one after the other, with word left of each."""
        if fetched.is_new:
            self.tally.report.files += 1
            self.tally.report.bytes += fetched.size
        if not (fetched.passing and fetched.dead):
            self._misses.clear()
        elif self.walks and not known.is_dead:
            # One that failed before says nothing new: the next run gets past it.
            self._misses.append(fetched.dead)
            if len(self._misses) >= _PATIENCE:
                await self.book.bury(self._misses)
                raise fetched.passing
        self.tally.tell()

    def _done(self, job: Job) -> None:
        self._window.release()
        self.committer.add(job)
