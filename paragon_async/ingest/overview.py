"""What a mirror holds and how its last runs went, read without taking the lock: for `status`.

look(folder)     every feed of a mirror, in one reading transaction
holder(path)     who works on it now
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

import attrs

from paragon_async.errors import DestinationError, StateError
from paragon_async.ingest import places, schema, statements
from paragon_async.ingest.state import HOME
from paragon_async.ingest.values import DeadLetter, Feed, Report

try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover  # Windows: what the file says has to do
    fcntl = None  # type: ignore[assignment]

_FORMATS = {".jsonl": "jsonl", ".parquet": "parquet"}
_NO_CONTENT = "shape"


@attrs.frozen(kw_only=True)
class Ran:
    """One run of the past: *kind* is `run`, `reconcile`, `verify` or `retry`, *started_at* Unix time.

    *outcome* is `done`, `stopped` when it was cancelled, or the name of the error that stopped it.
    """

    kind: str
    started_at: float
    outcome: str
    report: Report


@attrs.frozen(kw_only=True)
class Overview:
    """One feed of a mirror, as the state has it.

    *records* are alive, *deleted* were; *doomed* of those alive are to be deleted by the next run
    that may. *contents* have a receipt and *bytes* together. *dead* counts dead letters by kind,
    *letters* are the first of them. *runs* are the last ones, newest first. *format* is that of the
    rows, `jsonl` or `parquet`, None where there are none. *held_by* says who works on the mirror now,
    None when nobody does; *is_cut_off* tells that the last run did not come to its end.
    """

    feed: Feed
    sink: str
    format: str | None
    cursor: str | None
    records: int
    deleted: int
    doomed: int
    contents: int
    bytes: int
    dead: dict[str, int]
    letters: list[DeadLetter]
    runs: list[Ran]
    held_by: str | None
    is_cut_off: bool

    @property
    def is_good(self) -> bool:
        """Whether nothing waits for somebody to look at it: no dead letter, nothing doomed."""
        return not self.dead and not self.doomed

    @property
    def wants_contents(self) -> bool:
        """Whether the mirror is one with contents, as far as can be told from what it holds."""
        return bool(self.contents or self.dead.keys() - {_NO_CONTENT})


def is_mirror(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a state lies in *folder*, good or not."""
    try:
        return _state(folder).exists()
    except OSError:
        # Why it cannot be looked at is for `look` to tell.
        return True


def look(folder: str | os.PathLike[str], *, letters: int = 10, runs: int = 5) -> list[Overview]:
    """Return what the mirror in *folder* holds, one `Overview` for each feed; blocks, shortly.

    It takes no lock and changes nothing, also while an ingest works there. At most *letters* dead
    letters and *runs* runs are listed. Raises `StateError` where there is no mirror, or its state is
    damaged, and `DestinationError` where it cannot be read.
    """
    path = _state(folder)
    try:
        held_by = holder(path.with_name("lock"))
        with contextlib.closing(schema.read_only(path)) as db:
            # One transaction: figures of one instant, whatever is committed meanwhile.
            db.execute("BEGIN")
            return [_feed(db, row, held_by, letters, runs) for row in _feeds(db)]
    except sqlite3.Error as error:
        raise StateError(f"the state {str(path)!r} cannot be read: {error}") from error
    except OSError as error:
        raise DestinationError(
            f"cannot read {str(path)!r}: {error.strerror}", errno=error.errno
        ) from error


def holder(path: str | os.PathLike[str]) -> str | None:
    """Return who holds the lock file *path*: process, machine, since when; None when nobody does.

    A process that was killed leaves its name there: whether the lock is free is then tried, for an
    instant. Where nothing is written there it is not, so that no ingest that begins is disturbed.
    """
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    try:
        text = os.pread(file, 4096, 0)
        if not text or _is_free(file):
            return None
    finally:
        os.close(file)
    try:
        found = json.loads(text)
        return f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _is_free(file: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _state(folder: str | os.PathLike[str]) -> Path:
    return Path(folder) / HOME / "state.db"


def _feeds(db: sqlite3.Connection) -> list[tuple[int, Feed, str, bool]]:
    rows = db.execute("SELECT feed, project, user, sync, sink, running FROM feeds ORDER BY feed")
    return [
        (number, Feed(project=project, user=user, sync=sync), sink, bool(running))
        for number, project, user, sync, sink, running in rows.fetchall()
    ]


def _feed(
    db: sqlite3.Connection,
    row: tuple[int, Feed, str, bool],
    held_by: str | None,
    letters: int,
    runs: int,
) -> Overview:
    number, feed, sink, running = row
    contents, size = db.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM receipts WHERE feed = ?", (number,)
    ).fetchone()
    deleted = db.execute(
        "SELECT count(*) FROM records WHERE feed = ? AND deleted_at IS NOT NULL", (number,)
    ).fetchone()[0]
    dead = db.execute(
        "SELECT kind, count(*) FROM dead WHERE feed = ? GROUP BY kind ORDER BY kind", (number,)
    )
    suffixes = {Path(name).suffix for name in places.places(db, number)}
    return Overview(
        feed=feed,
        sink=sink,
        format=next((_FORMATS[s] for s in sorted(suffixes) if s in _FORMATS), None),
        cursor=statements.cursor_of(db, number, feed),
        records=statements.alive(db, number),
        deleted=deleted,
        doomed=statements.count_doomed(db, number),
        contents=contents,
        bytes=size,
        dead=dict(dead.fetchall()),
        letters=statements.letters(db, number)[:letters],
        runs=_runs(db, number, runs),
        held_by=held_by,
        is_cut_off=running and held_by is None,
    )


def _runs(db: sqlite3.Connection, number: int, limit: int) -> list[Ran]:
    rows = db.execute(
        "SELECT kind, started_at, outcome, report FROM runs WHERE feed = ? "
        "ORDER BY run DESC LIMIT ?",
        (number, limit),
    )
    return [
        Ran(kind=kind, started_at=at, outcome=outcome, report=Report(**json.loads(report)))
        for kind, at, outcome, report in rows
    ]
