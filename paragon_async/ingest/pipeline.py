"""From pages to a mirror: one feeder, some workers, one committer.

    pages → feeder → contents → workers → page done → committer → rows, receipts, cursor

The feeder looks up what is known and hands contents to the workers through a narrow door; a page
whose contents are all safe, or dead letters, goes to the committer. Only so many pages and bytes are
on their way: a slow sink stops the feeder, and the feeder stops asking for pages.
"""

from __future__ import annotations

from collections import deque
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
    _busy: dict[str, Job] = attrs.field(factory=dict, init=False)
    _jobs: deque[Job] = attrs.field(factory=deque, init=False)
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
        self._jobs.append(job)
        items = self._sort(job, latest, known)
        # Before anything of them is touched: a crash then leaves word of what may not be as it seems.
        job.intended = [*(item[1].id for item in items), *job.strays]
        job.intended += [e.record.id for e in job.entries if e.lost_its_content]
        await self.book.intend(job.intended)
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
                elif mine.receipt or mine.is_suspect or mine.is_dead:
                    job.strays.append(id_)
                continue
            need = self.contents.plan(record, mine)
            # What lies there of a suspect has to be looked at, however unreadable its record is.
            if isinstance(need, DeadLetter) and not mine.is_suspect:
                job.entries.append(
                    Entry(record=record, known=mine, receipt=mine.receipt, dead=need)
                )
            elif need is Need.DROP or (need is Need.NOTHING and mine.is_suspect):
                job.entries.append(Entry(record=record, known=mine, receipt=None))
            elif need is Need.NOTHING or (need is Need.KEEP and not mine.is_suspect):
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
        while self._jobs and self._jobs[0].committed.is_set():
            self._forget(self._jobs.popleft())

    def _forget(self, job: Job) -> None:
        for id_ in job.ids:
            if self._busy.get(id_) is job:
                del self._busy[id_]

    async def _work(self, receive: ObjectReceiveStream[_Item]) -> None:
        async with receive:
            async for job, record, known in receive:
                fetched = await self._bring(record, known)
                await self._note(fetched, known)
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
