"""The state file: its tables.

    feeds      which sync of which user, the cursor, the sink it goes to
    places     files of rows: bytes that count, rows in them, how many are superseded
    records    every record ever mirrored: digest of its line, where it lies, deleted or doomed
    receipts   every content: version, path, size, hash, how it was verified
    dead       dead letters
    intents    records whose contents are being worked on: after a crash, what lies there is suspect
    claims     records that a webhook said are gone, until the API was asked
    runs       what the last runs did

How such a file is made and looked at stands in `sqlitefile`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from paragon_async.disk import Disk
from paragon_async.errors import StateError
from paragon_async.sqlitefile import Connect, Kind, connect

VERSION = 1
_CACHE_KIB = 16 << 10
_LOG_PAGES = 16_000
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
_STATE = Kind(
    noun="state",
    application=0x50415253,
    version=VERSION,
    tables=_TABLES,
    mend="restore it, or move the whole mirror aside and ingest again",
    mode=0o600,
    error=StateError,
)


def prepare(path: Path, disk: Disk, connect_: Connect = connect) -> sqlite3.Connection:
    """Open the state at *path*, making it where there is none; raises `StateError` for any other."""
    database = _STATE.prepare(path, disk, connect_)
    try:
        # Ids come in no order: a commit touches a page of the tree for almost every row. Held for
        # longer, a page is read, and brought from the log into the file, once for many rows.
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    except BaseException:
        database.close()
        raise
    return database


def read_only(path: Path, connect_: Connect = connect) -> sqlite3.Connection:
    """Open a state to look at it, also while an ingest writes to it."""
    if not path.exists():
        raise StateError(f"there is no mirror here: {str(path)!r} does not exist")
    return _STATE.reader(path, connect_)


def damaged(path: Path, how: str) -> str:
    """Return the sentence for a state that is damaged: what to do about it."""
    return _STATE.damaged(path, how)
