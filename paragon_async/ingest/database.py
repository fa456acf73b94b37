"""One thread that writes the database: what waits for it is committed together; another one reads.

Workers hand in small functions over a connection. While one commit is being flushed the next ones
gather, and share a single flush. A commit only counts when no other process has opened the state
since (the epoch). Source: failures.md finding 6, F114, F115, F117, F118.
"""

from __future__ import annotations

import asyncio
import errno
import queue
import sqlite3
import threading
from collections.abc import Callable
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
class _Job:
    work: Work[Any]
    outcome: Future[Any]


class Database:
    """An open state file and the one thread that talks to it."""

    def __init__(self, path: Path, disk: Disk, connect_: Connect = connect) -> None:
        self._path = path
        self._disk = disk
        self._connect = connect_
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reader: sqlite3.Connection | None = None
        self._epoch = 0

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
        self._jobs.put(_Job(work, outcome))
        return await finished(asyncio.wrap_future(outcome))

    async def read(self, work: Work[T]) -> T:
        """Do *work*, which only asks, beside a commit under way: it sees all that is done by then.

        Cancelling waits for the end.
        """
        if self._thread is None:
            raise IngestError("the state is closed")
        if self._readers is None:
            self._readers = ThreadPoolExecutor(1, "paragon-state-reader")
        return await finished(asyncio.wrap_future(self._readers.submit(self._read, work)))

    def _read(self, work: Work[T]) -> T:
        try:
            if self._reader is None:
                self._reader = schema.read_only(self._path, self._connect)
            return work(self._reader)
        except BaseException as error:
            ours = _ours(error, self._path)
            if ours is error:
                raise
            raise ours from error

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def aclose(self) -> None:
        """End the threads, when all that was handed in is done; calling it again is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await finished(asyncio.ensure_future(asyncio.to_thread(self._end, thread)))

    def _end(self, thread: threading.Thread) -> None:
        # The last one to close brings the log into the file, and a reader may not.
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.submit(self._close_reader)
            readers.shutdown()
        self._jobs.put(None)
        thread.join()

    def _serve(self, ready: Future[None]) -> None:
        try:
            database = schema.prepare(self._path, self._disk, self._connect)
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            ready.set_exception(_ours(error, self._path))
            return
        try:
            self._begin(database, ready)
            while self._gather(database):
                pass
        finally:
            database.close()

    def _begin(self, database: sqlite3.Connection, ready: Future[None]) -> None:
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
            self._epoch = _epoch(database)
            database.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001  # the caller raises it
            ready.set_exception(_ours(error, self._path))
        else:
            ready.set_result(None)

    def _gather(self, database: sqlite3.Connection) -> bool:
        """Do what waits, as one group; False when the end was asked for."""
        group: list[_Job] = []
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
        self._commit(database, group)
        return goes_on

    def _commit(self, database: sqlite3.Connection, group: list[_Job]) -> None:
        if not group:
            return
        try:
            results = self._transaction(database, group)
        except BaseException as error:  # noqa: BLE001  # whoever waits for it raises it
            if len(group) == 1:
                group[0].outcome.set_exception(_ours(error, self._path))
                return
            for job in group:
                self._commit(database, [job])
        else:
            for job, result in zip(group, results, strict=True):
                job.outcome.set_result(result)

    def _transaction(self, database: sqlite3.Connection, group: list[_Job]) -> list[Any]:
        # A deferred transaction that comes to write can fail in a way that no waiting mends.
        database.execute("BEGIN IMMEDIATE")
        try:
            self._still_mine(database)
            results = [job.work(database) for job in group]
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return results

    def _still_mine(self, database: sqlite3.Connection) -> None:
        if _epoch(database) != self._epoch:
            raise StateHeldError(
                "another ingest has taken over this state since; this one wrote nothing more",
                holder="another process",
            )


def _epoch(database: sqlite3.Connection) -> int:
    found = database.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    if found is None or not isinstance(found[0], int):
        raise StateError("the state is damaged: it does not say who writes it")
    return found[0]


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
