"""The file under an inbox: its lock, its tables, and the one thread that talks to it.

    events    body, key (what must be handled in order), due (set only on the first of its key), parked
    tally     how many wait, are parked, were handled

What waits for the thread while a commit is flushed shares the next flush. Source: failures.md 0, 6.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import attrs

from paragon_async.disk import SystemDisk
from paragon_async.errors import ParagonError, WebhookError
from paragon_async.sqlitefile import Connect, Kind, connect
from paragon_async.threads import finished

try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover  # Windows: nothing keeps a second process out
    fcntl = None  # type: ignore[assignment]  # Windows has none

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_GROUP = 256
_TABLES = """
BEGIN;
CREATE TABLE tally(name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO tally VALUES ('waiting', 0), ('parked', 0), ('handled', 0);
CREATE TABLE events(
  number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, digest BLOB NOT NULL,
  body BLOB NOT NULL, due REAL, parked INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, error TEXT, handlers TEXT);
CREATE INDEX turn ON events(due, number) WHERE due IS NOT NULL;
CREATE INDEX line ON events(key, number) WHERE parked = 0;
CREATE INDEX same ON events(digest) WHERE parked = 0;
CREATE INDEX aside ON events(number) WHERE parked = 1;
COMMIT;
"""


class InboxError(WebhookError):
    """The inbox cannot be used: damaged, held by another process, closed, or its disk refuses."""


class InboxFullError(InboxError):
    """The inbox holds as many events as it may."""


_INBOX = Kind(
    noun="inbox",
    application=0x50415749,
    version=1,
    tables=_TABLES,
    mend="restore it, or move it aside and pull anew",
    mode=0o600,
    error=InboxError,
)


@attrs.frozen(eq=False)
class _Job:
    work: Work[Any]
    outcome: Future[Any]


class Store:
    """An open inbox file. Raises `InboxError` for whatever file or disk refuse."""

    def __init__(self, path: Path, connect_: Connect = connect) -> None:
        self._path = path
        self._connect = connect_
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether work can be handed in."""
        return self._thread is not None

    async def open(self) -> None:
        """Take the lock, check the file or make it, and start the thread."""
        if self._thread is not None:
            raise InboxError(f"the inbox {str(self._path)!r} is open already")
        ready: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(ready,), name="paragon-inbox", daemon=True
        )
        self._thread.start()
        try:
            await finished(asyncio.wrap_future(ready))
        except BaseException:
            await self.aclose()
            raise

    async def run(self, work: Work[T]) -> T:
        """Do *work* in a transaction; when this returns, it is durable. Cancelling waits for that."""
        if self._thread is None:
            raise InboxError(f"the inbox {str(self._path)!r} is not open")
        outcome: Future[T] = Future()
        self._jobs.put(_Job(work, outcome))
        return await finished(asyncio.wrap_future(outcome))

    async def aclose(self) -> None:
        """End the thread, when all that was handed in is done; calling it again is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await finished(asyncio.ensure_future(asyncio.to_thread(thread.join)))

    def _serve(self, ready: Future[None]) -> None:
        with contextlib.ExitStack() as stack:
            try:
                stack.callback(os.close, _locked(self._path))
                database = _INBOX.prepare(self._path, SystemDisk(), self._connect)
                stack.callback(database.close)
            except BaseException as error:  # noqa: BLE001  # the caller raises it
                ready.set_exception(self._ours(error))
                return
            ready.set_result(None)
            while self._gather(database):
                pass

    def _gather(self, database: sqlite3.Connection) -> bool:
        """Do what waits, as one group; False when the end was asked for."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            if job.outcome.set_running_or_notify_cancel():
                group.append(job)
            if len(group) >= _GROUP or self._jobs.empty():
                break
            job = self._jobs.get()
        if group:
            self._commit(database, group)
        return job is not None

    def _commit(self, database: sqlite3.Connection, group: list[_Job]) -> None:
        try:
            database.execute("BEGIN IMMEDIATE")
            answers = [_attempted(database, job.work) for job in group]
            database.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001  # whoever waits for it raises it
            answers = [error] * len(group)
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        for job, answer in zip(group, answers, strict=True):
            if isinstance(answer, BaseException):
                job.outcome.set_exception(self._ours(answer))
            else:
                job.outcome.set_result(answer)

    def _ours(self, error: BaseException) -> BaseException:
        """Name the error as this SDK does; what is none of disk or database stays itself."""
        match error:
            case ParagonError():
                return error
            case OSError():
                return InboxError(
                    f"cannot use the inbox {str(self._path)!r}: {error.strerror or error}"
                )
            case sqlite3.Error():
                # Older builds of SQLite have no name for some.
                name = getattr(error, "sqlite_errorname", None) or ""
                is_full = name.startswith("SQLITE_FULL")
                reason = "the disk is full" if is_full else str(error)
                return InboxError(f"cannot use the inbox {str(self._path)!r}: {reason}")
            case _:
                return error


def _attempted(database: sqlite3.Connection, work: Work[Any]) -> Any:
    """Do one job of a group; its error, if any, is its answer, and takes back only its own work."""
    database.execute("SAVEPOINT job")
    try:
        answer = work(database)
    except Exception as error:
        if not database.in_transaction:
            # A full disk takes back the whole group.
            raise
        database.execute("ROLLBACK TO job")
        answer = error
    database.execute("RELEASE job")
    return answer


def _locked(path: Path) -> int:
    """Hold the lock beside the file: the kernel lets go of it, however this process ends."""
    # Never through a link: the number written below would replace what lies behind it.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    file = os.open(path.with_name(f"{path.name}.lock"), flags, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(file)
        raise InboxError(
            f"the inbox {str(path)!r} is in use by process {holder}: one process serves an inbox; "
            "stop that one, or choose another file"
        ) from None
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
    return file
