"""Records and the order of their changes: the change feed of every sync. Source: api.md 3.4, 3.5.

A record has one place, that of its latest change: an update moves it to the end, a delete leaves a
tombstone there. Places count up over all syncs and are never used twice. Bodies are kept as JSON
text, so a page is joined and not built. How many records lie behind a place is told by counts per
block of 1,024 and of 1,048,576 places: the price of a page does not grow with its depth.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import attrs

from paragon_async.emulator.store import Store

_LEVELS = (10, 20)
_AT_ONCE = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    place INTEGER PRIMARY KEY AUTOINCREMENT, sync TEXT NOT NULL, id TEXT NOT NULL, external TEXT,
    parent TEXT, kind TEXT NOT NULL, origin TEXT NOT NULL, deleted INTEGER NOT NULL,
    seen INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS record_ids ON records (sync, id);
CREATE INDEX IF NOT EXISTS feed ON records (sync);
CREATE INDEX IF NOT EXISTS externals ON records (sync, external);
CREATE INDEX IF NOT EXISTS parents ON records (sync, parent);
CREATE TABLE IF NOT EXISTS blocks (
    sync TEXT NOT NULL, level INTEGER NOT NULL, block INTEGER NOT NULL, live INTEGER NOT NULL,
    PRIMARY KEY (sync, level, block)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    sync TEXT PRIMARY KEY, known INTEGER NOT NULL, active INTEGER NOT NULL) WITHOUT ROWID;
"""

_INSERT = (
    "INSERT INTO records (sync, id, external, parent, kind, origin, deleted, seen, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@attrs.frozen(kw_only=True)
class Row:
    """A record to be stored.

    *kind* is `file`, `folder` or `record`; *origin* is `item` for what was read from an account,
    `generated`, or `put` for what somebody wrote into this sync alone. A full run
    deletes only what was read from an account.
    """

    id: str
    body: str
    external: str | None = None
    parent: str | None = None
    kind: str = "record"
    origin: str = "put"
    deleted: bool = False


@attrs.frozen
class Change:
    """What became of a record: `created`, `updated` or `deleted`."""

    kind: str
    record: str


Then = Callable[[list[Change]], object]


class Feed:
    """The records of all syncs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self, sync: str, rows: Iterable[Row], now: float, then: Then | None = None
    ) -> list[Change]:
        """Store records at the end of the feed, and return what became of each.

        *then* is called with that before the step is over: it happens with it, or not at all.

        A tombstone for a record that is not there, or is one already, changes nothing.
        """
        changes: list[Change] = []
        counts: Counter[tuple[int, int]] = Counter()
        with self._store.transaction() as db:
            before = self.totals(sync)
            pending: dict[str, Row] = {}
            for row in rows:
                pending.pop(row.id, None)
                pending[row.id] = row
                if len(pending) == _AT_ONCE:
                    changes += self._put(sync, pending, int(now * 1000), counts)
                    pending = {}
            changes += self._put(sync, pending, int(now * 1000), counts)
            self._count(db, sync, counts, before, changes)
            if then is not None:
                then(changes)
        return changes

    def _put(
        self, sync: str, rows: dict[str, Row], seen: int, counts: Counter[tuple[int, int]]
    ) -> list[Change]:
        db = self._store.db
        marks = ",".join("?" * len(rows))
        query = f"SELECT id, place, deleted FROM records WHERE sync = ? AND id IN ({marks})"  # noqa: S608  # marks only
        old = {row["id"]: row for row in db.execute(query, (sync, *rows))}
        changes = []
        for row in list(rows.values()):
            was = old.get(row.id)
            if was is None or was["deleted"]:
                kind = "deleted" if row.deleted else "created"
            else:
                kind = "deleted" if row.deleted else "updated"
            if kind == "deleted" and (was is None or was["deleted"]):
                del rows[row.id]
                continue
            changes.append(Change(kind, row.id))
            if was is not None:
                _tally(counts, was["place"], -1)
        moved = [(sync, i) for i in rows if i in old]
        db.executemany("DELETE FROM records WHERE sync = ? AND id = ?", moved)
        for row in rows.values():
            head = (sync, row.id, row.external, row.parent, row.kind, row.origin)
            place = db.execute(_INSERT, (*head, row.deleted, seen, row.body)).lastrowid
            _tally(counts, place or 0, 1)
        return changes

    def _count(
        self,
        db: sqlite3.Connection,
        sync: str,
        counts: Counter[tuple[int, int]],
        before: tuple[int, int],
        changes: list[Change],
    ) -> None:
        db.executemany(
            "INSERT INTO blocks VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (sync, level, block) DO UPDATE SET live = live + ?4",
            [(sync, level, block, n) for (level, block), n in counts.items() if n],
        )
        known = before[0] + sum(n for (level, _), n in counts.items() if level == _LEVELS[0])
        kinds = Counter(change.kind for change in changes)
        active = before[1] + kinds["created"] - kinds["deleted"]
        db.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?)", (sync, known, active))

    def drop(self, sync: str) -> None:
        """Forget all records of a sync."""
        for table in ("records", "blocks", "totals"):
            self._store.db.execute(f"DELETE FROM {table} WHERE sync = ?", (sync,))  # noqa: S608  # our own names

    def get(self, sync: str, record: str) -> sqlite3.Row | None:
        """Return one record's row, a tombstone's too."""
        query = "SELECT * FROM records WHERE sync = ? AND id = ?"
        row: sqlite3.Row | None = self._store.db.execute(query, (sync, record)).fetchone()
        return row

    def by_external(self, sync: str, external: str) -> sqlite3.Row | None:
        """Return the row of an integration's id."""
        query = "SELECT * FROM records WHERE sync = ? AND external = ?"
        row: sqlite3.Row | None = self._store.db.execute(query, (sync, external)).fetchone()
        return row

    def living(self, sync: str, origin: str) -> Iterator[sqlite3.Row]:
        """Yield the records of an origin that are not deleted, in the feed's order."""
        query = (
            "SELECT id, external, parent, kind FROM records INDEXED BY feed "
            "WHERE sync = ? AND origin = ? AND NOT deleted ORDER BY place"
        )
        yield from self._store.db.execute(query, (sync, origin))

    def page(self, sync: str, after: int, size: int) -> list[sqlite3.Row]:
        """Return up to *size* records after a place of the feed."""
        query = (
            "SELECT body, place, seen FROM records INDEXED BY feed "
            "WHERE sync = ? AND place > ? ORDER BY place LIMIT ?"
        )
        return self._store.db.execute(query, (sync, after, size)).fetchall()

    def last(self, sync: str) -> int:
        """Return the place of the latest change, 0 if there is none."""
        query = "SELECT MAX(place) FROM records INDEXED BY feed WHERE sync = ?"
        return int(self._store.db.execute(query, (sync,)).fetchone()[0] or 0)

    def totals(self, sync: str) -> tuple[int, int]:
        """Return how many records there are with tombstones, and without."""
        query = "SELECT known, active FROM totals WHERE sync = ?"
        row = self._store.db.execute(query, (sync,)).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def behind(self, sync: str, place: int) -> int:
        """Return how many records lie after a place: large blocks, small ones, and the rest."""
        small, large = (place >> level for level in _LEVELS)
        edge = (large + 1) << (_LEVELS[1] - _LEVELS[0])
        counted = (
            "SELECT COALESCE(SUM(live), 0) FROM blocks "
            "WHERE sync = ? AND level = ? AND block > ? AND block < ?"
        )
        rest = "SELECT COUNT(*) FROM records INDEXED BY feed WHERE sync = ? AND place > ? AND place < ?"
        db = self._store.db
        far = db.execute(counted, (sync, _LEVELS[1], large, 1 << 62)).fetchone()[0]
        near = db.execute(counted, (sync, _LEVELS[0], small, edge)).fetchone()[0]
        end = (small + 1) << _LEVELS[0]
        return int(far + near + db.execute(rest, (sync, place, end)).fetchone()[0])


def _tally(counts: Counter[tuple[int, int]], place: int, change: int) -> None:
    for level in _LEVELS:
        counts[level, place >> level] += change
