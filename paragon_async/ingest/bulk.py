"""The SQL over many records at once: few statements, of one step each.

    keep        notes rows that are durable
    supersede   counts rows that no longer are the current ones
    listed      ids as SQLite takes any number of them

Why one step: between two steps the database's thread asks for the interpreter's lock, and waits some
milliseconds for it while the loop decodes pages. Ids go in as one JSON array, digests as one blob.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from paragon_async.ingest import places

# While a statement is under way SQLite keeps a copy of every page that it changes, in memory.
_BLOCK = 4_000
_INTO = "INSERT INTO records(feed, id, digest, place) "
_ON_CONFLICT = (
    "ON CONFLICT DO UPDATE SET digest = excluded.digest, place = excluded.place, "
    "deleted_at = NULL, doomed = NULL"
)
# Of blobs a piece is found at once, of a text by counting.
_KEEP = (
    f"{_INTO} SELECT ?1, value, substr(?2, key * ?3 + 1, ?3), "  # noqa: S608  # constants
    "nullif(cast(substr(?4, key * ?5 + 1, ?5) AS INTEGER), 0) "
    f"FROM json_each(?6) WHERE true {_ON_CONFLICT}"
)
Part = tuple[int | None, Mapping[str, bytes]]


def keep(db: sqlite3.Connection, feed: int, parts: Sequence[Part]) -> None:
    """Note digests of rows by id, in parts that each lie in one place; no id is in two of them.

    All together in the order of their ids, each page of the tree is met once, in whichever order the
    records came; one after the other they would meet most of a large tree once each.
    """
    places_ = {id_: place for place, rows in parts for id_ in rows}
    digests = {id_: digest for _, rows in parts for id_, digest in rows.items()}
    ids = sorted(digests)
    widths = set(map(len, digests.values()))
    if listed(ids) is None or 0 in widths or len(widths) > 1:
        keep_each(db, feed, parts)
        return
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        db.execute(
            _KEEP,
            (
                feed,
                b"".join(map(digests.__getitem__, block)),
                *widths,
                b"".join(b"%016d" % (places_[id_] or 0) for id_ in block),
                16,
                listed(block),
            ),
        )


def keep_each(db: sqlite3.Connection, feed: int, parts: Sequence[Part]) -> None:
    """Do what `keep` does, row by row."""
    db.executemany(
        f"{_INTO} VALUES (?, ?, ?, ?) {_ON_CONFLICT}",
        [(feed, id_, digest, place) for place, rows in parts for id_, digest in rows.items()],
    )


def supersede(db: sqlite3.Connection, feed: int, ids: Sequence[str]) -> None:
    """Count the rows that these records had until now as superseded."""
    if not ids:
        return
    text = listed(ids)
    if text is None:
        places.supersede(db, feed, ids)
        return
    db.execute(
        "UPDATE places SET stale = stale + found.rows FROM (SELECT r.place AS place, count(*) AS rows "
        "FROM json_each(?) i CROSS JOIN records r ON r.feed = ? AND r.id = i.value "
        "WHERE r.place IS NOT NULL GROUP BY r.place) found WHERE places.place = found.place",
        (text, feed),
    )


def listed(ids: Iterable[str]) -> str | None:
    """Return *ids* as a JSON array; None where one has a NUL, at which SQLite ends a string of JSON."""
    text = msgspec.json.encode(list(ids)).decode()
    return None if r"\u0000" in text else text


def each(db: sqlite3.Connection, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Execute a statement for each of *rows*, which mostly are none."""
    if rows:
        db.executemany(text, rows)
