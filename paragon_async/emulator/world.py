"""Everything an emulator knows and does, without HTTP: the parts, and how they meet.

    folders → items ─┐
    record files → items ─┤ runs → feed → pages        tuples → graph → answers
    generators ──────┘   └→ events → webhook

A user's account is the folder mounted for it, else the one mounted for all. Policies where the
service is silent: enabling a sync twice with the same names returns the one that is there; records
of a disabled sync stay readable; a credential that is changed reads the same account again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paragon_async.emulator import (
    describe,
    events,
    feed,
    graph,
    hooks,
    ids,
    items,
    journal,
    syncs,
)
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.cursors import Cursors
from paragon_async.emulator.deliver import Deliverer
from paragon_async.emulator.errors import Refusal, SourceFailed
from paragon_async.emulator.generate import Spec
from paragon_async.emulator.grants import Grants
from paragon_async.emulator.life import Life
from paragon_async.emulator.mount import Mount
from paragon_async.emulator.pace import Pace
from paragon_async.emulator.run import Reader
from paragon_async.emulator.store import Store
from paragon_async.emulator.watch import Watch

_log = logging.getLogger("paragon_async.emulator")
_PATIENCE = 40


class World:
    """The state of one emulator. Used from one event loop."""

    def __init__(
        self,
        project_id: str,
        *,
        state: Path | None = None,
        mounts: Mapping[str, Path],
        skip: frozenset[str] = frozenset(),
        settle: float = 0.1,
        rescan: float = 2.0,
        specs: Iterable[Spec] = (),
        pace: Pace,
        deletes: str = "at_once",
    ) -> None:
        self.project_id = project_id
        parts = (items, feed, syncs, graph, hooks, journal)
        self.store = Store(state, [part.SCHEMA for part in parts])
        self.clock = Clock()
        self.items = items.Items(self.store)
        self.feed = feed.Feed(self.store)
        self.syncs = syncs.Syncs(self.store)
        self.graph = graph.Graph(self.store)
        self.hooks = hooks.Hooks(self.store, self.clock)
        self.deliverer = Deliverer(self.hooks, self.clock)
        self.journal = journal.Journal(self.store, self.clock)
        self.specs = list(specs)
        self.mounts = {
            account: Mount(root, account, self.items, skip=skip, settle=settle)
            for account, root in mounts.items()
        }
        self._settle = settle
        reader = Reader(self.items, self.feed, self.specs, deletes, self._ready)
        self.life = Life(self.syncs, reader, self.clock, pace, self.tell)
        self._watches = [Watch(mount, self.seen, rescan) for mount in self.mounts.values()]
        self._cursors: Cursors | None = None
        self._rules: dict[str, dict[str, Grants]] = {}

    @property
    def cursors(self) -> Cursors:
        """The maker of cursors; its secret is kept with the state."""
        if self._cursors is None:
            secret = self.store.get("cursors") or secrets.token_hex(32)
            self.store.set("cursors", secret)
            self._cursors = Cursors(bytes.fromhex(secret))
        return self._cursors

    def start(self) -> None:
        """Begin to live: take up the clock, runs and deliveries of an earlier process."""
        self.pick_up_clock()
        self.life.start()
        self.deliverer.start()
        for watch in self._watches:
            watch.start()

    async def aclose(self) -> None:
        """Stop everything that goes on, and close the database."""
        for mount in self.mounts.values():
            mount.stop()
        try:
            await asyncio.gather(*(watch.aclose() for watch in self._watches))
            await self.life.aclose()
            await self.deliverer.aclose()
            self.journal.flush()
        except sqlite3.Error as error:
            _log.error("the last calls are not in the state: %s", error)
        finally:
            self.store.close()

    @staticmethod
    def identity(state: Path | None) -> dict[str, str]:
        """Return the project and the signing key that a state file keeps."""
        if state is None:
            return {}
        store = Store(state)
        try:
            kept = {key: store.get(key) for key in ("project_id", "signing_key")}
            return {key: value for key, value in kept.items() if value}
        finally:
            store.close()

    def resume(self) -> None:
        """Go on from a state that was put in the place of this one."""
        self.pick_up_clock()
        self.life.pick_up()
        self.deliverer.poke()

    def pick_up_clock(self) -> None:
        """Show the time that is kept with the state."""
        shown = self.store.get("clock", {"ahead": 0.0, "frozen": None})
        self.clock.restore(ahead=shown["ahead"], frozen=shown["frozen"])

    def source_of(self, sync_id: str, record_id: str) -> Path | None:
        """Return the file on this machine that a record stands for."""
        sync, record = self.syncs.get(sync_id), self.feed.get(sync_id, record_id)
        if sync is None or record is None or sync["account"] not in self.mounts:
            return None
        item = self.items.get(sync["account"], "files", record["external"])
        if item is None or item["path"] is None:
            return None
        return self.mounts[sync["account"]].root / os.fsdecode(item["path"])

    def grant(self, account: str, path: str, subject: str, role: str) -> None:
        """Give a role on what lies at a path of an account, "" for all of it."""
        path = path.strip("/")
        item = self.items.at(account, os.fsencode(path))
        external = item["external"] if item else ids.external_id(path)
        self.graph.grant(account, external, subject, role)

    def account(self, user: str) -> str:
        """Return whose folder a user sees."""
        return user if user in self.mounts else ""

    def owned(self, user: str, sync_id: str) -> sqlite3.Row:
        """Return a user's sync; to everybody else it does not exist."""
        row = self.syncs.get(sync_id)
        if row is None or row["user"] != user:
            raise Refusal(404, "Sync not found")
        return row

    def known(self, sync_id: str) -> sqlite3.Row:
        """Return anybody's sync."""
        row = self.syncs.get(sync_id)
        if row is None:
            raise Refusal(404, f"there is no sync {sync_id!r:.80}")
        return row

    def find(self, sync: str | None, user: str | None, record: str | None) -> sqlite3.Row:
        """Return the sync that is named, or the one that holds a record, or the only one."""
        if sync is not None:
            return self.known(sync)
        rows = self.syncs.all(user)
        if record is not None:
            rows = [row for row in rows if self.feed.get(row["id"], record) is not None]
        if len(rows) != 1:
            raise Refusal(404, f"{len(rows)} syncs fit: name one with sync")
        return rows[0]

    def external(self, thing: str, sync: str | None) -> str:
        """Return the integration's id of a record, of a path of a mount, or of the root."""
        if sync is not None:
            record = self.feed.get(self.known(sync)["id"], thing.rpartition(":")[2])
            if record is None or record["external"] is None:
                raise Refusal(404, "there is no such record in this sync")
            return str(record["external"])
        return thing

    def enable(self, user: str, wanted: Mapping[str, Any]) -> sqlite3.Row:
        """Create a sync and start its first run, or return the one that is there."""
        sync_id = ids.sync_id(self.project_id, user, wanted)
        if self.syncs.get(sync_id) is None:
            now = self.clock.now()
            self.syncs.add(
                {
                    "id": sync_id,
                    "user": user,
                    "account": self.account(user),
                    "integration": wanted["integration"],
                    "pipeline": wanted["pipeline"],
                    "name": wanted["configurationName"],
                    "configuration": json.dumps(wanted["configuration"]),
                    "credential": wanted["credentialId"],
                    "frequency": wanted.get("frequency"),
                    "status": "INITIALIZING",
                    "created": self.clock.iso(now),
                    "updated": self.clock.iso(now),
                    "last_run": now,
                    "last_full": now,
                }
            )
            self.life.begin(sync_id)
        return self.known(sync_id)

    def disable(self, row: sqlite3.Row) -> None:
        """Pause a sync."""
        self.life.halt(row["id"])
        self.life.enter(row["id"], "DISABLED")

    def reenable(self, row: sqlite3.Row) -> None:
        """Resume a sync that rests or failed, with a full run."""
        if row["status"] in {"DISABLED", "ERRORED"}:
            self.life.enter(row["id"], "ACTIVE", reason=None)
            self.life.begin(row["id"])

    def update(self, row: sqlite3.Row, credential: str | None, frequency: str | None) -> None:
        """Change the credential, which starts a full run, or the frequency."""
        updated = self.clock.iso()
        if frequency:
            self.syncs.change(row["id"], frequency=frequency, updated=updated)
        if credential:
            self.syncs.change(row["id"], credential=credential, updated=updated)
            if row["status"] in {"IDLE", "ACTIVE", "ERRORED"}:
                self.life.enter(row["id"], "ACTIVE", reason=None)
                self.life.begin(row["id"])

    def delete(self, row: sqlite3.Row) -> None:
        """Delete a sync and all it holds; its id stays its own."""
        self.life.halt(row["id"])
        with self.store.transaction():
            self.syncs.delete(row["id"])
            self.feed.drop(row["id"])

    def put(self, sync_id: str, *bodies: Mapping[str, Any]) -> int:
        """Add, update or (with `deleted`) delete records of one sync, as they are."""
        sync = self.known(sync_id)
        rows = [describe.put_row(dict(body)) for body in bodies]
        changes = self.feed.put(sync_id, rows, self.clock.now())
        self.tell([events.CHANGES[change.kind](sync, change.record) for change in changes])
        return len(changes)

    def load(self, pipeline: str, bodies: Iterable[Mapping[str, Any]], user: str = "") -> int:
        """Put records into an account, for one user or all; syncs read them as their own news."""
        count = self.items.load(user, pipeline, bodies)
        self._news(lambda sync: sync["pipeline"] == pipeline)
        return count

    def unload(self, pipeline: str, externals: Iterable[str], user: str = "") -> int:
        """Delete records from an account."""
        count = self.items.remove(user, pipeline, externals)
        self._news(lambda sync: sync["pipeline"] == pipeline)
        return count

    def tell(self, told: list[events.Event]) -> int:
        """Queue events for the webhook, if there is one, and return how many deliveries follow."""
        queued = self.hooks.enqueue(told) if told else 0
        if queued:
            self.deliverer.poke()
        return queued

    async def seen(self, mount: Mount) -> bool:
        """Look at a folder and pass on what changed; tell whether all of it had come to rest."""
        is_read = lambda sync: sync["pipeline"] == "files" and sync["account"] == mount.account  # noqa: E731  # short, and used thrice
        try:
            found = await mount.scan()
        except OSError as error:
            for sync in filter(is_read, self.syncs.all()):
                if sync["status"] == "IDLE":
                    self.life.fail(sync, str(error))
            return True
        self._granted(mount, found.grants)
        for complaint in found.complaints:
            _log.warning("%s", complaint)
        if found.items or found.gone:
            self._news(is_read)
        return found.settled

    async def refresh(self) -> None:
        """Look at every folder now: the changes are in the feeds when this returns."""
        for mount in self.mounts.values():
            await self._calm(mount)
        self._news(lambda _: True)
        await self.life.settle()

    def save_clock(self) -> None:
        """Keep the clock's place for the next process."""
        frozen = self.clock.now() if self.clock.is_frozen else None
        self.store.set("clock", {"ahead": self.clock.ahead, "frozen": frozen})

    def _news(self, concerns: Any) -> None:
        for sync in filter(concerns, self.syncs.all()):
            self.life.notice(sync["id"])

    async def _calm(self, mount: Mount) -> None:
        """Look until nothing is half written, but not for ever: a log file never rests."""
        for _ in range(_PATIENCE):
            if await self.seen(mount):
                return
            await asyncio.sleep(self._settle / 2)

    async def _ready(self, sync: sqlite3.Row) -> None:
        mount = self.mounts.get(sync["account"])
        if sync["pipeline"] != "files" or mount is None:
            return
        if not mount.root.is_dir():
            raise SourceFailed("The folder of this account is gone")
        await self._calm(mount)

    def _granted(self, mount: Mount, grants: Mapping[str, Grants]) -> None:
        """Hold the graph to the rules that lie in the folder; what was read before is not redone."""
        before = self._rules.get(mount.account, {})
        held = [
            o.removeprefix("mount:")
            for o in self.graph.origins(mount.account)
            if o.startswith("mount:")
        ]
        for external in {*before, *grants, *held}:
            rules = grants.get(external)
            if rules is not None and rules == before.get(external):
                continue
            tuples = [(external, subject, role) for subject, role in rules.tuples] if rules else []
            members = rules.members if rules else []
            self.graph.replace_origin(mount.account, f"mount:{external}", tuples, members)
        self._rules[mount.account] = dict(grants)
