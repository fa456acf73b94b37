"""The whole state of an emulator as one JSON document, and back; and its beginning again.

Not in it: the signing key, the secret of the cursors and the webhook with its headers, for a document
is passed around.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from typing import Any

from paragon_async.emulator.catalogue import FREQUENCIES
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.life import STATUSES
from paragon_async.emulator.world import World

_FORMAT = 1
_PRIVATE = {"signing_key", "cursors", "project_id", "webhook"}
_YEARS = 200 * 366 * 86400.0
_TYPES: dict[str, type | tuple[type, ...]] = {
    "INTEGER": int,
    "REAL": (int, float),
    "TEXT": str,
    "BLOB": bytes,
}
_JSON = {
    ("settings", "value"), ("syncs", "configuration"), ("records", "body"), ("items", "body"),
    ("journal", "query"), ("deliveries", "event"),
}  # fmt: skip
_MOST = (1 << 53) - 1
_WRONG = {
    "records": f"place NOT BETWEEN 1 AND {_MOST} OR seen NOT BETWEEN 0 AND {_MOST}",
    "deliveries": f"id NOT BETWEEN 1 AND {_MOST} OR NOT abs(created) < 1e10 OR NOT abs(due) < 1e10 "
    "OR NOT abs(COALESCE(finished, 0)) < 1e10",
    "tuples": "role NOT BETWEEN 0 AND 2",
    "journal": f"id NOT BETWEEN 1 AND {_MOST}",
    "items": "body IS NULL AND (name IS NULL OR NOT abs(COALESCE(created, 1e99)) < 1e10 "
    "OR NOT abs(COALESCE(modified, 1e99)) < 1e10 OR (kind = 'file' AND mime IS NULL))",
}
_KEPT = {"items", "changes", "settings", "generations"}


def export(world: World) -> dict[str, Any]:
    """Return the state: every table with its rows, blobs as base64."""
    world.journal.flush()
    tables: dict[str, list[dict[str, Any]]] = {}
    for table in world.store.tables():
        rows = world.store.db.execute(f"SELECT * FROM {table}")  # noqa: S608  # our own names
        tables[table] = [_plain(row) for row in rows]
    tables["settings"] = [r for r in tables["settings"] if r["key"] not in _PRIVATE]
    return {"format": _FORMAT, "projectId": world.project_id, "tables": tables}


def restore(world: World, document: dict[str, Any]) -> None:
    """Put an exported state in the place of this one, or refuse and change nothing."""
    tables = document.get("tables")
    if document.get("format") != _FORMAT or not isinstance(tables, dict):
        raise Refusal(400, "this is not an exported state: take what GET /_emulator/state returns")
    if set(tables) != set(world.store.tables()):
        raise Refusal(400, "this state does not hold the tables that are known here")
    _halt(world)
    world.journal.clear()
    try:
        with world.store.transaction() as db:
            for table, rows in tables.items():
                _clear(db, table)
                for row in rows:
                    _insert(db, table, row)
            _check(db)
    except (sqlite3.Error, ValueError, TypeError, AttributeError, KeyError) as error:
        raise Refusal(400, f"this state cannot be taken: {error}") from None
    finally:
        world.resume()


def reset(world: World) -> None:
    """Forget everything that happened; what lies in the accounts stays."""
    _halt(world)
    world.journal.clear()
    with world.store.transaction() as db:
        for table in world.store.tables():
            if table not in _KEPT:
                _clear(db, table)
        db.execute("DELETE FROM settings WHERE key IN ('clock', 'webhook')")
    world.resume()


def _halt(world: World) -> None:
    for row in world.syncs.all():
        world.life.halt(row["id"])


def _clear(db: sqlite3.Connection, table: str) -> None:
    if table == "settings":
        marks = ",".join("?" * len(_PRIVATE))
        db.execute(f"DELETE FROM settings WHERE key NOT IN ({marks})", (*_PRIVATE,))  # noqa: S608  # marks only
    else:
        db.execute(f"DELETE FROM {table}")  # noqa: S608  # a name that was found in the schema


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    if table == "settings" and row["key"] in _PRIVATE:
        return
    known = {column["name"]: column for column in db.execute(f"PRAGMA table_info({table})")}
    if set(row) != set(known):
        raise ValueError(f"{table} has other columns here")
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    values = [_native(value) for value in row.values()]
    for name, value in zip(row, values, strict=True):
        is_text = (table, name) in _JSON and isinstance(value, str)
        is_fit = value is None or isinstance(value, _TYPES[known[name]["type"]])
        if not is_fit or (is_text and not _is_json(value)):
            raise ValueError(f"{table}.{name} holds what it cannot hold")
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608  # names that were found in the schema


def _check(db: sqlite3.Connection) -> None:
    """Refuse rows that contradict what every part relies on."""
    numbers = db.execute("SELECT last FROM changes").fetchall()
    if len(numbers) != 1 or numbers[0]["last"] < 0:
        raise ValueError("changes holds one number")
    for sync in db.execute("SELECT * FROM syncs"):
        if sync["status"] not in STATUSES or sync["frequency"] not in {None, *FREQUENCIES}:
            raise ValueError("a sync is in no known state")
        if not sync["configuration"].lstrip().startswith("{"):
            raise ValueError("a configuration is an object")
        if not 0 < sync["generation"] < 1 << 32:
            raise ValueError("a generation is a count")
        if sync["status"] == "RATE_LIMITED" and sync["backoff"] is None:
            raise ValueError("a sync backs off for ever")
    clock = db.execute("SELECT value FROM settings WHERE key = 'clock'").fetchone()
    shown: dict[str, Any] = json.loads(clock["value"]) if clock else {"ahead": 0, "frozen": None}
    if any(not abs(float(value)) < _YEARS for value in (shown["ahead"], shown["frozen"] or 0)):
        raise ValueError("the clock shows no time")
    for table, wrong in _WRONG.items():
        if db.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1").fetchone():  # noqa: S608  # our own words
            raise ValueError(f"{table} holds values that cannot be")


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def _plain(row: sqlite3.Row) -> dict[str, Any]:
    return {
        key: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for key, value in zip(row.keys(), row, strict=True)
    }


def _native(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
