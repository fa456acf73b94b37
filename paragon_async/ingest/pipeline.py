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
from paragon_async.ingest.committer import Committer, Entry, Job
from paragon_async.ingest.contents import Contents, Fetched, Need
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.groups import first
from paragon_async.ingest.room import Room
from paragon_async.ingest.statements import Known
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import DeadLetter
from paragon_async.models import Page, Record

_PAGES = 4
# So many contents in a row that fail for passing reasons are no accident of single files.
_PATIENCE = 20
_UNKNOWN_SIZE = 4 << 20
_UNKNOWN = Known()
_Item = tuple[Job, Record, Known]


@attrs.define(eq=False, kw_only=True)
class Pipeline:
    """One pass over some pages. *room* bounds contents, with others that share it, by *key*.

    With *walks* the pages are the feed's, in order, and move the frontier. *is_resumed* tells that the
    run before was cut off, so that something may lie in the sink that no receipt tells of.
    """

    book: Book
    contents: Contents
    committer: Committer
    frontier: Frontier
    room: Room
    key: str
    workers: int
    tally: Tally
    is_resumed: bool
    walks: bool
    _busy: dict[str, Job] = attrs.field(factory=dict, init=False)
    _misses: int = attrs.field(default=0, init=False)
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
        latest = {record.id: record for record in page.records}
        await self._settled(latest)
        known = await self.book.look(list(latest))
        job = Job(
            ticket=self.frontier.begin(page.cursor) if self.walks else None,
            ids=frozenset(latest),
        )
        self._busy.update(dict.fromkeys(latest, job))
        items = self._sort(job, latest, known)
        job.pending = len(items)
        self.tally.report.records += len(page.records)
        self.tally.remaining, self.tally.total = page.remaining, page.total
        if not items:
            self._done(job)
        for item in items:
            await send.send(item)

    def _sort(self, job: Job, latest: dict[str, Record], known: dict[str, Known]) -> list[_Item]:
        """Note what needs no content, and return what does."""
        items: list[_Item] = []
        for id_, record in latest.items():
            mine = known.get(id_, _UNKNOWN)
            if record.deleted:
                if mine.digest is not None:
                    job.doomed.append(id_)
                elif self.is_resumed:
                    job.strays.append(id_)
                continue
            need = self.contents.plan(record, mine)
            if isinstance(need, DeadLetter):
                job.entries.append(
                    Entry(record=record, known=mine, receipt=mine.receipt, dead=need)
                )
            elif need is Need.DROP:
                job.strays.append(id_)
                job.entries.append(Entry(record=record, known=mine, receipt=None))
            elif need is Need.NOTHING or (need is Need.KEEP and not self.is_resumed):
                job.entries.append(Entry(record=record, known=mine, receipt=mine.receipt))
            else:
                items.append((job, record, mine))
        return items

    async def _settled(self, latest: dict[str, Record]) -> None:
        """Wait for pages before that hold one of these records: versions stay in their order."""
        for id_ in latest:
            while (job := self._busy.get(id_)) is not None:
                with self.committer.hurrying():
                    await job.committed.wait()
                self._forget(job)
        for job in {id(job): job for job in self._busy.values()}.values():
            if job.committed.is_set():
                self._forget(job)

    def _forget(self, job: Job) -> None:
        for id_ in job.ids:
            if self._busy.get(id_) is job:
                del self._busy[id_]

    async def _work(self, receive: ObjectReceiveStream[_Item]) -> None:
        async with receive:
            async for job, record, known in receive:
                fetched = await self._bring(record, known)
                self._note(fetched)
                job.entries.append(
                    Entry(
                        record=record,
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
                return await self.contents.bring(
                    record, known, is_resumed=self.is_resumed, progress=progress
                )
            finally:
                self.tally.in_flight -= 1
                self.tally.bytes_in_flight -= come

    def _note(self, fetched: Fetched) -> None:
        """Count; raise when contents fail one after the other, for that is no matter of a file."""
        if fetched.is_new:
            self.tally.report.files += 1
            self.tally.report.bytes += fetched.size
        self._misses = self._misses + 1 if fetched.passing else 0
        if fetched.passing and self._misses >= _PATIENCE:
            raise fetched.passing
        self.tally.tell()

    def _done(self, job: Job) -> None:
        self._window.release()
        self.committer.add(job)
