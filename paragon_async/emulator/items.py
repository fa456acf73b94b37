"""What lies in the users' accounts: the source that syncs copy from, found by scans or loaded.

An account is a user's name, or "" for what every user has in common. Each change of an item gets a
number, so that a run reads only what is new to its sync. An item that went stays, marked as gone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from paragon_async.emulator.store import Store

ROOT = "root"
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    account TEXT NOT NULL, pipeline TEXT NOT NULL, external TEXT NOT NULL, parent TEXT,
    kind TEXT NOT NULL, name TEXT, mime TEXT, size INTEGER, created REAL, modified REAL,
    digest TEXT, path BLOB, device INTEGER, inode INTEGER, mtime INTEGER, hashed INTEGER,
    body TEXT, changed INTEGER NOT NULL, gone INTEGER NOT NULL,
    PRIMARY KEY (account, pipeline, external)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS item_changes ON items (changed);
CREATE INDEX IF NOT EXISTS item_parents ON items (account, pipeline, parent);
CREATE TABLE IF NOT EXISTS changes (last INTEGER NOT NULL);
INSERT INTO changes SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM changes);
"""


@attrs.frozen(kw_only=True)
class Item:
    """One thing in an account. Files of a mount have *path*, loaded records *body*."""

    external: str
    kind: str
    parent: str | None = None
    name: str | None = None
    mime: str | None = None
    size: int | None = None
    created: float | None = None
    modified: float | None = None
    digest: str | None = None
    path: bytes | None = None
    device: int | None = None
    inode: int | None = None
    mtime: int | None = None
    hashed: int | None = None
    body: str | None = None


_COLUMNS = tuple(field.name for field in attrs.fields(Item))
_NAMES = ", ".join(("account", "pipeline", *_COLUMNS, "changed", "gone"))
_MARKS = ", ".join("?" * (len(_COLUMNS) + 4))
_INSERT = f"INSERT OR REPLACE INTO items ({_NAMES}) VALUES ({_MARKS})"  # noqa: S608  # our own column names


class Items:
    """The items of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, account: str, pipeline: str, items: Iterable[Item]) -> int:
        """Store new and changed items, in their order, and return how many."""
        with self._store.transaction() as db:
            first = last = self.last()
            rows = []
            for last, item in enumerate(items, first + 1):
                values = (getattr(item, name) for name in _COLUMNS)
                rows.append((account, pipeline, *values, last, 0))
            db.executemany(_INSERT, rows)
            db.execute("UPDATE changes SET last = ?", (last,))
        return len(rows)

    def remove(self, account: str, pipeline: str, externals: Iterable[str]) -> int:
        """Mark items as gone and return how many were there."""
        query = (
            "UPDATE items SET gone = 1, changed = ?, path = NULL "
            "WHERE account = ? AND pipeline = ? AND external = ? AND NOT gone"
        )
        with self._store.transaction() as db:
            last = self.last()
            for external in externals:
                last += db.execute(query, (last + 1, account, pipeline, external)).rowcount
            removed = last - self.last()
            db.execute("UPDATE changes SET last = ?", (last,))
        return removed

    def load(self, account: str, pipeline: str, bodies: Iterable[Mapping[str, Any]]) -> int:
        """Store records as they are; each has an `externalId`, or an `id` that serves as one."""
        return self.put(account, pipeline, (_loaded(body) for body in bodies))

    def last(self) -> int:
        """Return the number of the latest change."""
        return int(self._store.db.execute("SELECT last FROM changes").fetchone()[0])

    def files(self, account: str) -> dict[bytes, sqlite3.Row]:
        """Return what is known of a mount, by path."""
        query = "SELECT * FROM items WHERE account = ? AND pipeline = 'files' AND path IS NOT NULL"
        return {row["path"]: row for row in self._store.db.execute(query, (account,))}

    def at(self, account: str, path: bytes) -> sqlite3.Row | None:
        """Return what lies at a path of a mount."""
        query = "SELECT * FROM items WHERE account = ? AND pipeline = 'files' AND path = ?"
        row: sqlite3.Row | None = self._store.db.execute(query, (account, path)).fetchone()
        return row

    def get(self, account: str, pipeline: str, external: str) -> sqlite3.Row | None:
        """Return an item that is there."""
        query = (
            "SELECT * FROM items WHERE account = ? AND pipeline = ? AND external = ? AND NOT gone"
        )
        row: sqlite3.Row | None = self._store.db.execute(
            query, (account, pipeline, external)
        ).fetchone()
        return row

    def since(self, accounts: tuple[str, str], pipeline: str, last: int) -> list[sqlite3.Row]:
        """Return what changed after a number, with what went, in order."""
        query = (
            "SELECT * FROM items INDEXED BY item_changes WHERE changed > ? AND pipeline = ? "
            "AND account IN (?, ?) ORDER BY changed"
        )
        return self._store.db.execute(query, (last, pipeline, *accounts)).fetchall()

    def count_since(self, accounts: tuple[str, str], pipeline: str, last: int, most: int) -> int:
        """Return how many items changed after a number, or *most* if there are more."""
        query = (
            "SELECT COUNT(*) FROM (SELECT 1 FROM items INDEXED BY item_changes "
            "WHERE changed > ? AND pipeline = ? AND account IN (?, ?) LIMIT ?)"
        )
        row = self._store.db.execute(query, (last, pipeline, *accounts, most)).fetchone()
        return int(row[0])

    def all(self, accounts: tuple[str, str], pipeline: str) -> Iterator[sqlite3.Row]:
        """Yield everything that is there, in the order of its latest change."""
        query = (
            "SELECT * FROM items WHERE account IN (?, ?) AND pipeline = ? AND NOT gone "
            "ORDER BY changed"
        )
        yield from self._store.db.execute(query, (*accounts, pipeline))

    def below(self, account: str, external: str, *, shallow: bool) -> set[str]:
        """Return the ids of all files and folders below a folder, or directly in it."""
        step = "" if shallow else (
            "UNION SELECT items.external FROM items JOIN tree ON items.parent = tree.external "
            "WHERE items.account = ?1 AND items.pipeline = 'files' AND NOT items.gone"
        )  # fmt: skip
        query = (
            "WITH RECURSIVE tree (external) AS (SELECT external FROM items "  # noqa: S608  # fixed text
            "WHERE account = ?1 AND pipeline = 'files' AND parent = ?2 AND NOT gone "
            f"{step}) SELECT external FROM tree"
        )
        return {row[0] for row in self._store.db.execute(query, (account, external))}


def _loaded(body: Mapping[str, Any]) -> Item:
    external = str(body.get("externalId") or body["id"])
    rest = {key: value for key, value in body.items() if key not in {"id", "externalId"}}
    return Item(external=external, kind="record", body=json.dumps(rest, separators=(",", ":")))
