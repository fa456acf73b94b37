"""The SQL over the tables of `schema`: plain functions over a connection, each within a transaction.

Nothing here commits; `database` does, for a group of calls at once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import attrs

from paragon_async.errors import StateError
from paragon_async.ingest import bulk, feeds, letters, places
from paragon_async.ingest.sinks.protocol import Mark
from paragon_async.ingest.values import DeadLetter, Feed, Receipt

_RUNS_KEPT = 200
_RECEIPT = "c.version, c.path, c.size, c.sha256, c.content_type, c.verified_by"


@attrs.frozen(kw_only=True)
class Known:
    """What is known of a record: its line's *digest*, None unless it is alive, and its receipt.

    It is suspect when a run that worked on its contents was cut off: what lies in the sink may then
    be another version than its receipt's, or have none, or be gone.
    """

    digest: bytes | None = None
    receipt: Receipt | None = None
    is_dead: bool = False
    is_doomed: bool = False
    is_suspect: bool = False


@attrs.frozen(kw_only=True)
class Batch:
    """Everything that one commit changes; all of it may be empty.

    *rows* are digests by id, durable at *mark*; *receipts* are of contents that a sink has settled;
    *healed* are no dead letters any more, *spared* no longer doomed, *doomed* are to be deleted, each
    with its reason; *seen* was met by pass *pass_no*; *strays* have no content any more, *cleared* are
    worked on no longer. *replaced* are those of *rows* that may have had a row before, None for all.
    """

    rows: Mapping[str, bytes] = attrs.field(factory=dict)
    receipts: Sequence[Receipt] = ()
    mark: Mark | None = None
    cursor: str | None = None
    dead: Sequence[DeadLetter] = ()
    healed: Sequence[str] = ()
    spared: Sequence[str] = ()
    doomed: Mapping[str, str] = attrs.field(factory=dict)
    seen: Sequence[str] = ()
    strays: Sequence[str] = ()
    cleared: Sequence[str] = ()
    replaced: Sequence[str] | None = None
    pass_no: int | None = None


def look(db: sqlite3.Connection, feed: int, ids: Sequence[str]) -> dict[str, Known]:
    """Return what is known of *ids*; those never met are left out."""
    found: dict[str, Known] = {}
    for block, _ in places.blocks(ids):
        rows = db.execute(
            # A crash leaves receipts, letters and intents of records that have no row yet.
            "SELECT i.id, r.digest, d.id IS NOT NULL, r.doomed IS NOT NULL, "  # noqa: S608  # constants
            f"t.id IS NOT NULL, {_RECEIPT} "
            f"FROM (SELECT column1 AS id FROM (VALUES {','.join(['(?)'] * len(block))})) i "
            "LEFT JOIN records r ON r.feed = ? AND r.id = i.id "
            "LEFT JOIN receipts c ON c.feed = ? AND c.id = i.id "
            "LEFT JOIN dead d ON d.feed = ? AND d.id = i.id "
            "LEFT JOIN intents t ON t.feed = ? AND t.id = i.id "
            "WHERE r.id IS NOT NULL OR c.id IS NOT NULL OR d.id IS NOT NULL OR t.id IS NOT NULL",
            (*block, feed, feed, feed, feed),
        )
        for id_, digest, dead, doomed, suspect, *rest in rows:
            found[id_] = Known(
                digest=digest,
                receipt=None if rest[0] is None else _receipt(id_, *rest),
                is_dead=bool(dead),
                is_doomed=bool(doomed),
                # Deleting may have begun with its contents.
                is_suspect=bool(suspect or doomed),
            )
    return found


def is_empty(db: sqlite3.Connection, feed: int) -> bool:
    """Tell whether nothing is known of any record, so that `look` would find none."""
    return not any(
        db.execute(f"SELECT 1 FROM {table} WHERE feed = ? LIMIT 1", (feed,)).fetchone()  # noqa: S608  # constants
        for table in ("records", "receipts", "dead", "intents")
    )


def intend(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Note records whose contents are going to be worked on."""
    bulk.each(db, "INSERT OR IGNORE INTO intents VALUES (?, ?)", [(feed, id_) for id_ in ids])


def clear(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Note that records are worked on no longer, and what is known of them is true."""
    bulk.each(db, "DELETE FROM intents WHERE feed = ? AND id = ?", [(feed, id_) for id_ in ids])


def intents(db: sqlite3.Connection, feed: int) -> list[str]:
    """Return the ids of records that a run worked on when it was cut off."""
    rows = db.execute("SELECT id FROM intents WHERE feed = ? ORDER BY id", (feed,))
    return [row[0] for row in rows]


def receive(db: sqlite3.Connection, feed: int, receipts: Iterable[Receipt], now: float) -> None:
    """Note contents that are durable."""
    bulk.each(
        db,
        "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (feed, r.id, r.version, r.path, r.size, r.sha256, r.content_type,
             json.dumps(r.verified_by), now)
            for r in receipts
        ],
    )  # fmt: skip


def commit(
    db: sqlite3.Connection, number: int, feed: Feed, batches: Sequence[Batch], now: float
) -> None:
    """Apply batches: rows, letters, dooms and cursors, all or nothing. No id is in two of them."""
    mine = "SELECT 1 FROM feeds WHERE feed = ? AND project = ? AND user = ? AND sync = ?"
    if not db.execute(mine, (number, feed.project, feed.user, feed.sync)).fetchone():
        raise StateError(f"the state no longer knows {feed}: nothing was written")
    replaced = [batch.rows if batch.replaced is None else batch.replaced for batch in batches]
    bulk.supersede(db, number, [id_ for ids in replaced for id_ in ids])
    bulk.keep(db, number, [(places.fill(db, number, b.mark), b.rows) for b in batches])
    for batch in batches:
        _apply(db, number, batch, now)
    cursor = next((batch.cursor for batch in reversed(batches) if batch.cursor is not None), None)
    if cursor is not None:
        db.execute(
            "UPDATE feeds SET cursor = ?, seal = ? WHERE feed = ?",
            (cursor, feeds.seal(feed, cursor), number),
        )


def _apply(db: sqlite3.Connection, number: int, batch: Batch, now: float) -> None:
    """Apply what a batch changes beside rows and cursor; of most records nothing."""
    receive(db, number, batch.receipts, now)
    letters.heal(db, number, batch.healed)
    letters.bury(db, number, batch.dead, now)
    bulk.each(
        db,
        "UPDATE records SET doomed = NULL WHERE feed = ? AND id = ?",
        [(number, id_) for id_ in batch.spared],
    )
    bulk.each(
        db,
        "UPDATE records SET doomed = ? WHERE feed = ? AND id = ? AND deleted_at IS NULL",
        [(reason, number, id_) for id_, reason in batch.doomed.items()],
    )
    # A tombstone of a record that was never here leaves a row too: it was met.
    bulk.each(
        db,
        "INSERT INTO records(feed, id, deleted_at, pass) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
        "SET pass = excluded.pass",
        [(number, id_, now, batch.pass_no) for id_ in batch.seen],
    )
    drop_receipts(db, number, batch.strays)
    clear(db, number, batch.cleared)


def drop_receipts(db: sqlite3.Connection, feed: int, ids: Iterable[str]) -> None:
    """Forget contents that are gone."""
    bulk.each(db, "DELETE FROM receipts WHERE feed = ? AND id = ?", [(feed, id_) for id_ in ids])


def alive(db: sqlite3.Connection, feed: int) -> int:
    """Return how many records the mirror holds, doomed ones among them."""
    row = db.execute(
        "SELECT count(*) FROM records WHERE feed = ? AND deleted_at IS NULL", (feed,)
    ).fetchone()
    return int(row[0])


def count_doomed(db: sqlite3.Connection, feed: int, reason: str | None = None) -> int:
    """Return how many records are to be deleted, for *reason* or for any."""
    row = db.execute(
        "SELECT count(*) FROM records WHERE feed = ? AND doomed IS NOT NULL "
        "AND doomed = coalesce(?, doomed)",
        (feed, reason),
    ).fetchone()
    return int(row[0])


def doomed(db: sqlite3.Connection, feed: int, limit: int, reason: str | None = None) -> list[str]:
    """Return ids of records that are to be deleted, for *reason* or for any."""
    rows = db.execute(
        "SELECT id FROM records WHERE feed = ? AND doomed IS NOT NULL "
        "AND doomed = coalesce(?, doomed) ORDER BY id LIMIT ?",
        (feed, reason, limit),
    )
    return [row[0] for row in rows]


def delete(
    db: sqlite3.Connection, feed: int, ids: Sequence[str], mark: Mark | None, now: float
) -> None:
    """Note that records are gone from the destination: what is left of each is when."""
    places.fill(db, feed, mark)
    bulk.supersede(db, feed, ids)
    keys = [(feed, id_) for id_ in ids]
    db.executemany(
        "UPDATE records SET deleted_at = ?, doomed = NULL, digest = NULL, place = NULL "
        "WHERE feed = ? AND id = ?",
        [(now, *key) for key in keys],
    )
    db.executemany("DELETE FROM receipts WHERE feed = ? AND id = ?", keys)
    db.executemany("DELETE FROM dead WHERE feed = ? AND id = ?", keys)
    clear(db, feed, ids)


def receipts(db: sqlite3.Connection, feed: int, after: str, limit: int) -> list[Receipt]:
    """Return receipts in the order of their ids, from behind *after*."""
    rows = db.execute(
        f"SELECT c.id, {_RECEIPT} FROM receipts c WHERE c.feed = ? AND c.id > ? "  # noqa: S608  # a constant
        "ORDER BY c.id LIMIT ?",
        (feed, after, limit),
    )
    return [_receipt(*row) for row in rows]


def begin_pass(db: sqlite3.Connection, feed: int) -> int:
    """Return the number of a new complete pass."""
    db.execute("UPDATE feeds SET passes = passes + 1 WHERE feed = ?", (feed,))
    row = db.execute("SELECT passes FROM feeds WHERE feed = ?", (feed,)).fetchone()
    return int(row[0])


def met(db: sqlite3.Connection, feed: int, pass_no: int) -> int:
    """Return how many records, living or deleted, a pass has met."""
    row = db.execute(
        "SELECT count(*) FROM records WHERE feed = ? AND pass = ?", (feed, pass_no)
    ).fetchone()
    return int(row[0])


def doom_unseen(db: sqlite3.Connection, feed: int, pass_no: int) -> None:
    """Doom the living that a complete pass did not meet."""
    db.execute(
        "UPDATE records SET doomed = 'reconcile' WHERE feed = ? AND deleted_at IS NULL "
        "AND doomed IS NULL AND pass IS NOT ?",
        (feed, pass_no),
    )


def log_run(db: sqlite3.Connection, feed: int, run: tuple[str, float, str, str]) -> None:
    """Keep what a run did: kind, start, outcome, report as JSON; the oldest runs are forgotten."""
    db.execute(
        "INSERT INTO runs(feed, kind, started_at, outcome, report) VALUES (?, ?, ?, ?, ?)",
        (feed, *run),
    )
    db.execute(
        "DELETE FROM runs WHERE feed = ? AND run NOT IN "
        "(SELECT run FROM runs WHERE feed = ? ORDER BY run DESC LIMIT ?)",
        (feed, feed, _RUNS_KEPT),
    )


def _receipt(  # noqa: PLR0917  # a row of the table
    id_: str,
    version: str,
    path: str,
    size: int,
    sha256: str,
    content_type: str | None,
    verified_by: str,
) -> Receipt:
    return Receipt(
        id=id_,
        version=version,
        path=path,
        size=size,
        sha256=sha256,
        content_type=content_type,
        verified_by=tuple(json.loads(verified_by)),
    )
