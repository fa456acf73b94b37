"""What is done to an inbox's tables; every function works inside the caller's transaction.

Of the waiting events of one key only the first has a `due`: its turn. Whatever takes that event away
gives the turn to the next. Times are the inbox's monotonic clock, so they end with the process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Container, Sized
from typing import Protocol

import attrs

from paragon_async.webhooks.store import InboxFullError

_INSERT = "INSERT INTO events(key, digest, body, due) VALUES (?, ?, ?, ?)"


@attrs.frozen
class Counts:
    """How many events wait (also those in hand), are parked, and were handled since the file began."""

    waiting: int
    parked: int
    handled: int


@attrs.frozen
class Parked:
    """An event that failed too often: its body, how often it was tried, and the last error."""

    body: bytes
    attempts: int
    error: str


@attrs.frozen
class Item:
    """An event whose turn has come; *only* names the handlers that it still wants, None for all."""

    number: int
    key: bytes
    body: bytes
    attempts: int
    only: list[str] | None


@attrs.frozen
class Turn:
    """What may be handled now, and when more may be; None while nothing waits for its time."""

    items: list[Item]
    next_due: float | None


class Numbers(Container[int], Sized, Protocol):
    """The numbers of the events that are being handled."""


def restart(db: sqlite3.Connection) -> None:
    """Make everything due that has a turn, for all its handlers.

    Neither the times nor the names of handlers of an earlier process mean anything now.
    """
    db.execute("UPDATE events SET due = 0, handlers = NULL WHERE due IS NOT NULL")


def put(
    db: sqlite3.Connection,
    key: bytes,
    digest: bytes,
    body: bytes,
    *,
    now: float,
    capacity: int,
    in_hand: Container[int],
) -> bool:
    """Add an event to the end of its line; False where its like still waits.

    Raises `InboxFullError` where *capacity* events wait or are parked.
    """
    same = db.execute("SELECT number FROM events WHERE digest = ? AND parked = 0", (digest,))
    if any(number not in in_hand for (number,) in same.fetchall()):
        return False
    found = counts(db)
    if found.waiting + found.parked >= capacity:
        raise InboxFullError(
            f"the inbox is full: {found.waiting} events wait and {found.parked} are parked"
        )
    line = db.execute("SELECT 1 FROM events WHERE key = ? AND parked = 0 LIMIT 1", (key,))
    db.execute(_INSERT, (key, digest, body, now if line.fetchone() is None else None))
    _add(db, waiting=1)
    return True


def take(db: sqlite3.Connection, limit: int, *, now: float, in_hand: Numbers) -> Turn:
    """Return up to *limit* events whose turn it is, the longest due first; nothing is written."""
    found = db.execute(
        "SELECT number, key, body, attempts, handlers FROM events WHERE due <= ? "
        "ORDER BY due, number LIMIT ?",
        (now, limit + len(in_hand)),
    )
    items = [_item(*row) for row in found.fetchall() if row[0] not in in_hand]
    (later,) = db.execute("SELECT MIN(due) FROM events WHERE due > ?", (now,)).fetchone()
    return Turn(items[:limit], later)


def done(db: sqlite3.Connection, item: Item, *, now: float) -> None:
    """Forget an event that was handled, and count it."""
    db.execute("DELETE FROM events WHERE number = ?", (item.number,))
    _add(db, waiting=-1, handled=1)
    _pass_on(db, item.key, now)


def again(
    db: sqlite3.Connection, item: Item, error: str, *, only: list[str] | None, due: float
) -> None:
    """Keep an event's turn for a later time, and for the handlers in *only*; None for all."""
    handlers = None if only is None else json.dumps(only)
    db.execute(
        "UPDATE events SET attempts = ?, error = ?, handlers = ?, due = ? WHERE number = ?",
        (item.attempts + 1, error, handlers, due, item.number),
    )


def park(db: sqlite3.Connection, item: Item, error: str, *, now: float) -> None:
    """Put an event aside, so that those behind it come to their turn."""
    db.execute(
        "UPDATE events SET attempts = ?, error = ?, due = NULL, parked = 1 WHERE number = ?",
        (item.attempts + 1, error, item.number),
    )
    _add(db, waiting=-1, parked=1)
    _pass_on(db, item.key, now)


def parked(db: sqlite3.Connection, limit: int) -> list[Parked]:
    """Return the events that were put aside, the oldest first."""
    query = "SELECT body, attempts, error FROM events WHERE parked = 1 ORDER BY number LIMIT ?"
    return [Parked(*row) for row in db.execute(query, (limit,)).fetchall()]


def unpark(db: sqlite3.Connection, *, now: float, in_hand: Container[int]) -> int:
    """Put what is parked to the end of its line, as if it came now; return how many there were."""
    query = "SELECT number, key, digest, body FROM events WHERE parked = 1 ORDER BY number"
    rows = db.execute(query).fetchall()
    for number, key, digest, body in rows:
        db.execute("DELETE FROM events WHERE number = ?", (number,))
        _add(db, parked=-1)
        # There is room: it has just left as much.
        put(db, key, digest, body, now=now, capacity=1 << 62, in_hand=in_hand)
    return len(rows)


def counts(db: sqlite3.Connection) -> Counts:
    """Return how many there are of each."""
    return Counts(**dict(db.execute("SELECT name, count FROM tally").fetchall()))


def _item(number: int, key: bytes, body: bytes, attempts: int, handlers: str | None) -> Item:
    return Item(number, key, body, attempts, None if handlers is None else json.loads(handlers))


def _pass_on(db: sqlite3.Connection, key: bytes, now: float) -> None:
    db.execute(
        "UPDATE events SET due = ? WHERE number = (SELECT MIN(number) FROM events "
        "WHERE key = ? AND parked = 0)",
        (now, key),
    )


def _add(db: sqlite3.Connection, **changes: int) -> None:
    for name, change in changes.items():
        db.execute("UPDATE tally SET count = count + ? WHERE name = ?", (change, name))
