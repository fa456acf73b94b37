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
import inspect
import math
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NoReturn, Self

import attrs

from paragon_async.client import ConnectedUser
from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import (
    BadRequestError,
    ConfigurationError,
    IngestError,
    NotFoundError,
    ParagonError,
    RateLimitError,
    ServerError,
    SyncFailedError,
    TransportError,
)
from paragon_async.ingest import refresh
from paragon_async.ingest.book import Book
from paragon_async.ingest.frontier import Frontier
from paragon_async.ingest.hints import Hints
from paragon_async.ingest.refresh import Verified
from paragon_async.ingest.room import Room
from paragon_async.ingest.runs import GONE, Pages, Run, Setup, marks, opened
from paragon_async.ingest.sinks.folder import FolderSink
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.state import State
from paragon_async.ingest.statements import Batch
from paragon_async.ingest.tally import Tally
from paragon_async.ingest.values import Feed, OnProgress, Progress, Report, Wanted
from paragon_async.models import SyncStatus
from paragon_async.webhooks.router import Router

MIB = 1 << 20
_MOST_QUESTIONS = 100
_LONGEST_WAIT = 300.0
# Of the time that a service has been in trouble: so soon after its return it is asked again.
_SHARE = 1 / 8
# More records than these come cheaper by a pass over the feed.
_MANY = 1000
# So that the loop has pages to go on with while a commit is flushed.
_PAGES_AHEAD = 2


class Ingest:
    """Mirrors one sync of one connected user: `await Ingest(user, sync_id, sink, "mirror").run()`.

    Args:
        user: whose sync it is, a view of an open `Paragon`.
        sync_id: the sync.
        sink: where records and contents go: any `Sink`, or the folder of a `FolderSink`.
        state: the folder for the state, usually the destination; or a `State`, shared with others.
        contents: whether to fetch contents, or a function that tells by record. When it changes to
            another of these three, the next run meets all records once more; after changing what a
            function answers, call `reconcile`.
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
        sink: Sink | str | os.PathLike[str],
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
        _check(concurrency, bytes_at_once, page_size, fuse, contents)
        self.feed = Feed(project=user.project_id or "", user=user.id or "", sync=sync_id)
        self._user = user
        self._page_size = page_size
        self._on_progress = on_progress
        self._clock = clock or SystemClock()
        self._tally = Tally(clock=self._clock)
        self._hints = Hints(self.feed)
        self._setup = Setup(
            user=user,
            feed=self.feed,
            sink=FolderSink(sink) if isinstance(sink, str | os.PathLike) else sink,
            state=state if isinstance(state, State) else State(state),
            wanted=contents if callable(contents) else (lambda _: contents),
            mode="filter" if callable(contents) else contents,
            workers=concurrency,
            room=Room(concurrency, bytes_at_once),
            fuse=fuse,
            clock=self._clock,
        )

    @property
    def progress(self) -> Progress:
        """How far the run is, or how far the last one came, however it ended."""
        return self._tally.progress

    def sharing(self, room: Room) -> Self:
        """Let this ingest take its room for contents from *room*, with others; returns itself."""
        self._setup.room = room
        return self

    async def run(self) -> Report:
        """Pull from the saved cursor to the end, and bring the mirror up to date.

        Dead letters that failed for passing reasons are tried again first. Raises what stops a run,
        any `ParagonError`: the sync is gone or the token refused, the service does not answer, the
        disk is full, the fuse (`TooManyDeletesError`); for a sync that is ERRORED `SyncFailedError`,
        when all it has is mirrored. Whatever it raises, also when cancelled: the cursor stands where
        everything before it is durable or a dead letter, old contents are whole, and the next run
        goes on from there.
        """
        sync = await self._start()
        async with self._open("run", sync) as run:
            await run.again(await run.book.due())
            try:
                await run.pipe(self._pages(run.frontier.cursor), advances=True)
            except BadRequestError as error:
                raise _refused(error, run.frontier.cursor) from error
            await run.mend()
            await run.delete()
            report = run.tally.report
        if sync.status == "ERRORED":
            raise SyncFailedError(
                f"sync {self.feed.sync} is ERRORED: {sync.reason or 'the service gives no reason'}; "
                "what it had is mirrored",
                sync_id=self.feed.sync,
                status=sync.status,
                reason=sync.reason,
            )
        return report

    async def reconcile(self) -> Report:
        """Pull everything once more, and find what the feed never said.

        Records that are missing or differ are mirrored, contents that are missing are fetched, and
        records that the feed no longer has are deleted, under the fuse: only after the pass came to
        its end, met as many records as the service counts, and the sync is IDLE. After a complete pass
        later runs go on from where it ended. Raises as `run`, and `IngestError` when the pass cannot be
        believed; then nothing was deleted for its sake.
        """
        sync = await self._start()
        async with self._open("reconcile", sync) as run:
            missing = await refresh.examine(run.book, self._setup.sink, thorough=False)
            await run.book.owe(missing.damaged)
            number = await run.book.begin_pass()
            walked = attrs.evolve(run, frontier=Frontier())
            await walked.pipe(self._pages(None), pass_no=number)
            await run.mend()
            refresh.complete(run.tally, await run.book.met(number))
            cursor = walked.frontier.cursor
            await run.book.commit(Batch(cursor=cursor))
            report = run.tally.report
            report.cursor = cursor or run.frontier.cursor
            refresh.settled(await self._user.syncs.status(self.feed.sync))
            await run.book.doom_unseen(number)
            await run.delete()
        return report

    async def verify(self, *, fetch: bool = True) -> Verified:
        """Read every content and every row, and fetch again what is gone or altered.

        Contents are held against size and SHA-256 of their receipts, rows against their digests.
        Without *fetch* nothing is asked of the service and nothing mended; what a killed run wrote
        and did not commit is dropped, as by every opening. What could not be fetched is a dead
        letter. Raises as `run`.
        """
        async with self._open("verify" if fetch else "look") as run:
            sink, book = self._setup.sink, run.book
            found = await refresh.examine(book, sink)
            if fetch and (found.damaged or found.places):
                owed = await book.owe(found.damaged, found.places)
                # What is left of a damaged place would show its rows twice.
                await sink.open(book.number, await marks(book))
                if len(owed) > _MANY:
                    await run.pipe(self._pages(None))
                    owed = await book.still_owed(owed)
                await run.again(owed)
                await run.delete(GONE)
                left = await book.without_receipt(list(found.damaged))
                found.restored = len(found.damaged) - len(left)
                found.is_mended = not await book.without_row(owed)
            report = run.tally.report
        found.dead_letters = report.dead_letters
        return found

    async def retry(self) -> Report:
        """Try all dead letters once more; those that succeed are none any more. Raises as `run`."""
        async with self._open("retry") as run:
            await run.again([letter.id for letter in await run.book.letters()])
            await run.mend()
            await run.delete(GONE)
            return run.tally.report

    async def follow(
        self,
        *,
        every: float = 30.0,
        pause: float = 1.0,
        events: Router | None = None,
        on_report: Callable[[Report], None] | None = None,
        on_error: Callable[[ParagonError, float], None] | None = None,
    ) -> NoReturn:
        """Run, wait, and run again, until cancelled; *on_report* hears of each run.

        A run begins *every* seconds, and as soon as one of *events* tells of this sync, but never
        within *pause* seconds of the last one: whoever can send events cannot cause more calls than
        that. A record that is said to be deleted is deleted when the feed says so, or when the API
        answers 404 for it, at most a hundred questions a run, and one a minute for a record; the claim
        is kept in the state until then. To miss no event, call `hear` before the receiver serves.

        A service that does not answer, or that is in trouble, is tried again after *pause* seconds,
        then again and again, after an eighth of the time that this has lasted, up to five minutes;
        *on_error* hears of it, with the seconds. All else is raised, as by `run`. The state stays held
        in between.
        """
        if not (0 < pause < math.inf and 0 < every < math.inf):
            raise ConfigurationError("every and pause are seconds, above 0")
        if events:
            self.hear(events)
        with contextlib.suppress(ServerError, TransportError, RateLimitError):
            # A mistyped sync ends here, before anything is made; a service in trouble is waited for.
            await self._start()
        since: float | None = None
        async with self._setup.state as state:
            book = await state.book(self.feed, self._setup.sink.identity)
            self._hints.begin(book)
            try:
                while True:
                    self._hints.begin_anew()
                    try:
                        report = await self.run()
                        since = None
                        if on_report:
                            on_report(report)
                        await self._confirm(book, on_report)
                    except ParagonError as error:
                        if not error.retryable:
                            raise
                        now = self._clock.monotonic()
                        since = now if since is None else since
                        wait = max(pause, min((now - since) * _SHARE, _LONGEST_WAIT))
                        if on_error:
                            on_error(error, wait)
                        await self._clock.sleep(wait)
                        continue
                    await self._clock.sleep(pause)
                    await self._hints.wait(max(pause, every - pause))
            finally:
                self._hints.end()

    def hear(self, router: Router) -> None:
        """Take the events of *router* for hints: call it before the receiver serves, then `follow`."""
        self._hints.hear(router)

    async def _confirm(self, book: Book, on_report: Callable[[Report], None] | None) -> None:
        """Ask for records that are said to be gone; report when any of them was deleted."""
        clock, hints = self._clock.monotonic, self._hints
        asked = await hints.due(book, clock(), _MOST_QUESTIONS)
        if not asked:
            return
        hints.asked(asked, clock())
        failed: list[str] = []
        async with self._open("confirm") as run:
            await run.again(asked, failed)
            await run.delete(GONE)
            report = run.tally.report
        await book.settle_claims(asked, failed)
        if await hints.due(book, clock(), _MOST_QUESTIONS):
            hints.wake()
        if report.deleted and on_report:
            on_report(report)

    async def _start(self) -> SyncStatus:
        """Ask how the sync stands: a mistyped one ends here, before anything is made."""
        try:
            return await self._user.syncs.status(self.feed.sync)
        except NotFoundError as error:
            error.hint = "check the id of the sync, and that it is this user's"
            raise

    def _pages(self, after: str | None) -> Pages:
        return self._user.records.pages(
            self.feed.sync, after=after, page_size=self._page_size, pages_ahead=_PAGES_AHEAD
        )

    def _open(self, kind: str, sync: SyncStatus | None = None) -> AbstractAsyncContextManager[Run]:
        tally = Tally(clock=self._clock, on_progress=self._on_progress)
        tally.report.status = sync.status if sync else None
        return opened(self._setup, tally, kind, self._begins)

    def _begins(self, tally: Tally) -> None:
        self._tally = tally


def _check(
    concurrency: int, bytes_at_once: int, page_size: int, fuse: float | None, contents: object
) -> None:
    """Say what cannot work before anything is begun."""
    for name, value in (
        ("concurrency", concurrency),
        ("bytes_at_once", bytes_at_once),
        ("page_size", page_size),
    ):
        if type(value) is not int or value < 1:
            raise ConfigurationError(f"{name} must be a whole number, 1 or more, not {value!r}")
    if fuse is not None and not 0 <= fuse <= 1:
        raise ConfigurationError("fuse is a share, from 0 to 1, or None for no bound")
    call = getattr(contents, "__call__", None)  # noqa: B004  # it is asked what kind it is
    if (
        inspect.iscoroutinefunction(contents)
        or inspect.iscoroutinefunction(call)
        or not (callable(contents) or isinstance(contents, bool))
    ):
        raise ConfigurationError("contents is True, False, or a plain function of a record")


def _refused(error: BadRequestError, cursor: str | None) -> ParagonError:
    """Tell what helps when the service no longer takes the saved cursor."""
    if cursor is None:
        return error
    return IngestError(
        f"the service refuses the saved cursor ({error}): reconcile makes a complete pass and goes on "
        "from there (paragon-async ingest reconcile)"
    )
