"""The state of a mirror: a SQLite file in the destination, and who may write to it.

folder/.paragon/state.db     feeds, receipts, dead letters, runs (`schema`)
folder/.paragon/lock         who works on it (`lock`)
folder/.paragon/tmp/         contents on their way; swept when the state is opened
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from paragon_async.clock import Clock, SystemClock
from paragon_async.disk import Disk, SystemDisk
from paragon_async.errors import DestinationError, IngestError
from paragon_async.ingest.book import Book
from paragon_async.ingest.database import Database
from paragon_async.ingest.lock import Lock
from paragon_async.ingest.values import Feed
from paragon_async.sqlitefile import Connect, connect
from paragon_async.threads import in_thread

HOME = ".paragon"


class State:
    """The state in *folder*: `async with State("mirror") as state`, then pass it to each `Ingest`.

    An `Ingest` that is given a path opens and closes the state by itself. Entering a state that is
    open already shares it. One process at a time may hold it: `StateHeldError` names the other.
    Raises `StateError`, changing nothing, for a damaged or foreign file, or one of a newer version.
    *disk*, *connect*, *clock* and *database* stand in for the machine's disk, SQLite, time and
    threads, in tests.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        disk: Disk | None = None,
        connect: Connect = connect,
        clock: Clock | None = None,
        database: type[Database] = Database,
    ) -> None:
        self.folder = Path(folder)
        self.disk = disk or SystemDisk(within=self.folder)
        self._home = self.folder / HOME
        self._connect = connect
        self._clock = clock or SystemClock()
        self._opens = database
        self._lock = Lock(self._home / "lock")
        self._database: Database | None = None
        self._users = 0
        self._door = asyncio.Lock()
        self._running: set[Feed] = set()

    @property
    def spool(self) -> Path:
        """The folder for contents on their way."""
        return self._home / "tmp"

    async def book(self, feed: Feed, sink: str) -> Book:
        """Return the book of a feed that goes to *sink*, which is noted relative to the state."""
        if self._database is None:
            raise IngestError("the state is not open: use it as `async with state`")
        sink = _relative(sink, self.folder)
        return await Book.open(self._database, feed, sink, self._running - {feed})

    @contextmanager
    def claimed(self, feed: Feed) -> Generator[None, None, None]:
        """Hold a feed for one run; `IngestError` when another run in this process has it."""
        if feed in self._running:
            raise IngestError(f"{feed} is being ingested already")
        self._running.add(feed)
        try:
            yield
        finally:
            self._running.discard(feed)

    async def __aenter__(self) -> Self:
        async with self._door:
            if not self._users:
                try:
                    await self._open()
                except BaseException:
                    await self._close()
                    raise
            self._users += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whoever comes in while it is closing waits, and opens it anew.
        with anyio.CancelScope(shield=True):
            async with self._door:
                self._users -= 1
                if not self._users:
                    await self._close()

    async def _open(self) -> None:
        await in_thread(self._prepare)
        path = self._home / "state.db"
        database = self._opens(path, self.disk, self._connect, self._clock.wall)
        await database.open()
        self._database = database

    async def _close(self) -> None:
        database, self._database = self._database, None
        try:
            if database is not None:
                await database.aclose()
        finally:
            self._lock.release()

    def _prepare(self) -> None:
        """Make the folders, take the lock, and drop what a killed run left on its way."""
        try:
            self.folder.mkdir(0o755, parents=True, exist_ok=True)
            self.disk.make_folder(self._home)
            self._lock.take()
            self.disk.make_folder(self.spool)
            for name in self.disk.names(self.spool):
                self.disk.unlink(self.spool / name)
            for name in self.disk.names(self._home):
                if name.startswith("state.db.") and ".new" in name:
                    self.disk.unlink(self._home / name)
            # Each time: a run that made them can have been killed before it flushed their names.
            self.disk.sync_folder(self._home)
            self.disk.sync_folder(self.folder)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DestinationError(
                f"cannot use {str(self.folder)!r} for a mirror: {reason}", errno=error.errno
            ) from error


def _relative(sink: str, folder: Path) -> str:
    """Name a destination on this machine as seen from the state: both may be moved together."""
    kind, colon, place = sink.rpartition(":")
    if not colon or not Path(place).is_absolute():
        return sink
    return f"{kind}:{os.path.relpath(place, folder.absolute())}"
