"""The life of syncs: which state follows which, when runs happen, what they tell the webhook.

    enable → INITIALIZING → ACTIVE → IDLE ⇄ incremental runs
    24 h of the clock, a new credential, reenable → ACTIVE → IDLE, a full run
    RATE_LIMITED → after its back-off ACTIVE        DISABLED, ERRORED → reenable

Policies where the service is silent: a run reads between ACTIVE and IDLE, and what it read can be
pulled at once; incremental runs do not show; the first run tells only `sync_complete`; a sync whose
source fails keeps its records.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable

from paragon_async.emulator import events
from paragon_async.emulator.catalogue import FREQUENCIES
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.errors import SourceFailed
from paragon_async.emulator.feed import Change
from paragon_async.emulator.pace import Pace
from paragon_async.emulator.run import Reader
from paragon_async.emulator.syncs import Syncs

_log = logging.getLogger("paragon_async.emulator")
STATUSES = ("INITIALIZING", "ACTIVE", "IDLE", "RATE_LIMITED", "DISABLED", "ERRORED")
_PAUSE = 1.0
FULL_EVERY = 24 * 3600.0
Tell = Callable[[list[events.Event]], object]


class Life:
    """Moves every sync along; one task a sync at a time."""

    def __init__(self, syncs: Syncs, reader: Reader, clock: Clock, pace: Pace, tell: Tell) -> None:
        self.pace = pace
        self._syncs = syncs
        self._reader = reader
        self._clock = clock
        self._tell = tell
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._polls: Counter[str] = Counter()
        self._look = asyncio.Event()
        self._heart: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep time, and take up what an earlier process left in the middle."""
        self._heart = asyncio.create_task(self._beat())
        self.pick_up()

    def pick_up(self) -> None:
        """Go on with every sync that is in the middle of a run."""
        self._look.set()
        for row in self._syncs.all():
            if row["status"] in {"INITIALIZING", "ACTIVE"}:
                self.begin(row["id"])

    async def aclose(self) -> None:
        """Stop all runs where they are."""
        tasks = [*self._runs.values(), *([self._heart] if self._heart else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runs.clear()

    def begin(self, sync_id: str, *, is_free: bool = False) -> None:
        """Start a run from the state that a sync is in; a free one does not wait to be moved on."""
        self.halt(sync_id)
        run = asyncio.create_task(self._run(sync_id, is_free=is_free))
        self._runs[sync_id] = run
        run.add_done_callback(self._ended)

    def halt(self, sync_id: str) -> None:
        """Stop the run of a sync, if there is one."""
        run = self._runs.pop(sync_id, None)
        if run is not None:
            run.cancel()

    def poll(self, sync_id: str) -> None:
        """Note that a sync's status was asked for."""
        self._polls[sync_id] += 1
        if (waiting := self._waiting.get(sync_id)) is not None:
            waiting.set()

    def set_pace(self, pace: Pace) -> None:
        """Move syncs by another rule from now on."""
        self.pace = pace
        for waiting in self._waiting.values():
            waiting.set()

    def enter(self, sync_id: str, status: str, **values: object) -> None:
        """Put a sync into a state."""
        self._polls[sync_id] = 0
        self._syncs.change(sync_id, status=status, updated=self._clock.iso(), **values)
        self._look.set()

    def move(self, sync: sqlite3.Row, status: str, *, reason: str, wait: float) -> None:
        """Put a sync into a state from outside, and go on from there as it would."""
        sync_id = sync["id"]
        if status == "IDLE":
            # What a run would have read is read first, so that IDLE keeps its promise.
            if sync["status"] != "IDLE":
                self.enter(sync_id, "ACTIVE", reason=None)
                self.begin(sync_id, is_free=True)
            return
        self.halt(sync_id)
        if status == "ERRORED":
            self.fail(sync, reason)
        elif status == "RATE_LIMITED":
            self.enter(sync_id, status, backoff=self._clock.now() + wait)
        else:
            self.enter(sync_id, status, reason=None)
            if status != "DISABLED":
                self.begin(sync_id)

    async def run_now(self, sync: sqlite3.Row, *, is_full: bool) -> None:
        """Run a sync that is IDLE, and return when the run is over or waits to be moved on."""
        if is_full:
            self.enter(sync["id"], "ACTIVE")
            self.begin(sync["id"])
        else:
            self.notice(sync["id"], is_due=True)
        await self.settle()

    def fail(self, sync: sqlite3.Row, reason: str) -> None:
        """Suspend a sync for good and say why."""
        self.enter(sync["id"], "ERRORED", reason=reason)
        self._tell([events.sync_errored(sync, reason)])

    def notice(self, sync_id: str, *, is_due: bool = False) -> None:
        """Bring news from the account into the feed of a sync that is IDLE and due."""
        sync = self._syncs.get(sync_id)
        if sync is None or sync["status"] != "IDLE":
            return
        if not is_due and self._clock.now() < _due(sync):
            self._look.set()
            return
        if self._reader.needs_full(sync):
            self.begin(sync_id, is_free=True)
            return
        try:
            self._incremental(sync)
        except SourceFailed as error:
            self.fail(sync, str(error))

    async def settle(self) -> None:
        """Return when no run goes on that could end by itself now."""
        while busy := [t for i, t in self._runs.items() if i not in self._waiting]:
            await asyncio.wait([*busy], timeout=0.05)

    def _incremental(self, sync: sqlite3.Row) -> None:
        now = self._clock.now()
        last = self._reader.last_item()

        def told(changes: list[Change]) -> None:
            self._syncs.change(sync["id"], item=last, last_run=now)
            self._tell(_events(sync, changes))

        self._reader.incremental(sync, now, told)

    async def _run(self, sync_id: str, *, is_free: bool) -> None:
        sync = self._syncs.get(sync_id)
        if sync is None:
            return
        if sync["status"] == "INITIALIZING":
            await self._passed(sync_id, is_free=is_free)
        if sync["status"] != "IDLE":
            self.enter(sync_id, "ACTIVE", reason=None, backoff=None)
        try:
            last = await self._read(sync)
        except SourceFailed as error:
            self.fail(sync, str(error))
            return
        if sync["status"] != "IDLE":
            await self._passed(sync_id, is_free=is_free)
        now = self._clock.now()
        done = {"synced": self._clock.iso(), "item": last, "last_run": now, "last_full": now}
        self.enter(sync_id, "IDLE", filled=1, **done)
        if sync["synced"] is None:
            count = self._reader.count(sync_id)
            self._tell([events.sync_complete(sync, self._clock.iso(), count)])

    async def _read(self, sync: sqlite3.Row) -> int:
        """Bring the account into the feed; only the first run keeps single records to itself."""

        def told(changes: list[Change]) -> None:
            if sync["synced"] is not None:
                self._tell(_events(sync, changes))

        now = self._clock.now()
        if not sync["filled"]:
            await self._reader.fill(sync, now)
        await self._reader.ready(sync)
        last = self._reader.last_item()
        await self._reader.full(sync, now, told)
        return last

    async def _passed(self, sync_id: str, *, is_free: bool) -> None:
        """Return when the pace lets a sync leave its state."""
        waiting = self._waiting[sync_id] = asyncio.Event()
        since = self._clock.now()
        try:
            while not is_free and not self.pace.is_over(
                self._polls[sync_id], self._clock.now() - since
            ):
                due = since + self.pace.seconds if self.pace.seconds else None
                await self._clock.sleep(due, waiting)
        finally:
            if self._waiting.get(sync_id) is waiting:
                del self._waiting[sync_id]

    async def _beat(self) -> None:
        """Do what time alone brings about."""
        while True:
            try:
                rows = self._syncs.all()
                times = [when for row in rows if (when := self._next(row)) is not None]
                await self._clock.sleep(min(times, default=None), self._look)
                self._act()
            except sqlite3.Error as error:
                _log.error("the state cannot be used: %s", error)
                await asyncio.sleep(_PAUSE)

    def _act(self) -> None:
        now = self._clock.now()
        for row in self._syncs.all():
            if (when := self._next(row)) is None or now < when:
                continue
            if row["status"] == "IDLE" and now < row["last_full"] + FULL_EVERY:
                self.notice(row["id"])
            else:
                self.enter(row["id"], "ACTIVE")
                self.begin(row["id"])

    def _next(self, sync: sqlite3.Row) -> float | None:
        """Return when something happens to a sync by itself."""
        if sync["status"] == "RATE_LIMITED":
            return float(sync["backoff"])
        if sync["status"] != "IDLE" or sync["id"] in self._runs:
            return None
        full = sync["last_full"] + FULL_EVERY
        if sync["frequency"] and self._reader.has_news(sync):
            return float(min(full, _due(sync)))
        return float(full)

    def _ended(self, run: asyncio.Task[None]) -> None:
        ended = [i for i, task in self._runs.items() if task is run]
        for sync_id in ended:
            del self._runs[sync_id]
            self._look.set()
        if run.cancelled() or (error := run.exception()) is None:
            return
        _log.error("a run failed: %s", error, exc_info=error)
        for sync_id in ended:
            sync = self._syncs.get(sync_id)
            if sync is not None:
                with contextlib.suppress(sqlite3.Error):
                    self.fail(sync, f"The run failed: {error}")


def _due(sync: sqlite3.Row) -> float:
    """Return when the next incremental run may be: at once, unless a frequency was asked for."""
    wait = FREQUENCIES[sync["frequency"]] if sync["frequency"] else 0
    return float(sync["last_run"] + wait)


def _events(sync: sqlite3.Row, changes: list[Change]) -> list[events.Event]:
    return [events.CHANGES[change.kind](sync, change.record) for change in changes]
