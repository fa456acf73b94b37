"""The sixteen endpoints over a `World`. Source: api.md 1.

Policies where the service is silent: pages hold 100 records unless asked, 1000 at the most, more is
refused; the content of a folder is refused with 400; a batch of more than 50 checks is refused; a
caught-up page repeats the cursor it was asked with.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from aiohttp import web

from paragon_async.emulator import content, folder
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.graph import ROLES, bare_object
from paragon_async.emulator.world import World

USER = web.RequestKey("user", str)
FREQUENCIES = ("1m", "5m", "10m", "30m", "1h", "3h", "6h", "24h")
_PAGE = 100
_CAP = 1000
_BATCH = 50


class Handlers:
    """One method an endpoint. The user is whom the token names."""

    def __init__(self, world: World, *, largest_page: int, ranges: bool) -> None:
        self._world = world
        self._largest_page = largest_page
        self._ranges = ranges

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths."""
        sync, record = "/api/syncs/{sync}", "/api/syncs/{sync}/records/{record}"
        permission = "/api/permissions/{sync}"
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
            web.post(f"{permission}/check", self.check),
            web.post(f"{permission}/batch-check", self.batch_check),
            web.post(f"{permission}/list-users", self.list_users),
            web.post(f"{permission}/list-objects", self.list_objects),
            web.post(f"{permission}/streamed-list-objects", self.stream_objects),
            web.post(f"{permission}/expand", self.expand),
        ]

    async def enable(self, request: web.Request) -> web.Response:
        """Create and start a sync."""
        body = await _body(request)
        wanted = {
            "integration": _text(body, "integration"),
            "pipeline": _text(body, "pipeline"),
            "configuration": body.get("configuration") or {},
            "configurationName": body.get("configurationName") or "default",
            "credentialId": body.get("credentialId"),
        }
        if not isinstance(wanted["configuration"], dict):
            raise Refusal(400, "configuration must be an object")
        if not isinstance(wanted["configurationName"], str):
            raise Refusal(400, "configurationName must be a string")
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
        rows = self._world.store.syncs(request[USER])
        data = [_listed(row) for row in rows if credential in {None, row["credential"]}]
        return web.json_response({"data": data})

    async def status(self, request: web.Request) -> web.Response:
        """Report the state of a sync."""
        row = self._sync(request)
        shown = self._world.poll(row)
        known, active = self._world.store.totals(row["id"])
        idle = shown == "IDLE"
        latest = self._world.cursors.make(row["id"], row["generation"], row["sequence"])
        summary = {
            "totalRecords": known,
            "syncedRecordsCount": active,
            "lastSyncedAt": row["synced"] if idle else None,
            "latestCursor": latest if row["sequence"] else None,
        }
        answer: dict[str, Any] = {"status": shown, "summary": summary}
        if row["credential"]:
            answer["credentialId"] = row["credential"]
        if row["reason"]:
            answer["reason"] = row["reason"]
        if row["frequency"]:
            answer["incrementalAccumulatorFrequency"] = row["frequency"]
        return web.json_response(answer)

    async def update(self, request: web.Request) -> web.Response:
        """Change credential or frequency."""
        row = self._sync(request)
        body = await _body(request)
        keys = ("credentialId", "incrementalAccumulatorFrequency")
        given = {key: body[key] for key in keys if body.get(key) is not None}
        if not given:
            raise Refusal(400, f"one of {' and '.join(keys)} is needed")
        frequency = given.get(keys[1])
        if frequency is not None and frequency not in FREQUENCIES:
            raise Refusal(400, f"{keys[1]} must be one of {', '.join(FREQUENCIES)}")
        self._world.update(row, given.get(keys[0]), frequency)
        message = "The update was accepted and is being processed"
        return web.json_response({"id": row["id"], "data": given, "message": message})

    async def disable(self, request: web.Request) -> web.Response:
        """Pause a sync."""
        row = self._sync(request)
        self._world.disable(row)
        return web.json_response({"id": row["id"], "status": "DISABLED"})

    async def reenable(self, request: web.Request) -> web.Response:
        """Resume a sync."""
        row = self._sync(request)
        self._world.reenable(row)
        return web.json_response({"id": row["id"], "status": "ACTIVE"})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a sync."""
        row = self._sync(request)
        await self._world.delete(row)
        return web.json_response({"id": row["id"]})

    async def records(self, request: web.Request) -> web.Response:
        """Serve a page: bodies are joined as they lie in the store."""
        row = self._sync(request)
        size = self._page_size(request)
        cursor = request.query.get("cursor") or None
        cursors, store = self._world.cursors, self._world.store
        after = cursors.read(row["id"], row["generation"], cursor) if cursor else 0
        page = store.page(row["id"], after, size)
        last = page[-1]["sequence"] if page else after
        known, active = store.totals(row["id"])
        paging = {
            "totalRecords": known,
            "totalActiveRecords": active,
            "remainingRecords": store.behind(row["id"], last),
            "cursor": cursors.make(row["id"], row["generation"], last) if page else cursor,
            "lastSeen": page[-1]["seen"] if page else None,
        }
        bodies = ",".join([entry["body"] for entry in page])
        text = f'{{"data":[{bodies}],"paging":{json.dumps(paging)}}}'
        return web.Response(body=text.encode(), content_type="application/json")

    async def record(self, request: web.Request) -> web.Response:
        """Serve one record in its envelope."""
        found = self._record(request)
        text = f'{{"data":{found["body"]}}}'
        return web.Response(body=text.encode(), content_type="application/json")

    async def content(self, request: web.Request) -> web.StreamResponse:
        """Stream a file's content."""
        found = self._record(request)
        body = json.loads(found["body"])
        if body.get("mimeType") == folder.FOLDER_TYPE:
            raise Refusal(400, "A folder has no content")
        root = self._world.root
        path = folder.locate(root, found["path"]) if root and found["path"] else None
        if path is None:
            raise Refusal(404, "Record has no content")
        return await content.serve(request, path, body["mimeType"], ranges=self._ranges)

    async def check(self, request: web.Request) -> web.Response:
        """Answer one check."""
        row, body = self._sync(request), await _body(request)
        return web.json_response({"hasAccess": self._allowed(row, body)})

    async def batch_check(self, request: web.Request) -> web.Response:
        """Answer many checks; the object comes back with its type, as it really does."""
        row, body = self._sync(request), await _body(request)
        checks = body.get("checks")
        if not isinstance(checks, list) or not all(isinstance(c, dict) for c in checks):
            raise Refusal(400, "checks must be an array of objects")
        if len(checks) > _BATCH:
            raise Refusal(400, f"at most {_BATCH} checks are answered at once")
        result = [
            {
                "allowed": self._allowed(row, check),
                "request": {**check, "object": f"file:{bare_object(check['object'])}"},
            }
            for check in checks
        ]
        return web.json_response({"result": result})

    async def list_users(self, request: web.Request) -> web.Response:
        """List who has a role, silently cut."""
        row, body = self._sync(request), await _body(request)
        found = self._world.graph.users(row["id"], _text(body, "object"), _role(body))
        return web.json_response({"users": found[:_CAP]})

    async def list_objects(self, request: web.Request) -> web.Response:
        """List what a user has a role on, silently cut."""
        found = await self._objects(request)
        return web.json_response({"objects": found[:_CAP]})

    async def stream_objects(self, request: web.Request) -> web.Response:
        """List the same as lines, whole."""
        found = await self._objects(request)
        lines = "".join(f'{{"object":"{one}"}}\n' for one in found)
        return web.Response(body=lines.encode(), content_type="application/x-ndjson")

    async def expand(self, request: web.Request) -> web.Response:
        """Show one level of the graph."""
        row, body = self._sync(request), await _body(request)
        relation = _role(body, body.get("relation") or ROLES[0])
        root = self._world.graph.expand(row["id"], _text(body, "object"), relation)
        return web.json_response({"tree": {"root": root}})

    def _sync(self, request: web.Request) -> sqlite3.Row:
        return self._world.owned(request[USER], request.match_info["sync"])

    def _record(self, request: web.Request) -> sqlite3.Row:
        row = self._sync(request)
        found = self._world.store.record(row["id"], request.match_info["record"])
        if found is None or found["deleted"]:
            raise Refusal(404, "Record not found")
        return found

    def _page_size(self, request: web.Request) -> int:
        text = request.query.get("pageSize", str(min(_PAGE, self._largest_page)))
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= self._largest_page:
            raise Refusal(400, f"pageSize must be a number from 1 to {self._largest_page}")
        return int(text)

    def _allowed(self, row: sqlite3.Row, check: dict[str, Any]) -> bool:
        wanted, user = _text(check, "object"), _text(check, "user")
        return self._world.graph.allowed(row["id"], wanted, user, _role(check))

    async def _objects(self, request: web.Request) -> list[str]:
        row, body = self._sync(request), await _body(request)
        user, kind = _text(body, "user"), _text(body, "objectType")
        return self._world.graph.objects(row["id"], user, _role(body), kind)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body


def _text(body: dict[str, Any], key: str) -> str:
    found = body.get(key)
    if not isinstance(found, str) or not found:
        raise Refusal(400, f"{key} must be a string")
    return found


def _role(body: dict[str, Any], given: object = None) -> str:
    role = given or body.get("role")
    if role not in ROLES:
        raise Refusal(400, f"role must be one of {', '.join(ROLES)}")
    return str(role)


def _listed(row: sqlite3.Row) -> dict[str, Any]:
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
