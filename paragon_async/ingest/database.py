"""One thread that writes the database: what waits for it is committed together; another one reads.

Workers hand in small functions over a connection. While one commit is being flushed the next ones
gather, and share a single flush. A commit only counts when no other process has opened the state
since (the epoch). Source: failures.md finding 6, F114, F115, F117, F118.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs

from paragon_async.disk import Disk
from paragon_async.errors import (
    DestinationError,
    IngestError,
    ParagonError,
    StateError,
    StateHeldError,
)
from paragon_async.ingest import schema
from paragon_async.sqlitefile import Connect, connect
from paragon_async.threads import finished

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_GROUP = 256


@attrs.frozen(eq=False)
class Job:
    """A piece of work, and where its outcome is waited for."""

    work: Work[Any]
    outcome: Future[Any]


class Writer:
    """The connection that writes. All methods block, and belong to one thread."""

    def __init__(self, path: Path, disk: Disk, connect_: Connect) -> None:
        self._path = path
        self._epoch = 0
        with _named(path):
            self._connection = schema.prepare(path, disk, connect_)

    def begin(self) -> None:
        """Become the one that may write: whoever opened the state before may not any more."""
        database = self._connection
        with _named(self._path):
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
            self._epoch = _epoch(database)
            database.execute("COMMIT")

    def commit(self, group: Sequence[Job]) -> None:
        """Do *group* in one transaction; where it fails, each job in its own. Never raises."""
        if not group:
            return
        try:
            results = self._transaction(group)
        except BaseException as error:  # noqa: BLE001  # whoever waits for it raises it
            if len(group) == 1:
                group[0].outcome.set_exception(_ours(error, self._path))
                return
            for job in group:
                self.commit([job])
        else:
            for job, result in zip(group, results, strict=True):
                job.outcome.set_result(result)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _transaction(self, group: Sequence[Job]) -> list[Any]:
        database = self._connection
        # A deferred transaction that comes to write can fail in a way that no waiting mends.
        database.execute("BEGIN IMMEDIATE")
        try:
            self._still_mine()
            results = [job.work(database) for job in group]
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return results

    def _still_mine(self) -> None:
        if _epoch(self._connection) != self._epoch:
            raise StateHeldError(
                "another ingest has taken over this state since; this one wrote nothing more",
                holder="another process",
            )


class Reader:
    """The connection that only asks, opened when it is first needed. Its methods block as well."""

    def __init__(self, path: Path, connect_: Connect) -> None:
        self._path = path
        self._connect = connect_
        self._connection: sqlite3.Connection | None = None

    def read(self, work: Work[T]) -> T:
        """Do *work*."""
        with _named(self._path):
            if self._connection is None:
                self._connection = schema.read_only(self._path, self._connect)
            return work(self._connection)

    def close(self) -> None:
        """Close the connection, if there is one."""
        found, self._connection = self._connection, None
        if found is not None:
            found.close()


class Database:
    """An open state file and the one thread that talks to it. *wall* is the clock of its rows."""

    def __init__(
        self,
        path: Path,
        disk: Disk,
        connect_: Connect = connect,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.disk = disk
        self.connect = connect_
        self.wall = wall
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reader = Reader(path, connect_)

    async def open(self) -> None:
        """Check the file, or make it, and become its writer; see `schema.prepare` for the errors."""
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(ready,), name="paragon-state", daemon=True
        )
        self._thread.start()
        try:
            await finished(asyncio.wrap_future(ready))
        except BaseException:
            await self.aclose()
            raise

    async def run(self, work: Work[T]) -> T:
        """Do *work* in a transaction; when this returns, it is durable.

        *work* may be done twice, when another of its group failed. Cancelling waits for the end.
        """
        if self._thread is None:
            raise IngestError("the state is closed")
        outcome: Future[T] = Future()
        self._jobs.put(Job(work, outcome))
        return await finished(asyncio.wrap_future(outcome))

    async def read(self, work: Work[T]) -> T:
        """Do *work*, which only asks, beside a commit under way: it sees all that is done by then.

        Cancelling waits for the end.
        """
        if self._thread is None:
            raise IngestError("the state is closed")
        if self._readers is None:
            self._readers = ThreadPoolExecutor(1, "paragon-state-reader")
        return await finished(asyncio.wrap_future(self._readers.submit(self._reader.read, work)))

    async def aclose(self) -> None:
        """End the threads, when all that was handed in is done; calling it again is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await finished(asyncio.ensure_future(asyncio.to_thread(self._end, thread)))

    def _end(self, thread: threading.Thread) -> None:
        # The last one to close brings the log into the file, and a reader may not.
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.submit(self._reader.close)
            readers.shutdown()
        self._jobs.put(None)
        thread.join()

    def _serve(self, ready: Future[None]) -> None:
        try:
            writer = Writer(self.path, self.disk, self.connect)
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            ready.set_exception(error)
            return
        try:
            self._begin(writer, ready)
            while self._gather(writer):
                pass
        finally:
            writer.close()

    def _begin(self, writer: Writer, ready: Future[None]) -> None:
        try:
            writer.begin()
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            ready.set_exception(error)
        else:
            ready.set_result(None)

    def _gather(self, writer: Writer) -> bool:
        """Do what waits, as one group; False when the end was asked for."""
        group: list[Job] = []
        goes_on = True
        job = self._jobs.get()
        while True:
            if job is None:
                goes_on = False
                break
            if job.outcome.set_running_or_notify_cancel():
                group.append(job)
            if len(group) >= _GROUP or self._jobs.empty():
                break
            job = self._jobs.get()
        writer.commit(group)
        return goes_on


def _epoch(database: sqlite3.Connection) -> int:
    found = database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    if found is None or not isinstance(found[0], int):
        raise StateError("the state is damaged: it does not say who writes it")
    return found[0]


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise errors as `_ours` names them."""
    try:
        yield
    except BaseException as error:
        ours = _ours(error, path)
        if ours is error:
            raise
        raise ours from error


def _ours(error: BaseException, path: Path) -> BaseException:
    """Name the error as this SDK does; what is no error of disk or database stays itself."""
    match error:
        case ParagonError():
            return error
        case OSError():
            reason = error.strerror or str(error)
            return DestinationError(f"cannot open {str(path)!r}: {reason}", errno=error.errno)
        case sqlite3.Error():
            # The name tells SQLite's own reason apart; older builds have none for some.
            name = getattr(error, "sqlite_errorname", None) or ""
            if name.startswith("SQLITE_FULL"):
                return DestinationError(
                    f"cannot write the state {str(path)!r}: the disk is full", errno=errno.ENOSPC
                )
            return StateError(f"the state {str(path)!r} cannot be used: {error} {name}".strip())
        case _:
            return error
