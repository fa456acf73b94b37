"""What a mirror holds and how its last runs went, read without taking the lock: for `status`.

look(folder)         every feed of a mirror, in one reading transaction
lacking(folder, …)   which records are there without their content
holder(path)         who works on it now
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from paragon_async.errors import DestinationError, StateError
from paragon_async.ingest import feeds, places, schema, statements
from paragon_async.ingest import letters as dead_letters
from paragon_async.ingest.state import HOME
from paragon_async.ingest.values import DeadLetter, Feed, Report

_FORMATS = {".jsonl": "jsonl", ".parquet": "parquet"}
_NO_CONTENT = "shape"
_FILTER = "filter"
# Reasons for which a state cannot be read that are not in the file.
_OUTER = ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "PERM", "READONLY", "AUTH", "NOMEM")


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
    rows, `jsonl` or `parquet`, None where there are none. *asked* is what `Ingest` was last told of
    contents: true, false, `filter` for a function, None where the state does not say. *held_by* says
    who works on the mirror now, None when nobody does; *is_cut_off* tells that the last run did not
    come to its end.
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
    asked: bool | str | None
    held_by: str | None
    is_cut_off: bool

    @property
    def is_good(self) -> bool:
        """Whether nothing waits for somebody to look at it: no dead letter, nothing doomed, no failure.

        A run that failed counts until a later one has begun to put it right.
        """
        has_failed = bool(self.runs) and self.runs[0].outcome not in {"done", "stopped"}
        return not (self.dead or self.doomed or (has_failed and self.held_by is None))

    @property
    def is_filtered(self) -> bool:
        """Whether a function, which no state can keep, chooses the contents."""
        return self.asked == _FILTER

    @property
    def wants_contents(self) -> bool:
        """Whether contents are wanted, all or some; guessed from what is there in an old state."""
        if self.asked is not None:
            return bool(self.asked)
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
    with reading(folder) as db:
        held_by = holder(_state(folder).with_name("lock"))
        return [_feed(db, row, held_by, letters, runs) for row in _feeds(db)]


def lacking(folder: str | os.PathLike[str], feed: Feed, ids: Sequence[str]) -> set[str]:
    """Return those of *ids* that are alive in the mirror without their content. Raises as `look`."""
    with reading(folder) as db:
        number = number_of(db, feed)
        known = {} if number is None else statements.look(db, number, ids)
    return {id_ for id_, k in known.items() if k.digest is not None and k.receipt is None}


def number_of(db: sqlite3.Connection, feed: Feed) -> int | None:
    """Return the number under which a state knows *feed*, None where it does not."""
    row = db.execute(
        "SELECT feed FROM feeds WHERE project = ? AND user = ? AND sync = ?",
        (feed.project, feed.user, feed.sync),
    ).fetchone()
    return None if row is None else int(row[0])


def holder(path: str | os.PathLike[str]) -> str | None:
    """Return who holds the lock file *path*: process, machine, since when; None when nobody does.

    The file is read and never locked, for an ingest that begins just then would be refused. A process
    of this machine that was killed leaves its name there: it is asked whether it lives. Of another
    machine that cannot be known, and what it wrote stands.
    """
    try:
        text = Path(path).read_bytes()[:4096]
    except FileNotFoundError:
        return None
    if not text:
        return None
    try:
        found = json.loads(text)
        pid, host, since = found["pid"], found["host"], found["since"]
    except (ValueError, KeyError, TypeError):
        return "another process"
    if host == socket.gethostname() and not _lives(pid):
        return None
    return f"process {pid} on {host}, since {since}"


def _lives(pid: object) -> bool:
    # Windows would end the process that is asked.
    if type(pid) is not int or pid < 1 or os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


@contextmanager
def reading(folder: str | os.PathLike[str]) -> Generator[sqlite3.Connection, None, None]:
    """Open a mirror's state to read it, in one transaction. Raises as `look`, whatever is wrong."""
    path = _state(folder)
    try:
        with contextlib.closing(schema.read_only(path)) as db:
            # Figures of one instant, whatever is committed meanwhile.
            db.execute("BEGIN")
            yield db
    except sqlite3.Error as error:
        name = (getattr(error, "sqlite_errorname", None) or "").removeprefix("SQLITE_")
        if name.startswith(_OUTER):
            raise StateError(f"the state {str(path)!r} cannot be read: {error}") from error
        raise StateError(schema.damaged(path, str(error))) from error
    except OSError as error:
        raise DestinationError(
            f"cannot read {str(path)!r}: {error.strerror}", errno=error.errno
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        # What is kept as JSON is not what was written.
        raise StateError(schema.damaged(path, str(error))) from error


def _state(folder: str | os.PathLike[str]) -> Path:
    return Path(folder) / HOME / "state.db"


@attrs.frozen
class _Row:
    """A row of the table of feeds."""

    number: int
    feed: Feed
    sink: str
    is_running: bool
    asked: bool | str | None


def _feeds(db: sqlite3.Connection) -> list[_Row]:
    rows = db.execute(
        "SELECT feed, project, user, sync, sink, running, settings FROM feeds ORDER BY feed"
    )
    return [
        _Row(
            number,
            Feed(project=project, user=user, sync=sync),
            sink,
            bool(running),
            json.loads(settings or "{}").get("contents"),
        )
        for number, project, user, sync, sink, running, settings in rows.fetchall()
    ]


def _feed(
    db: sqlite3.Connection, row: _Row, held_by: str | None, most_letters: int, runs: int
) -> Overview:
    number, feed = row.number, row.feed
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
        sink=row.sink,
        format=next((_FORMATS[s] for s in sorted(suffixes) if s in _FORMATS), None),
        cursor=feeds.cursor_of(db, number, feed),
        records=statements.alive(db, number),
        deleted=deleted,
        doomed=statements.count_doomed(db, number),
        contents=contents,
        bytes=size,
        dead=dict(dead.fetchall()),
        letters=dead_letters.letters(db, number)[:most_letters],
        runs=_runs(db, number, runs),
        asked=row.asked,
        held_by=held_by,
        is_cut_off=row.is_running and held_by is None,
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
