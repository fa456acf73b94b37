"""SQLite without its thread: real files and real transactions, done in the loop when their turn comes.

What waits for the writer becomes one group, as with the thread. A process can die just before a commit
and just after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import Future

from paragon_async.errors import IngestError
from paragon_async.ingest.database import Database, Job, Writer
from paragon_async.threads import finished


class Connection(sqlite3.Connection):
    """A connection that tells the world of its commits, and does nothing for a dead process."""

    world = None

    def execute(self, sql, *args):
        if sql == "COMMIT":
            return self._commit(sql)
        if sql == "PRAGMA synchronous = FULL":
            # The folder is not flushed by the machine; that it would be was asked for.
            self.world.is_full = True
            return super().execute("PRAGMA synchronous = OFF")
        return super().execute(sql, *args)

    def _commit(self, sql):
        self._event("commit")
        found = super().execute(sql)
        self._event("committed")
        return found

    def _event(self, kind):
        if not self.world.dead:
            self.world.happens(kind)
        if self.world.dead:
            raise sqlite3.OperationalError("the process is dead")


def connecting(world):
    """Return what opens connections of this world, by `sqlitefile.Connect`."""
    kind = type("Connection", (Connection,), {"world": world})

    def connect(path):
        return sqlite3.connect(path, isolation_level=None, uri=True, factory=kind)

    return connect


class SimDatabase(Database):
    """The state file of a simulated process."""

    _writer = None
    _is_busy = False

    def __init__(self, *args):
        super().__init__(*args)
        self._waiting = []

    async def open(self):
        try:
            await self._later(self._begin)
        except BaseException:
            await self.aclose()
            raise

    async def run(self, work):
        if self._writer is None:
            raise IngestError("the state is closed")
        job = Job(work, Future())
        self._waiting.append(job)
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().run_in_executor(None, self._gather)
        return await finished(asyncio.wrap_future(job.outcome))

    async def read(self, work):
        if self._writer is None:
            raise IngestError("the state is closed")
        return await self._later(self._reader.read, work)

    async def aclose(self):
        writer, self._writer = self._writer, None
        self._reader.close()
        if writer is not None:
            writer.close()

    def _begin(self):
        self._writer = Writer(self.path, self.disk, self.connect)
        self._writer.begin()

    def _gather(self):
        group, self._waiting, self._is_busy = self._waiting, [], False
        self._commit([job for job in group if job.outcome.set_running_or_notify_cancel()])

    def _commit(self, group):
        self._writer.commit(group)

    async def _later(self, work, *args):
        return await finished(asyncio.get_running_loop().run_in_executor(None, work, *args))
