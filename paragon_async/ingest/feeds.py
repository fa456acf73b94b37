"""The SQL over feeds: which syncs a state mirrors, where to, and from where each goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from paragon_async.errors import SinkError, StateError
from paragon_async.ingest.values import Feed


def owner(db: sqlite3.Connection) -> str:
    """Return the name that this state has in its destinations."""
    return str(db.execute("SELECT value FROM meta WHERE key = 'owner'").fetchone()[0])


def find_feed(db: sqlite3.Connection, feed: Feed, sink: str, busy: Collection[Feed] = ()) -> int:
    """Return the number of *feed*, beginning it where it is new; a sink holds one feed only.

    A feed of which nothing was ever stored gives way, unless it is among the *busy* ones.
    """
    key = (feed.project, feed.user, feed.sync)
    row = db.execute(
        "SELECT feed, sink FROM feeds WHERE project = ? AND user = ? AND sync = ?", key
    ).fetchone()
    rivals = db.execute(
        "SELECT feed, project, user, sync FROM feeds WHERE sink = ? AND feed IS NOT ?",
        (sink, row and row[0]),
    ).fetchall()
    for number, *rest in rivals:
        rival = Feed(project=rest[0], user=rest[1], sync=rest[2])
        if rival in busy or not _is_blank(db, number):
            raise SinkError(
                f"the destination {sink} already holds {rival}: give each sync one of its own"
            )
        forget_feed(db, number)
    if row is None:
        insert = "INSERT INTO feeds(project, user, sync, sink, seal) VALUES (?, ?, ?, ?, ?)"
        return db.execute(insert, (*key, sink, seal(feed, None))).lastrowid or 0
    if row[1] != sink:
        raise SinkError(
            f"{feed} goes to {row[1]} by this state, not to {sink}: use a state folder for each"
        )
    return int(row[0])


def _is_blank(db: sqlite3.Connection, feed: int) -> bool:
    """Tell whether no run of a feed ever began, so that nothing of it can lie anywhere."""
    return is_new(db, feed) and not any(
        db.execute(f"SELECT 1 FROM {table} WHERE feed = ? LIMIT 1", (feed,)).fetchone()  # noqa: S608  # constants
        for table in ("records", "receipts", "dead", "places")
    )


def forget_feed(db: sqlite3.Connection, feed: int) -> None:
    """Forget a feed of which nothing is stored; any other stays."""
    if _is_blank(db, feed):
        db.execute("DELETE FROM runs WHERE feed = ?", (feed,))
        db.execute("DELETE FROM feeds WHERE feed = ?", (feed,))


def settings(db: sqlite3.Connection, feed: int) -> dict[str, Any]:
    """Return what a mirror was last asked for; empty for a new one."""
    found = db.execute("SELECT settings FROM feeds WHERE feed = ?", (feed,)).fetchone()[0]
    return dict(json.loads(found)) if found else {}


def restart(db: sqlite3.Connection, number: int, feed: Feed) -> None:
    """Forget the cursor."""
    db.execute(
        "UPDATE feeds SET cursor = NULL, seal = ? WHERE feed = ?", (seal(feed, None), number)
    )


def set_settings(db: sqlite3.Connection, feed: int, settings_: Mapping[str, Any]) -> None:
    """Note what a mirror is asked for."""
    db.execute("UPDATE feeds SET settings = ? WHERE feed = ?", (json.dumps(settings_), feed))


def cursor_of(db: sqlite3.Connection, number: int, feed: Feed) -> str | None:
    """Return the saved cursor, if its row is as it was written."""
    cursor, sealed = db.execute(
        "SELECT cursor, seal FROM feeds WHERE feed = ?", (number,)
    ).fetchone()
    if sealed != seal(feed, cursor):
        raise StateError(f"the saved cursor of {feed} is damaged: ingest into a new destination")
    found: str | None = cursor
    return found


def is_new(db: sqlite3.Connection, feed: int) -> bool:
    """Tell whether no run of a feed ever began."""
    row = db.execute("SELECT running IS NULL FROM feeds WHERE feed = ?", (feed,)).fetchone()
    return bool(row[0])


def mark_running(db: sqlite3.Connection, feed: int, is_running: bool) -> None:  # noqa: FBT001  # a value
    """Note that a run begins, or that it came to its end."""
    db.execute("UPDATE feeds SET running = ? WHERE feed = ?", (is_running, feed))


def seal(feed: Feed, cursor: str | None) -> bytes:
    """Return a digest that shows whether the row of the cursor was altered."""
    text = json.dumps([feed.project, feed.user, feed.sync, cursor])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
