"""State in SQLite: syncs, and records with a change sequence.

A record has one place in its sync's feed, that of its latest change: an update moves it to the end,
a delete leaves a tombstone there. Bodies are kept as JSON text, so a page is joined and not built.
How many records lie behind a place is told by counts per block of the sequence, so the price of a
page does not grow with its depth.
"""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

_BLOCK = 1024
_SCHEMA = """
CREATE TABLE IF NOT EXISTS syncs (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, integration TEXT NOT NULL, pipeline TEXT NOT NULL,
    name TEXT NOT NULL, configuration TEXT NOT NULL, credential TEXT, frequency TEXT,
    status TEXT NOT NULL, generation INTEGER NOT NULL, polls INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL DEFAULT 0, created TEXT NOT NULL, updated TEXT NOT NULL, synced TEXT,
    reason TEXT);
CREATE TABLE IF NOT EXISTS generations (id TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    sync TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL, external TEXT, parent TEXT,
    path BLOB, body TEXT NOT NULL, deleted INTEGER NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (sync, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS feed ON records (sync, sequence);
CREATE INDEX IF NOT EXISTS externals ON records (sync, external);
CREATE TABLE IF NOT EXISTS blocks (
    sync TEXT NOT NULL, block INTEGER NOT NULL, live INTEGER NOT NULL,
    PRIMARY KEY (sync, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    sync TEXT PRIMARY KEY, known INTEGER NOT NULL DEFAULT 0, active INTEGER NOT NULL DEFAULT 0);
"""


@attrs.frozen(kw_only=True)
class Row:
    """A record to be stored. *path* is where its content lies, relative to the mounted folder."""

    id: str
    body: str
    external: str | None = None
    parent: str | None = None
    path: bytes | None = None
    deleted: bool = False


class Store:
    """All state of one emulator. Methods are short and run in the event loop."""

    def __init__(self, path: str = ":memory:") -> None:
        self._path = path

    @functools.cached_property
    def _db(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.executescript(_SCHEMA)
        return db

    def close(self) -> None:
        """Close the database."""
        if "_db" in self.__dict__:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything in the block one step."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add_sync(self, values: dict[str, Any]) -> None:
        """Store a new sync; its generation follows the last one that bore its id."""
        bump = (
            "INSERT INTO generations VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET last = last + 1"
        )
        with self.transaction():
            self._db.execute(bump, (values["id"],))
            last = self._db.execute("SELECT last FROM generations WHERE id = ?", (values["id"],))
            values = values | {"generation": last.fetchone()[0]}
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            self._db.execute(f"INSERT INTO syncs ({names}) VALUES ({marks})", (*values.values(),))  # noqa: S608  # our own column names
            self._db.execute("INSERT INTO totals (sync) VALUES (?)", (values["id"],))

    def sync(self, sync_id: str) -> sqlite3.Row | None:
        """Return a sync's row."""
        found = self._db.execute("SELECT * FROM syncs WHERE id = ?", (sync_id,))
        row: sqlite3.Row | None = found.fetchone()
        return row

    def syncs(self, user: str | None = None) -> list[sqlite3.Row]:
        """Return the syncs of a user, or all, oldest first."""
        query = "SELECT * FROM syncs WHERE ?1 IS NULL OR user = ?1 ORDER BY created, id"
        return self._db.execute(query, (user,)).fetchall()

    def change_sync(self, sync_id: str, **values: object) -> None:
        """Set columns of a sync."""
        assignments = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(
            f"UPDATE syncs SET {assignments} WHERE id = ?",  # noqa: S608  # our own column names
            (*values.values(), sync_id),
        )

    def delete_sync(self, sync_id: str) -> None:
        """Forget a sync and its records; its generation is remembered."""
        with self.transaction():
            for table, column in (
                ("syncs", "id"),
                ("records", "sync"),
                ("blocks", "sync"),
                ("totals", "sync"),
            ):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (sync_id,))  # noqa: S608  # our own names

    def put(self, sync_id: str, rows: Iterable[Row]) -> None:
        """Store records at the end of the feed, each in the place of its older self."""
        with self.transaction():
            last = self._db.execute(
                "SELECT sequence FROM syncs WHERE id = ?", (sync_id,)
            ).fetchone()
            if last is None:
                return
            sequence = last[0]
            for row in rows:
                sequence += 1
                self._put(sync_id, row, sequence)
            self._db.execute("UPDATE syncs SET sequence = ? WHERE id = ?", (sequence, sync_id))

    def _put(self, sync_id: str, row: Row, sequence: int) -> None:
        old = self.record(sync_id, row.id)
        if old is not None:
            self._count(sync_id, old["sequence"], -1)
        self._count(sync_id, sequence, 1)
        known = old is None
        active = (not row.deleted) - (old is not None and not old["deleted"])
        self._db.execute(
            "UPDATE totals SET known = known + ?, active = active + ? WHERE sync = ?",
            (known, active, sync_id),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sync_id,
                row.id,
                sequence,
                row.external,
                row.parent,
                row.path,
                row.body,
                row.deleted,
                time.time_ns() // 1_000_000,
            ),
        )

    def _count(self, sync_id: str, sequence: int, change: int) -> None:
        self._db.execute(
            "INSERT INTO blocks VALUES (?1, ?2, ?3) "
            "ON CONFLICT (sync, block) DO UPDATE SET live = live + ?3",
            (sync_id, sequence // _BLOCK, change),
        )

    def record(self, sync_id: str, record_id: str) -> sqlite3.Row | None:
        """Return one record's row, a tombstone's too."""
        query = "SELECT * FROM records WHERE sync = ? AND id = ?"
        row: sqlite3.Row | None = self._db.execute(query, (sync_id, record_id)).fetchone()
        return row

    def by_external(self, sync_id: str, external: str) -> sqlite3.Row | None:
        """Return the row of an integration's id."""
        query = "SELECT * FROM records WHERE sync = ? AND external = ?"
        row: sqlite3.Row | None = self._db.execute(query, (sync_id, external)).fetchone()
        return row

    def records(self, sync_id: str) -> list[sqlite3.Row]:
        """Return all records that are not deleted, in the feed's order."""
        query = "SELECT * FROM records WHERE sync = ? AND NOT deleted ORDER BY sequence"
        return self._db.execute(query, (sync_id,)).fetchall()

    def page(self, sync_id: str, after: int, size: int) -> list[sqlite3.Row]:
        """Return up to *size* records after a place of the feed."""
        query = (
            "SELECT body, sequence, seen FROM records "
            "WHERE sync = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        )
        return self._db.execute(query, (sync_id, after, size)).fetchall()

    def totals(self, sync_id: str) -> tuple[int, int]:
        """Return how many records there are with tombstones, and without."""
        query = "SELECT known, active FROM totals WHERE sync = ?"
        known, active = self._db.execute(query, (sync_id,)).fetchone()
        return known, active

    def behind(self, sync_id: str, sequence: int) -> int:
        """Return how many records lie after a place: whole blocks, and the rest of its own."""
        block = sequence // _BLOCK
        whole = "SELECT COALESCE(SUM(live), 0) FROM blocks WHERE sync = ? AND block > ?"
        part = "SELECT COUNT(*) FROM records WHERE sync = ? AND sequence > ? AND sequence < ?"
        blocks = self._db.execute(whole, (sync_id, block)).fetchone()[0]
        rest = self._db.execute(part, (sync_id, sequence, (block + 1) * _BLOCK)).fetchone()[0]
        return int(blocks + rest)
