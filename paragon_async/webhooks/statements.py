"""What is done to an inbox's tables; every function works inside the caller's transaction.

Of the waiting events of one key only the first has a `due`: its turn. Whatever takes that event away
gives the turn to the next. Times are the inbox's monotonic clock, so they end with the process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Container, Iterable, Sized
from typing import Protocol

import attrs

from paragon_async.webhooks.store import InboxFullError

_ENDED = "the process ended while this was handled"
_INSERT = "INSERT INTO events(key, digest, body, due) VALUES (?, ?, ?, ?)"


@attrs.frozen
class Counts:
    """How many events wait (also those in hand), are parked, and were handled since the file began."""

    waiting: int
    parked: int
    handled: int


@attrs.frozen
class Room:
    """How many events may wait, and how many bytes of them; of parked ones half as many."""

    events: int
    size: int


@attrs.frozen
class Parked:
    """An event that failed too often: its body, how often it was tried, and the last error."""

    body: bytes
    attempts: int
    error: str


@attrs.frozen
class Item:
    """An event whose turn has come, for the *attempts*th time; *only*: for these handlers, None all."""

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


def restart(db: sqlite3.Connection, attempts: int, room: Room) -> int:
    """Make everything due that has a turn, for all its handlers, and park what was begun too often.

    Neither the times nor the names of handlers of an earlier process mean anything now. Returns how
    many were parked: each may have ended the process that handled it.
    """
    db.execute("UPDATE events SET due = 0, handlers = NULL WHERE due IS NOT NULL")
    for name, parked_ in {"bytes": 0, "parked bytes": 1}.items():
        db.execute(
            "INSERT OR REPLACE INTO tally SELECT ?, COALESCE(SUM(LENGTH(body)), 0) FROM events "
            "WHERE parked = ?",
            (name, parked_),
        )
    number = 0
    query = (
        "SELECT number, key, body, attempts, handlers, error FROM events "
        "WHERE due IS NOT NULL AND attempts >= ?"
    )
    while rows := db.execute(query, (attempts,)).fetchall():
        for *row, error in rows:
            park(db, _item(*row), error or _ENDED, now=0.0, room=room)
        number += len(rows)
    return number


def put(
    db: sqlite3.Connection,
    key: bytes,
    digest: bytes,
    body: bytes,
    *,
    now: float,
    room: Room | None,
    in_hand: Container[int],
) -> bool:
    """Add an event to the end of its line; False where its like still waits and was never begun.

    Of one that was begun some handlers may have looked before this news. Raises `InboxFullError`
    where there is no *room*; None is room without end.
    """
    same = db.execute(
        "SELECT number FROM events WHERE digest = ? AND parked = 0 AND attempts = 0", (digest,)
    )
    if any(number not in in_hand for (number,) in same.fetchall()):
        return False
    if room is not None:
        _refuse_beyond(db, room, len(body))
    line = db.execute("SELECT 1 FROM events WHERE key = ? AND parked = 0 LIMIT 1", (key,))
    db.execute(_INSERT, (key, digest, body, now if line.fetchone() is None else None))
    _add(db, waiting=1, bytes=len(body))
    return True


def take(db: sqlite3.Connection, limit: int, *, now: float, in_hand: Numbers) -> Turn:
    """Return up to *limit* events whose turn it is, the longest due first, and count that attempt.

    It is counted before any handler runs: one that ends the process would else be tried for ever.
    """
    found = db.execute(
        "SELECT number, key, body, attempts, handlers FROM events WHERE due <= ? "
        "ORDER BY due, number LIMIT ?",
        (now, limit + len(in_hand)),
    )
    items = [_item(*row) for row in found.fetchall() if row[0] not in in_hand][:limit]
    items = [attrs.evolve(item, attempts=item.attempts + 1) for item in items]
    db.executemany(
        "UPDATE events SET attempts = ?, error = NULL WHERE number = ?",
        [(item.attempts, item.number) for item in items],
    )
    (later,) = db.execute("SELECT MIN(due) FROM events WHERE due > ?", (now,)).fetchone()
    return Turn(items, later)


def give_back(db: sqlite3.Connection, items: Iterable[Item]) -> None:
    """Take the attempt back from events whose handlers were stopped before they ended."""
    db.executemany(
        "UPDATE events SET attempts = ? WHERE number = ?",
        [(item.attempts - 1, item.number) for item in items],
    )


def done(db: sqlite3.Connection, item: Item, *, now: float) -> None:
    """Forget an event that was handled, and count it."""
    db.execute("DELETE FROM events WHERE number = ?", (item.number,))
    _add(db, waiting=-1, bytes=-len(item.body), handled=1)
    _pass_on(db, item.key, now)


def again(
    db: sqlite3.Connection, item: Item, error: str, *, only: list[str] | None, due: float
) -> None:
    """Keep an event's turn for a later time, and for the handlers in *only*; None for all."""
    handlers = None if only is None else json.dumps(only)
    db.execute(
        "UPDATE events SET error = ?, handlers = ?, due = ? WHERE number = ?",
        (error, handlers, due, item.number),
    )


def park(db: sqlite3.Connection, item: Item, error: str, *, now: float, room: Room) -> int:
    """Put an event aside, so that those behind it come to their turn.

    Returns how many older ones had to go for it: parked ones may fill half of *room*.
    """
    db.execute(
        "UPDATE events SET error = ?, due = NULL, parked = 1 WHERE number = ?",
        (error, item.number),
    )
    size = len(item.body)
    _add(db, waiting=-1, bytes=-size, parked=1, parked_bytes=size)
    _pass_on(db, item.key, now)
    gone, tally = 0, _tally(db)
    while tally["parked"] > 1 and (
        tally["parked"] > room.events // 2 or tally["parked bytes"] > room.size // 2
    ):
        number, size = db.execute(
            "SELECT number, LENGTH(body) FROM events WHERE parked = 1 ORDER BY number LIMIT 1"
        ).fetchone()
        db.execute("DELETE FROM events WHERE number = ?", (number,))
        _add(db, parked=-1, parked_bytes=-size)
        gone, tally = gone + 1, _tally(db)
    return gone


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
        _add(db, parked=-1, parked_bytes=-len(body))
        # It was accepted once: it may not be refused for want of room now.
        put(db, key, digest, body, now=now, room=None, in_hand=in_hand)
    return len(rows)


def discard_parked(db: sqlite3.Connection) -> int:
    """Forget what is parked; return how many there were."""
    number = db.execute("DELETE FROM events WHERE parked = 1").rowcount
    db.execute("UPDATE tally SET count = 0 WHERE name IN ('parked', 'parked bytes')")
    return number


def counts(db: sqlite3.Connection) -> Counts:
    """Return how many there are of each."""
    found = _tally(db)
    return Counts(found["waiting"], found["parked"], found["handled"])


def _tally(db: sqlite3.Connection) -> dict[str, int]:
    return dict(db.execute("SELECT name, count FROM tally").fetchall())


def _refuse_beyond(db: sqlite3.Connection, room: Room, more: int) -> None:
    found = _tally(db)
    # An empty inbox takes whatever is let in: it would never be taken otherwise.
    if found["waiting"] and (found["waiting"] >= room.events or found["bytes"] + more > room.size):
        raise InboxFullError(
            f"the inbox is full: {found['waiting']} events wait, of {found['bytes']} bytes"
        )


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
        db.execute(
            "UPDATE tally SET count = count + ? WHERE name = ?", (change, name.replace("_", " "))
        )
