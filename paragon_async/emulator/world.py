"""The world behind the API: users' folders, their syncs and what the syncs find there.

Policies where the service is silent: enabling a sync twice with the same names returns the one that
is there; records of a disabled sync stay readable; a status moves one step a poll, so that whoever
polls sees INITIALIZING, ACTIVE and IDLE, however fast the run was.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paragon_async.emulator import folder, ids
from paragon_async.emulator.cursors import Cursors
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.graph import Graph
from paragon_async.emulator.store import Row, Store

STEPS = ("INITIALIZING", "ACTIVE", "IDLE")


def now() -> str:
    """Return the time in the service's form."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class World:
    """Everything an emulator knows. Used from one event loop."""

    def __init__(
        self, project_id: str, root: Path | None, skip: frozenset[str] = frozenset()
    ) -> None:
        self.project_id = project_id
        self.root = root
        self._skip = skip
        self.store = Store()
        self.cursors = Cursors(secrets.token_bytes(32))
        self.graph = Graph(self.store)
        self._runs: dict[str, asyncio.Task[None]] = {}

    def owned(self, user: str, sync_id: str) -> sqlite3.Row:
        """Return a user's sync; to everybody else it does not exist."""
        row = self.store.sync(sync_id)
        if row is None or row["user"] != user:
            raise Refusal(404, "Sync not found")
        return row

    def enable(self, user: str, wanted: Mapping[str, Any]) -> sqlite3.Row:
        """Create a sync and start its first run, or return the one that is there."""
        sync_id = ids.sync_id(self.project_id, user, wanted)
        row = self.store.sync(sync_id)
        if row is None:
            self.store.add_sync(
                {
                    "id": sync_id,
                    "user": user,
                    "integration": wanted["integration"],
                    "pipeline": wanted["pipeline"],
                    "name": wanted["configurationName"],
                    "configuration": json.dumps(wanted["configuration"]),
                    "credential": wanted["credentialId"],
                    "status": STEPS[0],
                    "created": now(),
                    "updated": now(),
                }
            )
            self._start(sync_id)
            row = self.store.sync(sync_id)
        assert row is not None  # noqa: S101  # it was there or has just been made
        return row

    def poll(self, row: sqlite3.Row) -> str:
        """Return the status to show now, one step on from the last poll at the most."""
        if row["status"] not in STEPS:
            return str(row["status"])
        step = min(row["polls"], STEPS.index(row["status"]))
        self.store.change_sync(row["id"], polls=row["polls"] + 1)
        return STEPS[step]

    def disable(self, row: sqlite3.Row) -> None:
        """Pause a sync."""
        self.store.change_sync(row["id"], status="DISABLED", updated=now())

    def reenable(self, row: sqlite3.Row) -> None:
        """Resume a sync and look at its source again."""
        if row["status"] not in STEPS:
            self.store.change_sync(row["id"], status=STEPS[1], polls=1, updated=now())
            self._start(row["id"])

    def update(self, row: sqlite3.Row, credential: str | None, frequency: str | None) -> None:
        """Change the credential, which starts a full run, or the frequency."""
        if frequency:
            self.store.change_sync(row["id"], frequency=frequency, updated=now())
        if credential:
            self.store.change_sync(row["id"], credential=credential, updated=now())
            self._start(row["id"])

    async def delete(self, row: sqlite3.Row) -> None:
        """Delete a sync and all it holds."""
        await self._stop(row["id"])
        self.store.delete_sync(row["id"])

    async def refresh(self) -> None:
        """Look at every source now: the changes are in the feeds when this returns."""
        for row in self.store.syncs():
            await self._stop(row["id"])
            await self._run(row["id"])

    async def aclose(self) -> None:
        """Stop all runs."""
        for sync_id in list(self._runs):
            await self._stop(sync_id)
        self.store.close()

    def put(self, sync_id: str, *bodies: dict[str, Any]) -> None:
        """Add or update records as they are, at the end of the feed."""
        rows = [
            Row(
                id=body["id"],
                body=json.dumps(body, separators=(",", ":")),
                external=body.get("externalId"),
                parent=body.get("parentFolderId"),
                deleted=body.get("deleted") is True,
            )
            for body in bodies
        ]
        self.store.put(sync_id, rows)

    def _start(self, sync_id: str) -> None:
        if (run := self._runs.get(sync_id)) is None or run.done():
            self._runs[sync_id] = asyncio.create_task(self._run(sync_id))

    async def _stop(self, sync_id: str) -> None:
        run = self._runs.pop(sync_id, None)
        if run is not None:
            run.cancel()
            await asyncio.wait([run])

    async def _run(self, sync_id: str) -> None:
        """Bring the feed up to its source, then rest."""
        row = self.store.sync(sync_id)
        if row is None or row["status"] == "DISABLED":
            return
        try:
            await self._read_source(row)
        except OSError as error:
            self.store.change_sync(sync_id, status="ERRORED", reason=str(error), updated=now())
            return
        self.store.change_sync(sync_id, status=STEPS[-1], reason=None, synced=now(), updated=now())

    async def _read_source(self, row: sqlite3.Row) -> None:
        if self.root is None or row["pipeline"] != "files":
            return
        if not self.root.is_dir():
            raise FileNotFoundError("The folder of this account is gone")
        below = await asyncio.to_thread(self._below, row)
        found = await asyncio.to_thread(folder.scan, self.root, row["id"], below, self._skip)
        self._apply(row["id"], found)

    def _below(self, row: sqlite3.Row) -> str:
        wanted = json.loads(row["configuration"]).get("folderId")
        if not wanted or self.root is None:
            return ""
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root).as_posix()
            if path.is_dir() and ids.external_id(relative) == wanted:
                return relative
        return ""

    def _apply(self, sync_id: str, found: list[Row]) -> None:
        """Put what is new or other, and tombstones for what is gone."""
        known = {row["id"]: row for row in self.store.records(sync_id) if row["path"]}
        changed = [r for r in found if r.id not in known or known[r.id]["body"] != r.body]
        present = {row.id for row in found}
        gone = [_tombstone(row) for record, row in known.items() if record not in present]
        self.store.put(sync_id, [*changed, *gone])


def _tombstone(row: sqlite3.Row) -> Row:
    body = {"id": row["id"], "externalId": row["external"], "deleted": True}
    return Row(
        id=row["id"],
        body=json.dumps(body, separators=(",", ":")),
        external=row["external"],
        parent=row["parent"],
        deleted=True,
    )
