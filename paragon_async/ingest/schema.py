"""The state file: its tables, how one is made, and how a wrong one is found out before it is touched.

    feeds      which sync of which user, the cursor, the sink it goes to
    places     files of rows: bytes that count, rows in them, how many are superseded
    records    every record ever mirrored: digest of its line, where it lies, deleted or doomed
    receipts   every content: version, path, size, hash, how it was verified
    dead       dead letters
    intents    records whose contents are being worked on: after a crash, what lies there is suspect
    claims     records that a webhook said are gone, until the API was asked
    runs       what the last runs did

A new file is made beside and renamed when it is whole, so an empty one is damage. Source: failures.md
F116: a truncated file, a foreign one, flipped bytes.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from paragon_async.disk import Disk
from paragon_async.errors import StateError

APPLICATION = 0x50415253
VERSION = 1
Connect = Callable[[str], sqlite3.Connection]
_MAGIC = b"SQLite format 3\x00"
_HEADER = 100
_TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0), ('owner', lower(hex(randomblob(16))));
CREATE TABLE feeds(
  feed INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, user TEXT NOT NULL, sync TEXT NOT NULL,
  sink TEXT NOT NULL, cursor TEXT, seal BLOB NOT NULL, passes INTEGER NOT NULL DEFAULT 0,
  running INTEGER, settings TEXT,
  UNIQUE(project, user, sync));
CREATE TABLE places(
  place INTEGER PRIMARY KEY, feed INTEGER NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL,
  rows INTEGER NOT NULL, stale INTEGER NOT NULL DEFAULT 0, UNIQUE(feed, name));
CREATE TABLE records(
  feed INTEGER NOT NULL, id TEXT NOT NULL, digest BLOB, place INTEGER, deleted_at REAL,
  doomed TEXT, pass INTEGER, PRIMARY KEY(feed, id)) WITHOUT ROWID;
CREATE INDEX doomed ON records(feed) WHERE doomed IS NOT NULL;
CREATE TABLE receipts(
  feed INTEGER NOT NULL, id TEXT NOT NULL, version TEXT NOT NULL, path TEXT NOT NULL,
  size INTEGER NOT NULL, sha256 TEXT NOT NULL, content_type TEXT, verified_by TEXT NOT NULL,
  at REAL NOT NULL, PRIMARY KEY(feed, id)) WITHOUT ROWID;
CREATE TABLE dead(
  feed INTEGER NOT NULL, id TEXT NOT NULL, name TEXT, kind TEXT NOT NULL, reason TEXT NOT NULL,
  passing INTEGER NOT NULL, attempts INTEGER NOT NULL, first_at REAL NOT NULL, last_at REAL NOT NULL,
  PRIMARY KEY(feed, id)) WITHOUT ROWID;
CREATE TABLE intents(
  feed INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY(feed, id)) WITHOUT ROWID;
CREATE TABLE claims(
  feed INTEGER NOT NULL, id TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(feed, id)) WITHOUT ROWID;
CREATE TABLE runs(
  run INTEGER PRIMARY KEY, feed INTEGER NOT NULL, kind TEXT NOT NULL, started_at REAL NOT NULL,
  outcome TEXT NOT NULL, report TEXT NOT NULL);
"""


def connect(path: str) -> sqlite3.Connection:
    """Open a database, statements committing only where they are told to."""
    return sqlite3.connect(path, isolation_level=None, uri=True, timeout=5)


def prepare(path: Path, disk: Disk, connect_: Connect = connect) -> sqlite3.Connection:
    """Open the state at *path*, making it where there is none; raises `StateError` for any other.

    Nothing is written to a file that is not a good state of this version.
    """
    if not path.exists():
        _make(path, disk, connect_)
    examine(path)
    with contextlib.closing(_reader(path, connect_)) as reader:
        _check(reader, path)
    found = connect_(f"{path.absolute().as_uri()}?mode=rw")
    try:
        # WAL with FULL lost nothing in measured power cuts; see failures.md finding 6.
        found.execute("PRAGMA journal_mode = WAL").fetchone()
        found.execute("PRAGMA synchronous = FULL")
        found.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        found.close()
        raise
    return found


def read_only(path: Path, connect_: Connect = connect) -> sqlite3.Connection:
    """Open a state to look at it, also while an ingest writes to it."""
    if not path.exists():
        raise StateError(f"there is no mirror here: {str(path)!r} does not exist")
    examine(path)
    return _reader(path, connect_)


def examine(path: Path) -> None:
    """Read the header of a state file; raise `StateError` for what is none of ours."""
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) < _HEADER:
        raise StateError(damaged(path, "it is shorter than any database"))
    if not header.startswith(_MAGIC):
        raise StateError(f"{str(path)!r} is no database: it was not made by this program")
    version, application = struct.unpack_from(">I4xI", header, 60)
    if application != APPLICATION:
        raise StateError(f"{str(path)!r} is another program's database, it was left alone")
    if version > VERSION:
        raise StateError(
            f"{str(path)!r} was written by a newer version of paragon-async (state {version}, "
            f"this one knows {VERSION}): upgrade paragon-async"
        )


def _reader(path: Path, connect_: Connect) -> sqlite3.Connection:
    """Open a state so that not even closing it changes anything.

    Where nobody writes to it, it may be taken for unchanging: that leaves no files beside it, and
    works where nothing may be written.
    """
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    return connect_(f"{path.absolute().as_uri()}?mode=ro{alone}")


def _check(database: sqlite3.Connection, path: Path) -> None:
    try:
        answer = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise StateError(damaged(path, str(error))) from error
    if answer != ("ok",):
        raise StateError(damaged(path, str(answer[0]).splitlines()[0]))


def damaged(path: Path, how: str) -> str:
    """Return the sentence for a state that is damaged: what to do about it."""
    return (
        f"the state {str(path)!r} is damaged ({how}): restore it, or move the whole mirror aside and "
        "ingest again"
    )


def _make(path: Path, disk: Disk, connect_: Connect) -> None:
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        database = connect_(beside.absolute().as_uri())
        try:
            database.execute(f"PRAGMA application_id = {APPLICATION}")
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.executescript(_TABLES)
        finally:
            database.close()
        disk.replace(beside, path)
        disk.sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            disk.unlink(beside)
        raise
