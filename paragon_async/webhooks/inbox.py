"""A durable inbox: an event is safe when `put` returns, and is handled afterwards, at least once.

    put → stored → its turn → router → handled, and gone
                      ↑ wait      ↘ a handler failed → again, later ... → parked

Only the first event of a record has a turn, so a record's events are handled one by one, in the order
they came. A body that is still waiting absorbs its like, since bodies carry only ids; one that is being
handled does not, for its handler may have looked already. Source: failures.md F130, F131, F137.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import attrs

from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError
from paragon_async.webhooks import statements
from paragon_async.webhooks.events import LARGEST_BODY, Event, WebhookVerification, parse_event
from paragon_async.webhooks.router import Router
from paragon_async.webhooks.statements import Counts, Item, Parked, Turn
from paragon_async.webhooks.store import Connect, InboxError, InboxFullError, Store, Work, connect

__all__ = ["Counts", "Inbox", "InboxError", "InboxFullError", "Parked"]

T = TypeVar("T")
_log = logging.getLogger("paragon_async.webhooks")
_LONGEST_ERROR = 500
_NOTHING = Turn([], None)


class Inbox:
    """Events in a file of SQLite: `async with Inbox("inbox.db") as inbox`.

    *path* is the file, made where there is none; `path.lock` beside it keeps other processes out.
    Up to *capacity* events may wait or be parked. Up to *workers* are handled side by side, never two
    of one record. A failed one is tried again after *first_wait* seconds, then twice that and so on
    up to *longest_wait*, less some chance; after *attempts* in all it is parked. A restart tries
    everything again at once. *clock* and *connect* are for tests.

    Entering raises `InboxError` for a file that is damaged, another program's, of a newer version, or
    held by another process. An option that cannot be is a `ConfigurationError`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        capacity: int = 100_000,
        attempts: int = 8,
        first_wait: float = 1.0,
        longest_wait: float = 300.0,
        workers: int = 8,
        clock: Clock | None = None,
        connect: Connect = connect,
    ) -> None:
        for name, value in {"capacity": capacity, "attempts": attempts, "workers": workers}.items():
            if value < 1:
                raise ConfigurationError(f"{name} must be 1 or more, not {value}")
        if not 0 <= first_wait <= longest_wait:
            raise ConfigurationError("first_wait must be between 0 and longest_wait")
        self._store = Store(Path(path), connect)
        self._capacity = capacity
        self._attempts = attempts
        self._waits = (first_wait, longest_wait)
        self._workers = workers
        self._clock = clock or SystemClock()
        self._in_hand: set[int] = set()
        self._news = asyncio.Event()
        self._is_served = False

    async def __aenter__(self) -> Self:
        await self._store.open()
        try:
            await self._store.run(statements.restart)
        except BaseException:
            await self._store.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._store.aclose()

    async def put(self, body: bytes, *, limit: int = LARGEST_BODY) -> bool:
        """Store the event in *body* and return when it is durable: a power cut does not lose it.

        True for a new one; False where nothing had to be stored: the same body still waits, or it is
        the probe of a new URL. Raises `WebhookError` for a body that is no event or is longer than
        *limit* bytes, `InboxFullError` at capacity, `InboxError` when the disk refuses. Cancelling
        waits for the end, and leaves the event stored or not.
        """
        event = parse_event(body, limit=limit)
        if isinstance(event, WebhookVerification):
            return False
        key, digest, now = _key(event), hashlib.sha256(body).digest(), self._clock.monotonic()
        is_new = await self._store.run(
            lambda db: statements.put(
                db, key, digest, body, now=now, capacity=self._capacity, in_hand=self._in_hand
            )
        )
        if is_new:
            self._news.set()
        return is_new

    async def serve(self, router: Router) -> None:
        """Hand events to *router* as they come, until cancelled.

        An event leaves the inbox when all its handlers returned; of those that failed each runs again.
        Whatever is interrupted, by cancelling or by a crash, comes again, to all its handlers. A disk
        that refuses is logged and waited for. Raises `ConfigurationError` when the inbox is being
        served.
        """
        await self._run(router, goes_on=True)

    async def drain(self, router: Router) -> int:
        """Handle what is due, and what comes meanwhile, and return how many handlings there were.

        What failed and waits for another time is left. Raises as `serve`, and `InboxError` when the
        disk refuses.
        """
        return await self._run(router, goes_on=False)

    async def counts(self) -> Counts:
        """Return how many events wait, are parked, and were handled since the file was made."""
        return await self._store.run(statements.counts)

    async def parked(self, limit: int = 1000) -> list[Parked]:
        """Return up to *limit* events that failed too often, the oldest first."""
        return await self._store.run(lambda db: statements.parked(db, limit))

    async def unpark(self) -> int:
        """Give all parked events *attempts* anew, behind what waits; return how many there were."""
        now = self._clock.monotonic()
        number = await self._store.run(
            lambda db: statements.unpark(db, now=now, in_hand=self._in_hand)
        )
        self._news.set()
        return number

    async def _run(self, router: Router, *, goes_on: bool) -> int:
        if self._is_served:
            raise ConfigurationError("the inbox is being served already")
        self._is_served = True
        running: set[asyncio.Task[None]] = set()
        total = 0
        try:
            while True:
                self._news.clear()
                for task in [task for task in running if task.done()]:
                    running.discard(task)
                    task.result()
                turn = await self._take(self._workers - len(running), goes_on=goes_on)
                running |= {self._start(item, router, goes_on=goes_on) for item in turn.items}
                total += len(turn.items)
                if not goes_on and not running:
                    return total
                await self._wait(turn.next_due if goes_on else None)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._is_served = False

    async def _take(self, limit: int, *, goes_on: bool) -> Turn:
        if limit == 0:
            return _NOTHING
        now = self._clock.monotonic()

        def work(db: sqlite3.Connection) -> Turn:
            return statements.take(db, limit, now=now, in_hand=self._in_hand)

        return await self._surely(work, goes_on=goes_on)

    def _start(self, item: Item, router: Router, *, goes_on: bool) -> asyncio.Task[None]:
        # From here on its like is stored anew: this handler may look before that change.
        self._in_hand.add(item.number)
        return asyncio.create_task(self._handle(item, router, goes_on=goes_on))

    async def _handle(self, item: Item, router: Router, *, goes_on: bool) -> None:
        try:
            problem = await _dispatched(item, router)
            await self._surely(self._outcome(item, problem), goes_on=goes_on)
        finally:
            self._in_hand.discard(item.number)
            self._news.set()

    def _outcome(self, item: Item, problem: _Problem | None) -> Work[None]:
        """Choose what becomes of an event after its handlers ran."""
        now = self._clock.monotonic()
        if problem is None:
            return lambda db: statements.done(db, item, now=now)
        attempts, error, only = item.attempts + 1, problem.error, problem.only
        if attempts >= self._attempts:
            _log.error("an event is parked after %d attempts: %s", attempts, error)
            return lambda db: statements.park(db, item, error, now=now)
        wait = wait_after(attempts, *self._waits, self._clock.chance())
        _log.warning("an event failed and is tried again in %.1f s: %s", wait, error)
        return lambda db: statements.again(db, item, error, only=only, due=now + wait)

    async def _surely(self, work: Work[T], *, goes_on: bool) -> T:
        """Do *work*, and while an open inbox is to be served, as often as its disk refuses."""
        tries = 0
        while True:
            try:
                return await self._store.run(work)
            except InboxError as error:
                if not goes_on or not self._store.is_open:
                    raise
                tries += 1
                _log.error("%s; trying again", error)
                await self._clock.sleep(wait_after(tries, 1.0, 30.0, self._clock.chance()))

    async def _wait(self, due: float | None) -> None:
        """Return when something is new, or at the time *due*."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._news.wait())]
        if due is not None:
            seconds = max(0.0, due - self._clock.monotonic())
            waits.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def wait_after(attempts: int, first: float, longest: float, chance: float) -> float:
    """Return how long to wait after failed attempts: doubled each time, half of it by chance."""
    return min(longest, first * 2.0 ** min(attempts - 1, 60)) * (0.5 + chance / 2)


@attrs.frozen
class _Problem:
    """What went wrong, and the names of the handlers that it went wrong in; None for all."""

    error: str
    only: list[str] | None


async def _dispatched(item: Item, router: Router) -> _Problem | None:
    """Run the handlers that an event still wants."""
    try:
        event = parse_event(item.body, limit=len(item.body))
        failures = await router.dispatch(event, only=item.only)
    except Exception as error:  # noqa: BLE001  # whatever it is, the event must not be lost
        return _Problem(_told("", error), item.only)
    if not failures:
        return None
    errors = "; ".join(_told(f"{f.handler} ", f.error) for f in failures)
    return _Problem(errors[:_LONGEST_ERROR], [f.handler for f in failures])


def _told(who: str, error: BaseException) -> str:
    return f"{who}{type(error).__name__}: {error}"[:_LONGEST_ERROR]


def _key(event: Event) -> bytes:
    """Return what an event must be handled in order with: its record, or its sync."""
    about = (event.sync_id or event.user_id, getattr(event, "record_id", None))
    return hashlib.sha256(ascii(about).encode()).digest()[:16]
