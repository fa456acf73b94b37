"""The webhook of a project and the queue of what it is to be told, kept in the database.

The service documents neither its probe nor its retries (api.md 6.1, 6.2, 10). Our choices: a new URL
is probed first and every event waits until the probe was answered 2xx. A failed attempt is repeated
after 1, 2, 4, ... seconds of the emulator's clock, five minutes at most; the probe is never given up.
After too many failures in a row the webhook is disabled: what was queued waits, what happens from then
on is logged as dropped, and configuring it anew enables it and sends what waited.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs

from paragon_async.emulator import events as forms
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.store import Store
from paragon_async.emulator.webhook import Webhook, checked

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, kind TEXT NOT NULL, sync TEXT,
    created REAL NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL, state TEXT NOT NULL,
    status INTEGER, error TEXT, finished REAL);
CREATE INDEX IF NOT EXISTS pending ON deliveries (due, id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS probes ON deliveries (due, id)
    WHERE state = 'pending' AND kind = 'webhook_verification';
CREATE INDEX IF NOT EXISTS finished ON deliveries (finished, id) WHERE finished IS NOT NULL;
"""
_KEY = "webhook"
_KEPT = 50_000
_LONGEST_WAIT = 300.0
_MOST_SHOWN = 10_000
_LARGEST_ID = (1 << 63) - 1
_INSERT = (
    "INSERT INTO deliveries (event, kind, sync, created, due, attempts, state, error, finished) "
    "VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)"
)


class Hooks:
    """The one webhook of the project, its queue and its log; *kept* bounds the log."""

    def __init__(self, store: Store, clock: Clock, *, kept: int = _KEPT) -> None:
        self._store = store
        self._clock = clock
        self._kept = kept
        self._unswept = 0

    def configure(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        variants: Iterable[str] = (),
        duplicate: float = 0.0,
        reorder: float = 0.0,
        drop: float = 0.0,
        seed: int = 0,
        give_up_after: int = 8,
        disable_after: int = 20,
    ) -> None:
        """Send events to *url* from now on, once it has answered a probe.

        What still waits goes there too. Raises `Refusal` 400 for a value that cannot be.
        """
        hook = checked(
            url=url,
            headers=headers,
            variants=variants,
            duplicate=duplicate,
            reorder=reorder,
            drop=drop,
            seed=seed,
            give_up_after=give_up_after,
            disable_after=disable_after,
        )
        now = self._clock.now()
        with self._store.transaction() as db:
            self._abandon("another webhook was configured", "kind = 'webhook_verification'")
            db.execute(
                "UPDATE deliveries SET due = MIN(due, ?), attempts = 0 WHERE state = 'pending'",
                (now,),
            )
            self._save(hook)
            probe = forms.verification()
            db.execute(_INSERT, _row(probe, json.dumps(probe), now))

    def remove(self) -> None:
        """Forget the webhook; what was queued for it is logged as dropped."""
        with self._store.transaction():
            self._abandon("the webhook was removed", "TRUE")
            self._store.set(_KEY, None)

    def settings(self) -> dict[str, Any]:
        """Return the webhook as JSON, without the values of headers and of the URL's query."""
        hook = self.webhook()
        if hook is None:
            return {"url": None}
        query = "SELECT COUNT(*) FROM deliveries WHERE state = 'pending'"
        return {**hook.shown(), "pending": self._store.db.execute(query).fetchone()[0]}

    def webhook(self) -> Webhook | None:
        """Return the webhook with its secrets, for the sender."""
        kept = self._store.get(_KEY)
        return None if kept is None else Webhook(**kept)

    def enqueue(self, events: Iterable[forms.Event]) -> int:
        """Queue events in one step and return how many deliveries there will be.

        Nothing is kept while there is no webhook. Wake the sender afterwards.
        """
        hook = self.webhook()
        if hook is None:
            return 0
        tally: Counter[str] = Counter()
        with self._store.transaction() as db:
            db.executemany(_INSERT, self._fates(hook, events, tally))
            if tally["seen"]:
                self._save(attrs.evolve(hook, numbered=hook.numbered + tally["seen"]))
        self._sweep(tally["lost"])
        return tally["queued"]

    def due(self, now: float, limit: int, skip: Collection[int] = ()) -> list[sqlite3.Row]:
        """Return deliveries whose time has come, the oldest first, without those in *skip*."""
        scope = self._scope()
        if scope is None:
            return []
        query = (
            f"SELECT id, event, attempts FROM deliveries WHERE {scope} AND due <= ? "  # noqa: S608  # our own words
            "ORDER BY due, id LIMIT ?"
        )
        rows = self._store.db.execute(query, (now, limit + len(skip))).fetchall()
        return [row for row in rows if row["id"] not in skip][:limit]

    def next_due(self, skip: Collection[int] = ()) -> float | None:
        """Return when something is due next, without what is in *skip*; None if nothing waits."""
        scope = self._scope()
        if scope is None:
            return None
        query = f"SELECT id, due FROM deliveries WHERE {scope} ORDER BY due, id LIMIT ?"  # noqa: S608  # our own words
        rows = self._store.db.execute(query, (len(skip) + 1,))
        return next((row["due"] for row in rows if row["id"] not in skip), None)

    def delivered(self, delivery: int, status: int) -> None:
        """Note that a delivery was answered 2xx."""
        query = (
            "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, status = ?, "
            "error = NULL, finished = ? WHERE id = ? AND state = 'pending' RETURNING kind"
        )
        with self._store.transaction() as db:
            done = db.execute(query, (status, self._clock.now(), delivery)).fetchall()
            hook = self.webhook()
            if not done or hook is None:
                return
            verified = hook.verified or done[0]["kind"] == forms.PROBE
            if hook.failures or verified != hook.verified:
                self._save(attrs.evolve(hook, verified=verified, failures=0))
        self._sweep(1)

    def failed(self, delivery: int, status: int | None, error: str) -> None:
        """Note a failed attempt: it is repeated later, or given up; too many disable the webhook."""
        with self._store.transaction() as db:
            query = "SELECT kind, attempts FROM deliveries WHERE id = ? AND state = 'pending'"
            row = db.execute(query, (delivery,)).fetchone()
            hook = self.webhook()
            if row is None or hook is None:
                return
            attempts = row["attempts"] + 1
            is_over = attempts >= hook.give_up_after and row["kind"] != forms.PROBE
            now = self._clock.now()
            db.execute(
                "UPDATE deliveries SET state = ?, attempts = ?, due = ?, status = ?, error = ?, "
                "finished = ? WHERE id = ?",
                ("failed" if is_over else "pending", attempts, now + _wait(attempts), status, error,
                 now if is_over else None, delivery),
            )  # fmt: skip
            self._save(hook.after_failure(error))
        self._sweep(int(is_over))

    def redeliver(self, delivery: int) -> int:
        """Queue a logged event once more and return the new delivery's id.

        One that still waits is only made due. Raises `Refusal` 404 or 409.
        """
        hook = self.webhook()
        if hook is None or hook.disabled is not None:
            raise Refusal(409, "There is no enabled webhook: configure its URL first")
        query = "SELECT event, state FROM deliveries WHERE id = ?"
        found = None
        if 0 < delivery <= _LARGEST_ID:
            found = self._store.db.execute(query, (delivery,)).fetchone()
        if found is None:
            raise Refusal(404, "There is no delivery of this id: look it up in the log")
        now = self._clock.now()
        if found["state"] == "pending":
            self._store.db.execute("UPDATE deliveries SET due = ? WHERE id = ?", (now, delivery))
            return delivery
        again = (
            "INSERT INTO deliveries (event, kind, sync, created, due, attempts, state) "
            "SELECT event, kind, sync, ?1, ?1, 0, 'pending' FROM deliveries WHERE id = ?2"
        )
        return int(self._store.db.execute(again, (now, delivery)).lastrowid or 0)

    def log(self, limit: int = 100, after: int | None = None) -> list[dict[str, Any]]:
        """Return deliveries as JSON in their order: those after an id, or else the latest."""
        shown = min(max(limit, 1), _MOST_SHOWN)
        db = self._store.db
        if after is None:
            query = "SELECT * FROM deliveries ORDER BY id DESC LIMIT ?"
            return [self._shown(row) for row in db.execute(query, (shown,)).fetchall()[::-1]]
        query = "SELECT * FROM deliveries WHERE id > ? ORDER BY id LIMIT ?"
        place = min(max(after, 0), _LARGEST_ID)
        return [self._shown(row) for row in db.execute(query, (place, shown))]

    def _fates(
        self, hook: Webhook, events: Iterable[forms.Event], tally: Counter[str]
    ) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of events, and count what becomes of them in *tally*."""
        now = self._clock.now()
        for number, event in enumerate(events, hook.numbered):
            tally["seen"] += 1
            body = json.dumps(forms.varied(event, hook.variants))
            delays = [0.0] if event["event"] == forms.PROBE else hook.delays(number)
            reason = hook.disabled or (None if delays else "dropped on request")
            if reason is not None:
                tally["lost"] += 1
                yield _row(event, body, now, lost=reason)
                continue
            for delay in delays:
                tally["queued"] += 1
                yield _row(event, body, now, delay=delay)

    def _scope(self) -> str | None:
        """Return which deliveries may be sent now, in the words of the indexes."""
        hook = self.webhook()
        if hook is None or hook.disabled is not None:
            return None
        only = "" if hook.verified else " AND kind = 'webhook_verification'"
        return "state = 'pending'" + only

    def _save(self, hook: Webhook) -> None:
        self._store.set(_KEY, attrs.asdict(hook))

    def _abandon(self, reason: str, which: str) -> None:
        self._store.db.execute(
            "UPDATE deliveries SET state = 'dropped', error = ?, finished = ? "  # noqa: S608  # our own words
            f"WHERE state = 'pending' AND {which}",
            (reason, self._clock.now()),
        )

    def _sweep(self, finished: int) -> None:
        """Bound the log, now and then."""
        self._unswept += finished
        if self._unswept <= self._kept // 100:
            return
        self._unswept = 0
        self._store.db.execute(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries "
            "WHERE finished IS NOT NULL ORDER BY finished DESC, id DESC LIMIT -1 OFFSET ?)",
            (self._kept,),
        )

    def _shown(self, row: sqlite3.Row) -> dict[str, Any]:
        shown = {**dict(row), "event": json.loads(row["event"])}
        for key in ("created", "due", "finished"):
            shown[key] = None if row[key] is None else self._clock.iso(row[key])
        return shown


def _row(
    event: forms.Event, body: str, now: float, *, delay: float = 0.0, lost: str | None = None
) -> tuple[Any, ...]:
    state, finished = ("pending", None) if lost is None else ("dropped", now)
    sync = event.get("syncInstanceId")
    return (body, event["event"], sync, now, now + delay, state, lost, finished)


def _wait(attempts: int) -> float:
    # The exponent is bounded first: 2 to the thousandth is no float to wait for.
    return min(2.0 ** min(attempts - 1, 16), _LONGEST_WAIT)
