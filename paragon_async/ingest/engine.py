"""The engine: a sync mirrored to a sink, resumable at every instant.

    Ingest.run()        from the saved cursor to the end
    Ingest.reconcile()  a complete pass, for what the feed never said
    Ingest.verify()     every content and row that should be there; what is not is fetched again
    Ingest.retry()      the dead letters once more
    Ingest.follow()     runs, again and again

Each opens the state and the sink, does its pages through a `Pipeline`, applies deletes under the
fuse, tidies the rows, and reports.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn, Self

import anyio
import attrs

from paragon_async.client import ConnectedUser
from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError, DestinationError, IngestError, SinkError
from paragon_async.ingest import deletes, refresh
from paragon_async.ingest.book import Book
from paragon_async.ingest.committer import Committer
from paragon_async.ingest.contents import Contents
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.pipeline import Pipeline
from paragon_async.ingest.refresh import Verified
from paragon_async.ingest.room import Room
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.state import State
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import Feed, OnProgress, Progress, Report, Wanted
from paragon_async.models import Page, Record

MIB = 1 << 20
_RETRIES = 5
Pages = AsyncGenerator[Page[Record], None]


@attrs.frozen(eq=False, kw_only=True)
class _Run:
    """One open run: what its pipelines share."""

    book: Book
    frontier: Frontier
    is_resumed: bool


class Ingest:
    """Mirrors one sync of one connected user: `await Ingest(user, sync_id, sink, "mirror").run()`.

    Args:
        user: whose sync it is, a view of an open `Paragon`.
        sync_id: the sync.
        sink: where records and contents go; `FolderSink("mirror")`, or any `Sink`.
        state: the folder for the state, usually the destination; or a `State`, shared with others.
        contents: whether to fetch contents, or a function that tells by record.
        concurrency: how many contents are fetched at once.
        bytes_at_once: how many bytes they may have together; a larger one is fetched alone.
        page_size: records per page.
        fuse: the largest share of the mirror that one run may delete, None for no bound.
        on_progress: called with `Progress`, at most ten times a second; must be quick.
        clock: where time comes from.

    One run at a time: a second one, here or in another process, is an `IngestError` that says who
    holds the state. Contents also pass the client's gate, `Limits(downloads=…)`.
    """

    def __init__(
        self,
        user: ConnectedUser,
        sync_id: str,
        sink: Sink,
        state: State | str | os.PathLike[str],
        *,
        contents: bool | Wanted = True,
        concurrency: int = 16,
        bytes_at_once: int = 256 * MIB,
        page_size: int = 1000,
        fuse: float | None = 0.5,
        on_progress: OnProgress | None = None,
        clock: Clock | None = None,
    ) -> None:
        if concurrency < 1 or bytes_at_once < 1 or page_size < 1:
            raise ConfigurationError("concurrency, bytes_at_once and page_size must be 1 or more")
        if fuse is not None and not 0 <= fuse <= 1:
            raise ConfigurationError("fuse is a share, from 0 to 1, or None for no bound")
        self.feed = Feed(project=user.project_id or "", user=user.id or "", sync=sync_id)
        self._user = user
        self._sink = sink
        self._state = state if isinstance(state, State) else State(state)
        self._wanted = contents if callable(contents) else (lambda _: bool(contents))
        self._workers = concurrency
        self._room = Room(concurrency, bytes_at_once)
        self._page_size = page_size
        self._fuse = fuse
        self._on_progress = on_progress
        self._clock = clock or SystemClock()
        self._tally = Tally(clock=self._clock)

    @property
    def progress(self) -> Progress:
        """How far the run is, or how far the last one came, however it ended."""
        return self._tally.progress

    def sharing(self, room: Room) -> Self:
        """Let this ingest take its room for contents from *room*, with others; returns itself."""
        self._room = room
        return self

    async def run(self) -> Report:
        """Pull from the saved cursor to the end, and bring the mirror up to date.

        Dead letters that failed for passing reasons are tried again first. Raises what stops a run,
        any `ParagonError`: the sync is gone or the token refused, the service does not answer, the
        disk is full, the fuse (`TooManyDeletesError`). Whatever it raises, also when cancelled: the
        cursor stands where everything before it is durable or a dead letter, old contents are whole,
        and the next run goes on from there.
        """
        async with self._open("run") as run:
            await self._pipe(run, self._again(run, await run.book.due(_RETRIES)))
            pages = self._user.records.pages(
                self.feed.sync, after=run.frontier.cursor, page_size=self._page_size
            )
            await self._pipe(run, pages, advances=True)
            await deletes.apply(run.book, self._sink, self._tally, self._fuse)
        return self._tally.report

    async def reconcile(self) -> Report:
        """Pull everything once more, and find what the feed never said.

        Records that are missing or differ are mirrored, contents that are missing are fetched, and
        records that the feed no longer has are deleted, under the fuse: only after the pass came to
        its end, and met as many records as the service counts. Raises as `run`, and `IngestError`
        when the pass was not complete; then nothing was deleted for its sake.
        """
        async with self._open("reconcile") as run:
            missing = await refresh.examine(run.book, self._sink, thorough=False)
            await run.book.drop_receipts(list(missing.damaged))
            number = await run.book.begin_pass()
            pages = self._user.records.pages(self.feed.sync, page_size=self._page_size)
            walked = Frontier()
            await self._pipe(attrs.evolve(run, frontier=walked), pages, pass_no=number)
            refresh.complete(self._tally, await run.book.met(number))
            await run.book.finish_pass(number, walked.cursor)
            self._tally.report.cursor = walked.cursor or run.frontier.cursor
            await deletes.apply(run.book, self._sink, self._tally, self._fuse)
        return self._tally.report

    async def verify(self, *, fetch: bool = True) -> Verified:
        """Read every content and look at every file of rows; fetch again what is gone or altered.

        Contents are held against size and SHA-256 of their receipts. Without *fetch* nothing is
        asked of the service and nothing mended; what a killed run wrote and did not commit is
        dropped, as by every opening. Raises as `run`.
        """
        async with self._open("verify") as run:
            found = await refresh.examine(run.book, self._sink)
            if fetch and (found.damaged or found.places):
                await run.book.drop_receipts(list(found.damaged))
                ids = {*found.damaged, *await run.book.lose(found.places)}
                # What is left of a damaged place would show its rows twice.
                await self._sink.open(run.book.number, await _marks(run.book))
                await self._pipe(run, self._again(run, sorted(ids)))
                await deletes.apply(run.book, self._sink, self._tally, self._fuse)
                left = await run.book.without_receipt(list(found.damaged))
                found.restored = len(found.damaged) - len(left)
                found.is_mended = True
        found.dead_letters = self._tally.report.dead_letters
        return found

    async def retry(self) -> Report:
        """Try all dead letters once more; those that succeed are none any more. Raises as `run`."""
        async with self._open("retry") as run:
            ids = [letter.id for letter in await run.book.letters()]
            await self._pipe(run, self._again(run, ids))
            await deletes.apply(run.book, self._sink, self._tally, self._fuse)
        return self._tally.report

    async def follow(
        self, *, every: float = 30.0, on_report: Callable[[Report], None] | None = None
    ) -> NoReturn:
        """Run, wait *every* seconds, and run again, until cancelled; *on_report* hears of each run.

        The state stays held in between. Raises as `run`.
        """
        async with self._state:
            while True:
                report = await self.run()
                if on_report:
                    on_report(report)
                await self._clock.sleep(every)

    def _again(self, run: _Run, ids: Sequence[str]) -> Pages:
        return refresh.again(self._user, self.feed.sync, run.book, ids)

    async def _pipe(
        self, run: _Run, pages: Pages, *, advances: bool = False, pass_no: int | None = None
    ) -> None:
        """Take *pages* through a pipeline; with *pass_no* the frontier walks, but is not saved."""
        committer = Committer(
            book=run.book,
            sink=self._sink,
            frontier=run.frontier,
            tally=self._tally,
            pass_no=pass_no,
            saves=advances,
        )
        contents = Contents(
            user=self._user,
            sync_id=self.feed.sync,
            sink=self._sink,
            book=run.book,
            state=self._state,
            wanted=self._wanted,
        )
        await Pipeline(
            book=run.book,
            contents=contents,
            committer=committer,
            frontier=run.frontier,
            room=self._room,
            key=self.feed.user,
            workers=self._workers,
            tally=self._tally,
            is_resumed=run.is_resumed,
            walks=advances or pass_no is not None,
        ).run(pages)

    @asynccontextmanager
    async def _open(self, kind: str) -> AsyncGenerator[_Run, None]:
        """Hold state and sink for one run; afterwards tidy the rows, and note how it went."""
        self._tally = Tally(clock=self._clock, on_progress=self._on_progress)
        started = self._clock.wall()
        async with self._state as state:
            with state.claimed(self.feed):
                book = await state.book(self.feed, self._sink.identity)
                outcome = "stopped"
                try:
                    run = await self._begin(book)
                    yield run
                    await self._sink.settle()
                    await self._sink.tidy(book)
                    # Only a pass over the feed comes by what a run that was cut off has left.
                    await book.mark_running(run.is_resumed and kind in {"verify", "retry"})
                    outcome = "done"
                except Exception as error:
                    outcome = type(error).__name__
                    raise
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._end(book, kind, started, outcome)

    async def _begin(self, book: Book) -> _Run:
        cursor = await book.cursor()
        self._tally.report.cursor = cursor
        was_cut = await book.was_cut()
        if was_cut is None and not await self._sink.is_empty():
            raise SinkError(
                f"{self._sink.identity} is not empty, and the state knows nothing of what is there: "
                "choose an empty destination, or the state folder that belongs to it"
            )
        await self._sink.open(book.number, await _marks(book))
        await book.mark_running(True)
        return _Run(book=book, frontier=Frontier(cursor), is_resumed=bool(was_cut))

    async def _end(self, book: Book, kind: str, started: float, outcome: str) -> None:
        """Note how a run went. Where even that fails, the run's own error matters more."""
        with contextlib.suppress(IngestError, DestinationError):
            self._tally.report.dead_letters = await book.count_letters()
            report = self._tally.progress.report
            await book.log_run(kind, started, outcome, report)
        self._tally.tell(now=True)
        await self._sink.aclose()


async def _marks(book: Book) -> dict[str, int]:
    return {name: place.size for name, place in (await book.places()).items()}
