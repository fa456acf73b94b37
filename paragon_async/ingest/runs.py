"""One run over an open state and sink: how it begins, what it can do, how it ends.

opened(setup, kind)     state, claim, book, sink; afterwards tidy, and a line in the log of runs
Run.pipe(pages)         pages through a pipeline
Run.again(ids)          single records, as pages
Run.delete()            what is doomed, under the fuse
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import attrs

from paragon_async.client import ConnectedUser
from paragon_async.clock import Clock
from paragon_async.errors import ConfigurationError, DestinationError, IngestError, SinkError
from paragon_async.ingest import deletes, refresh
from paragon_async.ingest.book import Book
from paragon_async.ingest.committer import Committer
from paragon_async.ingest.contents import Contents
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.pipeline import Pipeline
from paragon_async.ingest.room import Room
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.state import State
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import Feed, Wanted
from paragon_async.models import Page, Record

GONE = "404"
_log = logging.getLogger("paragon_async.ingest")
Pages = AsyncGenerator[Page[Record], None]


@attrs.define(eq=False, kw_only=True)
class Setup:
    """What an ingest was told. *mode* is its `contents`: true, false or `filter`."""

    user: ConnectedUser
    feed: Feed
    sink: Sink
    state: State
    wanted: Wanted
    mode: bool | str
    workers: int
    room: Room
    fuse: float | None
    clock: Clock


@attrs.frozen(eq=False, kw_only=True)
class Run:
    """One open run."""

    setup: Setup
    tally: Tally
    book: Book
    frontier: Frontier
    pipeline: str | None = None

    async def pipe(
        self,
        pages: Pages,
        *,
        advances: bool = False,
        pass_no: int | None = None,
        reason: str = "feed",
    ) -> None:
        """Take *pages* through a pipeline; with *pass_no* the frontier walks, but is not saved."""
        setup = self.setup
        committer = Committer(
            book=self.book,
            sink=setup.sink,
            frontier=self.frontier,
            tally=self.tally,
            pass_no=pass_no,
            saves=advances,
            reason=reason,
        )
        contents = Contents(
            user=setup.user,
            sync_id=setup.feed.sync,
            sink=setup.sink,
            book=self.book,
            state=setup.state,
            wanted=setup.wanted,
            pipeline=self.pipeline,
            mode=setup.mode,
        )
        await Pipeline(
            book=self.book,
            contents=contents,
            committer=committer,
            frontier=self.frontier,
            room=setup.room,
            key=setup.feed.user,
            workers=setup.workers,
            tally=self.tally,
            walks=advances or pass_no is not None,
        ).run(pages)

    async def again(self, ids: Sequence[str], failed: list[str] | None = None) -> None:
        """Ask for single records once more, and mirror them; *failed* as for `refresh.again`."""
        if ids:
            setup = self.setup
            pages = refresh.again(setup.user, setup.feed.sync, self.book, ids, failed)
            await self.pipe(pages, reason=GONE)

    async def mend(self) -> None:
        """Look at what runs that were cut off worked on, and this one has not met."""
        await self.again(await self.book.suspects())

    async def delete(self, reason: str | None = None) -> None:
        """Apply the deletes that are due, or none of them.

        Those that the feed told of are counted together, when it is read to its end: until then only
        those that the API confirmed with a 404 (*reason* `GONE`) may go.
        """
        await deletes.apply(self.book, self.setup.sink, self.tally, self.setup.fuse, reason)


@asynccontextmanager
async def opened(
    setup: Setup, tally: Tally, kind: str, begins: Callable[[Tally], None]
) -> AsyncGenerator[Run, None]:
    """Hold state and sink for one run; afterwards tidy the rows, and note how it went.

    *begins* is called when the feed is claimed: from then on *tally* is the ingest's.
    """
    started = setup.clock.wall()
    async with setup.state as state:
        with state.claimed(setup.feed):
            begins(tally)
            book = await state.book(setup.feed, setup.sink.identity)
            outcome = "stopped"
            _log.info("%s of sync %r begins", kind, setup.feed.sync)
            try:
                yield await _begin(setup, tally, book, kind)
                await setup.sink.settle()
                await setup.sink.tidy(book)
                await book.mark_running(False)
                outcome = "done"
            except Exception as error:
                outcome = type(error).__name__
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(setup, tally, book, (kind, started, outcome))


async def marks(book: Book) -> dict[str, int]:
    """Return how far each place of rows is filled."""
    return {name: place.size for name, place in (await book.places()).items()}


async def _begin(setup: Setup, tally: Tally, book: Book, kind: str) -> Run:
    cursor = await book.cursor()
    await _claim(setup.sink, book)
    settings = await book.settings()
    if kind in {"run", "reconcile"}:
        if settings.get("contents", setup.mode) != setup.mode:
            # What was not wanted until now was passed over: it has to be met once more.
            await book.restart()
            cursor = None
        pipeline = settings.get("pipeline") or await _pipeline(setup)
        settings = {"contents": setup.mode, "pipeline": pipeline}
        await book.set_settings(settings)
    elif kind != "look" and settings.get("contents", setup.mode) != setup.mode:
        raise ConfigurationError(
            f"this mirror was last run with contents={settings['contents']!r}: {kind} it with the same"
        )
    tally.report.cursor = cursor
    known = await marks(book)
    await setup.sink.open(book.number, known)
    if kind not in {"verify", "look"} and (lacking := await setup.sink.lacks(known)):
        raise SinkError(
            f"{lacking[0]} of the mirror is missing or cut: verify the mirror, which mends it "
            "(paragon-async ingest verify)"
        )
    await book.mark_running(True)
    return Run(
        setup=setup,
        tally=tally,
        book=book,
        frontier=Frontier(cursor),
        pipeline=settings.get("pipeline"),
    )


async def _pipeline(setup: Setup) -> str | None:
    """Return what kind of records the sync has, where the service says so; its status does not."""
    syncs = await setup.user.syncs.list()
    return next((sync.pipeline for sync in syncs if sync.id == setup.feed.sync), None)


async def _claim(sink: Sink, book: Book) -> None:
    is_new = await book.is_new()
    try:
        await sink.claim(await book.owner(), is_new=is_new)
    except SinkError:
        if is_new:
            await book.forget()
        raise


async def _end(setup: Setup, tally: Tally, book: Book, log: tuple[str, float, str]) -> None:
    """Note how a run went. Where even that fails, the run's own error matters more."""
    report = tally.report
    with contextlib.suppress(IngestError, DestinationError):
        report.dead_letters = await book.count_letters()
        report = tally.progress.report
        await book.log_run(*log, report)
    kind, _, outcome = log
    _log.info("%s of sync %r: %s; %s", kind, setup.feed.sync, outcome, report)
    tally.tell(now=True)
    await setup.sink.aclose()
