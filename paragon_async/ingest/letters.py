"""The SQL over dead letters: what could not be mirrored, why, and when it is tried again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable

from paragon_async.ingest.values import DeadLetter

_ATTEMPTS = 10
_FIRST_WAIT = 15


def heal(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Remove dead letters."""
    db.executemany("DELETE FROM dead WHERE feed = ? AND id = ?", [(feed, id_) for id_ in ids])


def bury(db: sqlite3.Connection, feed: int, letters: Iterable[DeadLetter]) -> None:
    """Note dead letters; one that is there already counts its attempts on."""
    now = time.time()
    db.executemany(
        "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET "
        "name = coalesce(excluded.name, name), kind = excluded.kind, reason = excluded.reason, "
        "passing = excluded.passing, attempts = attempts + 1, last_at = excluded.last_at",
        [(feed, d.id, d.name, d.kind, d.reason, d.passing, now, now) for d in letters],
    )


def owe(db: sqlite3.Connection, feed: int, ids: Collection[str]) -> None:
    """Note that contents or rows were found gone or altered: runs will bring them."""
    reason = "what was mirrored of it is gone or altered"
    bury(
        db,
        feed,
        [DeadLetter(id=id_, name=None, kind="damaged", reason=reason, passing=True) for id_ in ids],
    )


def due(db: sqlite3.Connection, feed: int) -> list[str]:
    """Return the ids of letters that failed for passing reasons and are to be tried again.

    The first time at once, then after one minute, two, four, and so on, ten times in all.
    """
    rows = db.execute(
        "SELECT id FROM dead WHERE feed = ? AND passing AND attempts < ? "
        "AND (attempts = 1 OR last_at + ? * (1 << attempts) <= ?) ORDER BY last_at, id",
        (feed, _ATTEMPTS, _FIRST_WAIT, time.time()),
    )
    return [row[0] for row in rows]


def letters(db: sqlite3.Connection, feed: int) -> list[DeadLetter]:
    """Return all dead letters, those that failed longest ago first."""
    return [
        DeadLetter(
            id=row[0], name=row[1], kind=row[2], reason=row[3], passing=bool(row[4]),
            attempts=row[5], first_at=row[6], last_at=row[7],
        )
        for row in db.execute(
            "SELECT id, name, kind, reason, passing, attempts, first_at, last_at FROM dead "
            "WHERE feed = ? ORDER BY last_at, id", (feed,),
        )
    ]  # fmt: skip


def count_letters(db: sqlite3.Connection, feed: int) -> int:
    """Return how many dead letters there are."""
    row = db.execute("SELECT count(*) FROM dead WHERE feed = ?", (feed,)).fetchone()
    return int(row[0])
