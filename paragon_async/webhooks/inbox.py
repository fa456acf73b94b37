"""A durable inbox: an event is safe when `put` returns, and is handled afterwards, at least once.

    put → stored → its turn → router → handled, and gone
                      ↑ wait      ↘ a handler failed → again, later ... → parked

Only the first event of a record has a turn, so a record's events are handled one by one, in the order
they came. A body that waits absorbs its like, since bodies carry only ids; one that was begun does not,
for its handlers may have looked already. Source: failures.md F130, F131, F137.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import math
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from paragon_async.clock import Clock, SystemClock
from paragon_async.errors import ConfigurationError
from paragon_async.sqlitefile import Connect, connect
from paragon_async.webhooks import statements
from paragon_async.webhooks.events import LARGEST_BODY, Event, WebhookVerification, parse_event
from paragon_async.webhooks.handling import Problem, dispatched
from paragon_async.webhooks.router import Router
from paragon_async.webhooks.statements import Counts, Item, Parked, Room, Turn
from paragon_async.webhooks.store import InboxError, InboxFullError, Store, Work

__all__ = ["Counts", "Inbox", "InboxError", "InboxFullError", "Parked"]

T = TypeVar("T")
_log = logging.getLogger("paragon_async.webhooks")
_NOTHING = Turn([], None)


class Inbox:
    """Events in a file of SQLite: `async with Inbox("inbox.db") as inbox`.

    *path* is the file, made where there is none; `path.lock` beside it keeps other processes out.
    Up to *capacity* events may wait, of *capacity_bytes* in all; beyond, half as many may be parked:
    one more, and the oldest parked one is discarded, which is logged, so that they never keep out
    what is new. Up to *workers* are handled side by side, never two of one record. A failed one is
    tried again after *first_wait* seconds, then twice that and so on up to *longest_wait*, less some
    chance; after *attempts* in all it is parked. A start that the process did not live through is an
    attempt too, one that was cancelled is none. A restart tries everything again at once.

    Each handler has *handler_timeout* seconds, None for no end; longer is a failure. One that goes on
    though it was cancelled keeps its worker; who stops serving waits *stop_timeout* seconds for it,
    logs that, and goes on. *clock* and *connect* are for tests.

    Entering raises `InboxError` for a file that is damaged, another program's, of a newer version, or
    held by another process. An option that cannot be is a `ConfigurationError`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        capacity: int = 100_000,
        capacity_bytes: int = 256 << 20,
        attempts: int = 8,
        first_wait: float = 1.0,
        longest_wait: float = 300.0,
        workers: int = 8,
        handler_timeout: float | None = 60.0,
        stop_timeout: float = 3.0,
        clock: Clock | None = None,
        connect: Connect = connect,
    ) -> None:
        counted = {
            "capacity": capacity,
            "capacity_bytes": capacity_bytes,
            "attempts": attempts,
            "workers": workers,
        }
        _check(counted, handler_timeout, stop_timeout)
        if not 0 <= first_wait <= longest_wait:
            raise ConfigurationError("first_wait must be between 0 and longest_wait")
        self._store = Store(Path(path), connect)
        self._room = Room(capacity, capacity_bytes)
        self._attempts = attempts
        self._waits = (first_wait, longest_wait)
        self._workers = workers
        self._handler_timeout = handler_timeout
        self._stop_timeout = stop_timeout
        self._clock = clock or SystemClock()
        self._in_hand: set[int] = set()
        self._begun: dict[int, Item] = {}
        self._news = asyncio.Event()
        self._is_served = False

    async def __aenter__(self) -> Self:
        await self._store.open()
        # An event of asyncio belongs to the loop that first waited for it.
        self._in_hand, self._begun, self._news = set(), {}, asyncio.Event()
        try:
            parked = await self._store.run(
                lambda db: statements.restart(db, self._attempts, self._room)
            )
        except BaseException:
            await self._store.aclose()
            raise
        if parked:
            _log.error("%d events are parked: each was begun %d times", parked, self._attempts)
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

        True for a new one; False where nothing had to be stored: the same body still waits for its
        first attempt, or it is the probe of a new URL. Raises `WebhookError` for a body that is no
        event or is longer than *limit* bytes, `InboxFullError` at capacity, `InboxError` when the disk
        refuses. Cancelling waits for the end, and leaves the event stored or not.
        """
        event = parse_event(body, limit=limit)
        body = bytes(body)
        if isinstance(event, WebhookVerification):
            return False
        key, digest, now = _key(event), hashlib.sha256(body).digest(), self._clock.monotonic()
        is_new = await self._store.run(
            lambda db: statements.put(
                db, key, digest, body, now=now, room=self._room, in_hand=self._in_hand
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

    async def discard_parked(self) -> int:
        """Forget all parked events for ever; return how many there were."""
        return await self._store.run(statements.discard_parked)

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
            try:
                await self._stop(running)
            finally:
                self._is_served = False

    async def _stop(self, running: set[asyncio.Task[None]]) -> None:
        """End the handlers that can be ended, and give back the attempts that were cut short."""
        for task in running:
            task.cancel()
            task.add_done_callback(_seen)
        try:
            if running:
                _, left = await asyncio.wait(running, timeout=self._stop_timeout)
                if left:
                    _log.error("%d handlers go on though they were cancelled", len(left))
        finally:
            begun, self._begun = list(self._begun.values()), {}
            # What never got to its first step still is in hand; what goes on stays there.
            if begun and self._store.is_open:
                with contextlib.suppress(InboxError):
                    await self._store.run(lambda db: statements.give_back(db, begun))

    async def _take(self, limit: int, *, goes_on: bool) -> Turn:
        if limit == 0:
            return _NOTHING
        now = self._clock.monotonic()

        def work(db: sqlite3.Connection) -> Turn:
            turn = statements.take(db, limit, now=now, in_hand=self._in_hand)
            # Known from here on, for whoever is cancelled before the answer comes.
            self._begun |= {item.number: item for item in turn.items}
            return turn

        return await self._surely(work, goes_on=goes_on)

    def _start(self, item: Item, router: Router, *, goes_on: bool) -> asyncio.Task[None]:
        self._in_hand.add(item.number)
        task = asyncio.create_task(self._handle(item, router, goes_on=goes_on))
        # Not in the task itself: one that is cancelled before its first step never gets there.
        task.add_done_callback(functools.partial(self._put_down, self._in_hand, item.number))
        return task

    def _put_down(self, in_hand: set[int], number: int, _: asyncio.Task[None]) -> None:
        in_hand.discard(number)
        self._news.set()

    async def _handle(self, item: Item, router: Router, *, goes_on: bool) -> None:
        in_hand = self._in_hand
        try:
            problem = await dispatched(item, router, self._handler_timeout)
        except asyncio.CancelledError:
            raise
        except BaseException:
            # It ends the program: that was an attempt.
            self._begun.pop(item.number, None)
            raise
        if in_hand is not self._in_hand:
            # It outlived its inbox, which was opened again: the event is handled anew there.
            return
        self._begun.pop(item.number, None)
        gone = await self._surely(self._outcome(item, problem), goes_on=goes_on)
        if gone:
            _log.error("%d parked events, the oldest, are discarded to make room", gone)

    def _outcome(self, item: Item, problem: Problem | None) -> Work[int | None]:
        """Choose what becomes of an event after its handlers ran."""
        now = self._clock.monotonic()
        if problem is None:
            return lambda db: statements.done(db, item, now=now)
        attempts, error, only = item.attempts, problem.error, problem.only
        if attempts >= self._attempts:
            _log.error("an event is parked after %d attempts: %s", attempts, error)
            return lambda db: statements.park(db, item, error, now=now, room=self._room)
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
            ended, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in ended:
                wait.result()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def wait_after(attempts: int, first: float, longest: float, chance: float) -> float:
    """Return how long to wait after failed attempts: doubled each time, half of it by chance."""
    return min(longest, first * 2.0 ** min(attempts - 1, 60)) * (0.5 + chance / 2)


def _check(counted: dict[str, int], handler_timeout: float | None, stop_timeout: float) -> None:
    for name, value in counted.items():
        if value < 1:
            raise ConfigurationError(f"{name} must be 1 or more, not {value}")
    if handler_timeout is not None and not (0 < handler_timeout < math.inf):
        raise ConfigurationError("handler_timeout must be some seconds, or None")
    if not 0 <= stop_timeout < math.inf:
        raise ConfigurationError("stop_timeout must be some seconds")


def _seen(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def _key(event: Event) -> bytes:
    """Return what an event must be handled in order with: its record, or its sync."""
    about = (event.sync_id or event.user_id, getattr(event, "record_id", None))
    return hashlib.sha256(ascii(about).encode()).digest()[:16]
