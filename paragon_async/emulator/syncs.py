"""The syncs of all users, as rows. What happens to them is decided in life.py."""

from __future__ import annotations

import sqlite3
from typing import Any

from paragon_async.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS syncs (
    id TEXT PRIMARY KEY, user TEXT NOT NULL, account TEXT NOT NULL, integration TEXT NOT NULL,
    pipeline TEXT NOT NULL, name TEXT NOT NULL, configuration TEXT NOT NULL, credential TEXT,
    frequency TEXT, status TEXT NOT NULL, generation INTEGER NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL, synced TEXT, reason TEXT, backoff REAL, item INTEGER NOT NULL DEFAULT 0,
    filled INTEGER NOT NULL DEFAULT 0, last_run REAL NOT NULL, last_full REAL NOT NULL);
CREATE TABLE IF NOT EXISTS generations (id TEXT PRIMARY KEY, last INTEGER NOT NULL);
"""


class Syncs:
    """The rows, by id."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, values: dict[str, Any]) -> None:
        """Store a new sync; its generation follows the last one that bore its id."""
        bump = (
            "INSERT INTO generations VALUES (?, 1) "
            "ON CONFLICT (id) DO UPDATE SET last = last + 1 RETURNING last"
        )
        with self._store.transaction() as db:
            last = db.execute(bump, (values["id"],)).fetchone()[0]
            values = values | {"generation": last}
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            db.execute(f"INSERT INTO syncs ({names}) VALUES ({marks})", (*values.values(),))  # noqa: S608  # our own column names

    def get(self, sync_id: str) -> sqlite3.Row | None:
        """Return a sync's row."""
        found = self._store.db.execute("SELECT * FROM syncs WHERE id = ?", (sync_id,))
        row: sqlite3.Row | None = found.fetchone()
        return row

    def all(self, user: str | None = None) -> list[sqlite3.Row]:
        """Return the syncs of a user, or all, oldest first."""
        query = "SELECT * FROM syncs WHERE ?1 IS NULL OR user = ?1 ORDER BY created, id"
        return self._store.db.execute(query, (user,)).fetchall()

    def change(self, sync_id: str, **values: object) -> None:
        """Set columns of a sync."""
        names = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE syncs SET {names} WHERE id = ?"  # noqa: S608  # our own column names
        self._store.db.execute(query, (*values.values(), sync_id))

    def delete(self, sync_id: str) -> None:
        """Forget a sync; its generation is remembered."""
        self._store.db.execute("DELETE FROM syncs WHERE id = ?", (sync_id,))
