"""The database of one emulator: SQLite, in memory or in a file that outlives the process.

Each part brings the tables it works on; this opens the whole and keeps what fits nowhere else.
A file is held by one emulator at a time, and only its owner may read it, for it holds a signing key.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paragon_async.emulator.errors import EmulatorError

_OURS = 0x50415241
_VERSION = 1
_SCHEMA = "CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);"


class Store:
    """One connection, used in the event loop; every statement is short."""

    def __init__(self, path: str | Path | None, schemas: Iterable[str] = ()) -> None:
        self.path = path
        self._schemas = (_SCHEMA, *schemas)
        self._db: sqlite3.Connection | None = None

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, opened when it is first needed.

        Raises `EmulatorError` when the file is another program's, damaged, newer or in use.
        """
        if self._db is None:
            self._db = self._opened()
        return self._db

    def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make everything in the block one step; a block within a block joins it."""
        if self.db.in_transaction:
            yield self.db
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a setting."""
        row = self.db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set(self, key: str, value: Any) -> None:
        """Keep a setting."""
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))

    def tables(self) -> list[str]:
        """Return the names of all tables of ours."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        return [row[0] for row in self.db.execute(query + " ORDER BY name")]

    def _opened(self) -> sqlite3.Connection:
        name = ":memory:" if self.path is None else str(self.path)
        if self.path is not None:
            _make_private(Path(self.path))
        try:
            db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=0.5)
        except sqlite3.Error as error:
            raise EmulatorError(f"cannot open the state file {name}: {error}") from None
        try:
            self._prepare(db)
        except (sqlite3.DatabaseError, EmulatorError) as error:
            db.close()
            raise _explained(name, error) from None
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA cell_size_check = ON")
        if self.path is not None:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
            _recognise(db)
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        for schema in self._schemas:
            db.executescript(schema)
        db.execute(f"PRAGMA application_id = {_OURS}")
        db.execute(f"PRAGMA user_version = {_VERSION}")


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can ever read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise EmulatorError(f"cannot open the state file {path}: {error.strerror}") from None


def _recognise(db: sqlite3.Connection) -> None:
    """Refuse what is no state of ours before anything is written to it."""
    ours = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    filled = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if filled and ours != _OURS:
        raise EmulatorError("it is not the state of an emulator")
    if version > _VERSION:
        raise EmulatorError("it was written by a newer paragon-async: update this one")


def _explained(name: str, error: Exception) -> EmulatorError:
    reason = str(error)
    if "locked" in reason:
        reason = "another emulator is using it"
    elif "not a database" in reason or "malformed" in reason:
        reason = "it is damaged, or not the state of an emulator"
    return EmulatorError(f"cannot use the state file {name}: {reason}")
