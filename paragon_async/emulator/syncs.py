"""The endpoints that make and steer syncs. Source: api.md 1.2 to 1.6.

Policies where the service is silent: enabling accepts a frequency too; names of integrations are
free, pipelines are the six that are documented; `lastSyncedAt` is null until a poll has seen the
first run end.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from paragon_async.emulator import asking
from paragon_async.emulator.asking import USER
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.world import World

PIPELINES = ("files", "contacts", "companies", "deals", "custom_objects", "tickets")
_KEYS = ("credentialId", "incrementalAccumulatorFrequency")


class SyncHandlers:
    """One method an endpoint. The user is whom the token names."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths."""
        return [
            web.post("/api/syncs", self.enable),
            web.get("/api/syncs", self.list_syncs, allow_head=False),
            web.get("/api/syncs/{sync}", self.status, allow_head=False),
            web.patch("/api/syncs/{sync}", self.update),
            web.delete("/api/syncs/{sync}", self.delete),
            web.post("/api/syncs/{sync}/disable", self.disable),
            web.post("/api/syncs/{sync}/reenable", self.reenable),
        ]

    async def enable(self, request: web.Request) -> web.Response:
        """Create and start a sync."""
        body = await asking.body_of(request)
        named = {"configurationName": "default"} | {k: v for k, v in body.items() if v is not None}
        wanted = {
            "integration": asking.text(body, "integration"),
            "pipeline": asking.choice(body, "pipeline", PIPELINES),
            "configuration": named.get("configuration", {}),
            "configurationName": asking.text(named, "configurationName"),
            "credentialId": asking.credential(body),
            "frequency": asking.frequency(body),
        }
        if not isinstance(wanted["configuration"], dict):
            raise Refusal(400, "configuration must be an object")
        row = self._world.enable(request[USER], wanted)
        described = {
            "id": row["id"],
            "userId": row["user"],
            "integration": row["integration"],
            "pipeline": row["pipeline"],
            "projectId": self._world.project_id,
            "status": self._world.shown(row),
        }
        return web.json_response(described)

    async def list_syncs(self, request: web.Request) -> web.Response:
        """List the user's syncs."""
        credential = request.query.get("credentialId")
        rows = self._world.store.syncs(request[USER])
        data = [self._listed(row) for row in rows if credential in {None, row["credential"]}]
        return web.json_response({"data": data})

    async def status(self, request: web.Request) -> web.Response:
        """Report the state of a sync."""
        row = self._sync(request)
        known, active = self._world.store.totals(row["id"])
        latest = self._world.cursors.make(row["id"], row["generation"], row["sequence"])
        summary = {
            "totalRecords": known,
            "syncedRecordsCount": active,
            "lastSyncedAt": self._world.synced(row),
            "latestCursor": latest if row["sequence"] else None,
        }
        answer: dict[str, Any] = {"status": self._world.poll(row), "summary": summary}
        conditional = dict(zip((*_KEYS, "reason"), _conditional(row), strict=True))
        answer |= {key: value for key, value in conditional.items() if value}
        return web.json_response(answer)

    async def update(self, request: web.Request) -> web.Response:
        """Change credential or frequency."""
        row = self._sync(request)
        body = await asking.body_of(request)
        given = zip(_KEYS, (asking.credential(body), asking.frequency(body)), strict=True)
        changes = {key: value for key, value in given if value is not None}
        if not changes:
            raise Refusal(400, f"one of {' and '.join(_KEYS)} is needed")
        self._world.update(row, changes.get(_KEYS[0]), changes.get(_KEYS[1]))
        message = "The update was accepted and is being processed"
        return web.json_response({"id": row["id"], "data": changes, "message": message})

    async def disable(self, request: web.Request) -> web.Response:
        """Pause a sync."""
        row = self._sync(request)
        await self._world.disable(row)
        return web.json_response({"id": row["id"], "status": "DISABLED"})

    async def reenable(self, request: web.Request) -> web.Response:
        """Resume a sync."""
        row = self._world.reenable(self._sync(request))
        return web.json_response({"id": row["id"], "status": self._world.shown(row)})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a sync."""
        row = self._sync(request)
        await self._world.delete(row)
        return web.json_response({"id": row["id"]})

    def _sync(self, request: web.Request) -> sqlite3.Row:
        return self._world.owned(request[USER], request.match_info["sync"])

    def _listed(self, row: sqlite3.Row) -> dict[str, Any]:
        shown = {
            "id": row["id"],
            "integration": row["integration"],
            "pipeline": row["pipeline"],
            "status": self._world.shown(row),
            "configurationName": row["name"],
            "dateCreated": row["created"],
            "dateUpdated": row["updated"],
        }
        return shown | ({"credentialId": row["credential"]} if row["credential"] else {})


def _conditional(row: sqlite3.Row) -> tuple[str | None, str | None, str | None]:
    return row["credential"], row["frequency"], row["reason"]
