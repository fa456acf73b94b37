"""The endpoints of syncs and records over a `World`. Source: api.md 1.

Policies where the service is silent: pages hold 100 records unless asked, 1000 at the most, more is
refused; a caught-up page repeats the cursor it was asked with; `lastSeen` is in milliseconds; a
PATCH answers 200; POST takes `incrementalAccumulatorFrequency` as PATCH does.
"""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from typing import Any

from aiohttp import web

from paragon_async.emulator import catalogue, content
from paragon_async.emulator.bodies import optional_text, read_body, text
from paragon_async.emulator.contents import Contents
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.world import World

USER = web.RequestKey("user", str)
_PAGE = 100
_FREQUENCY = "incrementalAccumulatorFrequency"


class Handlers:
    """One method an endpoint. The user is whom the token names."""

    def __init__(
        self, world: World, contents: Contents, *, largest_page: int, ranges: bool
    ) -> None:
        self._world = world
        self._contents = contents
        self._largest_page = largest_page
        self._ranges = ranges

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths of syncs and records."""
        sync, record = "/api/syncs/{sync}", "/api/syncs/{sync}/records/{record}"
        return [
            web.post("/api/syncs", self.enable),
            web.get("/api/syncs", self.list_syncs, allow_head=False),
            web.get(sync, self.status, allow_head=False),
            web.patch(sync, self.update),
            web.delete(sync, self.delete),
            web.post(f"{sync}/disable", self.disable),
            web.post(f"{sync}/reenable", self.reenable),
            web.get(f"{sync}/records", self.records, allow_head=False),
            web.get(record, self.record, allow_head=False),
            web.get(f"{record}/content", self.content, allow_head=False),
        ]

    async def enable(self, request: web.Request) -> web.Response:
        """Create and start a sync."""
        body = await read_body(request)
        wanted: dict[str, Any] = {
            "integration": text(body, "integration"),
            "pipeline": text(body, "pipeline"),
            "configuration": body.get("configuration") or {},
            "configurationName": optional_text(body, "configurationName") or "default",
            "credentialId": _credential(body),
            "frequency": _frequency(body),
        }
        if not isinstance(wanted["configuration"], dict):
            raise Refusal(400, "configuration must be an object")
        catalogue.check(wanted["integration"], wanted["pipeline"], wanted["configuration"])
        row = self._world.enable(request[USER], wanted)
        described = {
            "id": row["id"],
            "userId": row["user"],
            "integration": row["integration"],
            "pipeline": row["pipeline"],
            "projectId": self._world.project_id,
            "status": row["status"],
        }
        return web.json_response(described)

    async def list_syncs(self, request: web.Request) -> web.Response:
        """List the user's syncs."""
        credential = request.query.get("credentialId")
        rows = self._world.syncs.all(request[USER])
        data = [listed(row) for row in rows if credential in {None, row["credential"]}]
        return web.json_response({"data": data})

    async def status(self, request: web.Request) -> web.Response:
        """Report the state of a sync, and note that it was asked for."""
        row = self.sync(request)
        self._world.life.poll(row["id"])
        return web.json_response(status_of(self._world, row))

    async def update(self, request: web.Request) -> web.Response:
        """Change credential or frequency."""
        row = self.sync(request)
        body = await read_body(request)
        changes = {"credentialId": _credential(body), _FREQUENCY: _frequency(body)}
        given = {key: value for key, value in changes.items() if value is not None}
        if not given:
            raise Refusal(400, f"one of {' and '.join(changes)} is needed")
        self._world.update(row, changes["credentialId"], changes[_FREQUENCY])
        message = "The update was accepted and is being processed"
        return web.json_response({"id": row["id"], "data": given, "message": message})

    async def disable(self, request: web.Request) -> web.Response:
        """Pause a sync."""
        row = self.sync(request)
        self._world.disable(row)
        return self._brief(row["id"])

    async def reenable(self, request: web.Request) -> web.Response:
        """Resume a sync."""
        row = self.sync(request)
        self._world.reenable(row)
        return self._brief(row["id"])

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a sync."""
        row = self.sync(request)
        self._world.delete(row)
        return web.json_response({"id": row["id"]})

    async def records(self, request: web.Request) -> web.Response:
        """Serve a page: bodies are joined as they lie in the store."""
        row = self.sync(request)
        size = self._page_size(request)
        cursor = request.query.get("cursor") or None
        cursors, feed = self._world.cursors, self._world.feed
        after = cursors.read(row["id"], row["generation"], cursor) if cursor else 0
        page = feed.page(row["id"], after, size)
        last = page[-1]["place"] if page else after
        known, active = feed.totals(row["id"])
        paging = {
            "totalRecords": known,
            "totalActiveRecords": active,
            "remainingRecords": feed.behind(row["id"], last),
            "cursor": cursors.make(row["id"], row["generation"], last) if page else cursor,
            "lastSeen": page[-1]["seen"] if page else None,
        }
        bodies = ",".join([entry["body"] for entry in page])
        answer = f'{{"data":[{bodies}],"paging":{json.dumps(paging)}}}'
        return web.Response(body=answer.encode(), content_type="application/json")

    async def record(self, request: web.Request) -> web.Response:
        """Serve one record in its envelope."""
        found = self._record(request, self.sync(request))
        answer = f'{{"data":{found["body"]}}}'
        return web.Response(body=answer.encode(), content_type="application/json")

    async def content(self, request: web.Request) -> web.StreamResponse:
        """Stream a file's content."""
        sync = self.sync(request)
        source = await self._contents.of(sync, self._record(request, sync))
        return await content.serve(request, source, ranges=self._ranges)

    async def elsewhere(self, request: web.Request, path: str, user: str) -> web.StreamResponse:
        """Stream a content at another origin, where a redirect sent the caller."""
        found = re.fullmatch("/api/syncs/([^/]+)/records/([^/]+)/content", path)
        if found is None:
            raise Refusal(404, "Only contents are served here")
        sync = self._world.owned(user, found[1])
        source = await self._contents.of(sync, self._living(sync, found[2]))
        return await content.serve(request, source, ranges=self._ranges)

    def sync(self, request: web.Request) -> sqlite3.Row:
        """Return the sync that a path names, if it is the caller's."""
        return self._world.owned(request[USER], request.match_info["sync"])

    def _record(self, request: web.Request, sync: sqlite3.Row) -> sqlite3.Row:
        return self._living(sync, request.match_info["record"])

    def _living(self, sync: sqlite3.Row, record: str) -> sqlite3.Row:
        found = self._world.feed.get(sync["id"], record)
        if found is None or found["deleted"]:
            raise Refusal(404, "Record not found")
        return found

    def _brief(self, sync_id: str) -> web.Response:
        return web.json_response({"id": sync_id, "status": self._world.known(sync_id)["status"]})

    def _page_size(self, request: web.Request) -> int:
        given = request.query.get("pageSize", str(min(_PAGE, self._largest_page)))
        is_number = given.isascii() and given.isdigit() and len(given) < 10  # noqa: PLR2004  # digits enough
        if not is_number or not 0 < int(given) <= self._largest_page:
            raise Refusal(400, f"pageSize must be a number from 1 to {self._largest_page}")
        return int(given)


def status_of(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """Return the state of a sync in the documented form, its conditional fields where they belong."""
    known, active = world.feed.totals(row["id"])
    last = world.feed.last(row["id"])
    latest = world.cursors.make(row["id"], row["generation"], last) if last else None
    summary = {
        "totalRecords": known,
        "syncedRecordsCount": active,
        "lastSyncedAt": row["synced"],
        "latestCursor": latest,
    }
    answer: dict[str, Any] = {"status": row["status"], "summary": summary}
    if row["credential"]:
        answer["credentialId"] = row["credential"]
    if row["status"] == "ERRORED":
        answer["reason"] = row["reason"]
    if row["status"] == "RATE_LIMITED":
        left = max(0.0, row["backoff"] - world.clock.now())
        answer["rateLimitBackoffMs"] = int(left * 1000)
    if row["frequency"]:
        answer[_FREQUENCY] = row["frequency"]
    return answer


def listed(row: sqlite3.Row) -> dict[str, Any]:
    """Return a sync as the list shows it."""
    shown = {
        "id": row["id"],
        "integration": row["integration"],
        "pipeline": row["pipeline"],
        "status": row["status"],
        "configurationName": row["name"],
        "dateCreated": row["created"],
        "dateUpdated": row["updated"],
    }
    return shown | ({"credentialId": row["credential"]} if row["credential"] else {})


def _credential(body: dict[str, Any]) -> str | None:
    given = optional_text(body, "credentialId")
    if given is None:
        return None
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise Refusal(400, "credentialId must be a UUID") from None


def _frequency(body: dict[str, Any]) -> str | None:
    given = optional_text(body, _FREQUENCY)
    if given is not None and given not in catalogue.FREQUENCIES:
        raise Refusal(400, f"{_FREQUENCY} must be one of {', '.join(catalogue.FREQUENCIES)}")
    return given
