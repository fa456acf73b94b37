"""What the emulator was asked: a bounded journal for assertions, kept with the state.

Calls are gathered in memory and written in batches, so that noting one costs next to nothing.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections import deque

import attrs

from paragon_async.emulator.clock import Clock
from paragon_async.emulator.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, query TEXT NOT NULL, status INTEGER, user TEXT, fault INTEGER);
"""
_log = logging.getLogger("paragon_async.emulator")
_REMEMBERED = 10_000
_BATCH = 500


@attrs.frozen(kw_only=True)
class Call:
    """One request that came in: what was asked, by whom, how it was answered, by which fault."""

    method: str
    path: str
    query: dict[str, str]
    status: int | None
    user: str | None
    at: float = 0.0
    fault: int | None = None


class Journal:
    """The latest calls."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.calls: deque[Call] = deque(maxlen=_REMEMBERED)
        self._store = store
        self._clock = clock
        self._pending: list[Call] = []

    def note(self, call: Call) -> None:
        """Add a call."""
        call = attrs.evolve(call, at=self._clock.now())
        self.calls.append(call)
        self._pending.append(call)
        if len(self._pending) >= _BATCH:
            try:
                self.flush()
            except sqlite3.Error as error:
                # A full disk, perhaps: the answer is not to suffer from it.
                _log.error("the journal could not be written: %s", error)
                self._pending.clear()

    def flush(self) -> None:
        """Write what was gathered."""
        pending = self._pending
        rows = [
            (c.at, c.method, c.path, json.dumps(c.query), c.status, c.user, c.fault)
            for c in pending
        ]
        with self._store.transaction() as db:
            db.executemany(
                "INSERT INTO journal (at, method, path, query, status, user, fault) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            db.execute(
                "DELETE FROM journal WHERE id <= (SELECT MAX(id) FROM journal) - ?",
                (_REMEMBERED,),
            )
        self._pending = self._pending[len(rows) :]

    def clear(self) -> None:
        """Forget all calls."""
        self.calls.clear()
        self._pending.clear()
        self._store.db.execute("DELETE FROM journal")

    def listed(self, limit: int, path: str | None = None) -> list[dict[str, object]]:
        """Return the latest calls, oldest first, as JSON; only those of a path if one is given."""
        self.flush()
        query = (
            "SELECT * FROM (SELECT * FROM journal WHERE ?1 IS NULL OR path GLOB ?1 "
            "ORDER BY id DESC LIMIT ?2) ORDER BY id"
        )
        rows = self._store.db.execute(query, (path, limit)).fetchall()
        return [{**dict(row), "query": json.loads(row["query"])} for row in rows]
