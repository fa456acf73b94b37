"""The SQL over what is still to be settled: dead letters, and claims that records are gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from paragon_async.ingest import bulk
from paragon_async.ingest.values import DeadLetter

_ATTEMPTS = 10
_FIRST_WAIT = 15
_CLAIMS = 10_000
_CLAIM_TRIES = 10


def heal(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Remove dead letters."""
    bulk.each(db, "DELETE FROM dead WHERE feed = ? AND id = ?", [(feed, id_) for id_ in ids])


def bury(db: sqlite3.Connection, feed: int, letters: Iterable[DeadLetter], now: float) -> None:
    """Note dead letters; one that is there already counts its attempts on."""
    bulk.each(
        db,
        "INSERT INTO dead VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET "
        "name = coalesce(excluded.name, name), kind = excluded.kind, reason = excluded.reason, "
        "passing = excluded.passing, attempts = attempts + 1, last_at = excluded.last_at",
        [(feed, d.id, d.name, d.kind, d.reason, d.passing, now, now) for d in letters],
    )


def owe(db: sqlite3.Connection, feed: int, ids: Collection[str], now: float) -> None:
    """Note that contents or rows were found gone or altered: runs will bring them."""
    reason = "what was mirrored of it is gone or altered"
    bury(
        db,
        feed,
        [DeadLetter(id=id_, name=None, kind="damaged", reason=reason, passing=True) for id_ in ids],
        now,
    )


def due(db: sqlite3.Connection, feed: int, now: float) -> list[str]:
    """Return the ids of letters that failed for passing reasons and are to be tried again.

    The first time at once, then after one minute, two, four, and so on, ten times in all.
    """
    rows = db.execute(
        "SELECT id FROM dead WHERE feed = ? AND passing AND attempts < ? "
        "AND (attempts = 1 OR last_at + ? * (1 << attempts) <= ?) ORDER BY last_at, id",
        (feed, _ATTEMPTS, _FIRST_WAIT, now),
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


def claim(db: sqlite3.Connection, feed: int, id_: str) -> None:
    """Note that a record is said to be gone, if it is one of the mirror's; claims are bounded."""
    db.execute(
        "INSERT OR IGNORE INTO claims(feed, id) SELECT feed, id FROM records "
        "WHERE feed = ? AND id = ? AND deleted_at IS NULL "
        "AND (SELECT count(*) FROM claims WHERE feed = ?) < ?",
        (feed, id_, feed, _CLAIMS),
    )


def claims(db: sqlite3.Connection, feed: int, limit: int) -> list[str]:
    """Return ids that are said to be gone, those never asked for first."""
    rows = db.execute(
        "SELECT id FROM claims WHERE feed = ? ORDER BY tries, id LIMIT ?", (feed, limit)
    )
    return [row[0] for row in rows]


def settle_claims(
    db: sqlite3.Connection, feed: int, asked: Collection[str], open_: Collection[str]
) -> bool:
    """Forget claims that were *asked*, those *open_* after a few times; tell whether new ones wait."""
    left = set(open_)
    db.executemany(
        "DELETE FROM claims WHERE feed = ? AND id = ?", [(feed, i) for i in asked if i not in left]
    )
    db.executemany(
        "UPDATE claims SET tries = tries + 1 WHERE feed = ? AND id = ?", [(feed, i) for i in left]
    )
    db.execute("DELETE FROM claims WHERE feed = ? AND tries >= ?", (feed, _CLAIM_TRIES))
    waiting = db.execute(
        "SELECT 1 FROM claims WHERE feed = ? AND tries = 0 LIMIT 1", (feed,)
    ).fetchone()
    return waiting is not None
