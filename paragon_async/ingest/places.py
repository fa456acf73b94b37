"""The SQL over places: files of rows, how far each is filled, and which rows in it still count."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from paragon_async.ingest.sinks.protocol import Mark, Place

_BLOCK = 500


def places(db: sqlite3.Connection, feed: int) -> dict[str, Place]:
    """Return the places of rows."""
    rows = db.execute("SELECT name, size, rows, stale FROM places WHERE feed = ?", (feed,))
    return {name: Place(size, count, stale) for name, size, count, stale in rows}


def current(db: sqlite3.Connection, feed: int, place: str, ids: Sequence[str]) -> set[str]:
    """Return those of *ids* whose row lies in *place*."""
    found: set[str] = set()
    for block, marks in blocks(ids):
        found.update(
            row[0]
            for row in db.execute(
                "SELECT r.id FROM records r JOIN places p USING(place) WHERE p.feed = ? "  # noqa: S608  # question marks alone
                f"AND p.name = ? AND r.feed = ? AND r.id IN ({marks})",
                (feed, place, feed, *block),
            )
        )
    return found


def digests(db: sqlite3.Connection, feed: int, place: str, ids: Sequence[str]) -> dict[str, bytes]:
    """Return the digests of those rows of *ids* that lie in *place*."""
    found: dict[str, bytes] = {}
    for block, marks in blocks(ids):
        found |= dict(
            db.execute(
                "SELECT r.id, r.digest FROM records r JOIN places p USING(place) WHERE p.feed = ? "  # noqa: S608  # question marks alone
                f"AND p.name = ? AND r.feed = ? AND r.id IN ({marks})",
                (feed, place, feed, *block),
            )
        )
    return found


def moved(
    db: sqlite3.Connection, feed: int, old: Sequence[str], mark: Mark | None, ids: Sequence[str]
) -> None:
    """Note that rows lie at *mark* now, and that the *old* places are no more."""
    place = fill(db, feed, mark)
    db.executemany(
        "UPDATE records SET place = ? WHERE feed = ? AND id = ?",
        [(place, feed, id_) for id_ in ids],
    )
    db.executemany("DELETE FROM places WHERE feed = ? AND name = ?", [(feed, n) for n in old])


def lose(db: sqlite3.Connection, feed: int, names: Sequence[str]) -> list[str]:
    """Forget damaged places; return the ids of their rows, whose digests are forgotten with them."""
    found: list[str] = []
    for name in names:
        place = db.execute(
            "DELETE FROM places WHERE feed = ? AND name = ? RETURNING place", (feed, name)
        ).fetchone()
        found += [
            row[0]
            for row in db.execute(
                "UPDATE records SET digest = x'', place = NULL WHERE feed = ? AND place = ? "
                "RETURNING id",
                (feed, place and place[0]),
            )
        ]
    return found


def fill(db: sqlite3.Connection, feed: int, mark: Mark | None) -> int | None:
    """Note how far a place is filled; return its number."""
    if mark is None:
        return None
    row = db.execute(
        "INSERT INTO places(feed, name, size, rows) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET size = excluded.size, rows = rows + excluded.rows RETURNING place",
        (feed, mark.place, mark.size, mark.rows),
    ).fetchone()
    return int(row[0])


def supersede(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Count the rows that these records had until now as superseded."""
    db.executemany(
        "UPDATE places SET stale = stale + 1 WHERE place = "
        "(SELECT place FROM records WHERE feed = ? AND id = ?)",
        [(feed, id_) for id_ in ids],
    )


def blocks(ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Cut a list of values to what one statement takes, with its question marks."""
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        yield block, ",".join("?" * len(block))
