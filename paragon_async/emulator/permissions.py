"""The endpoints that ask the permission graph. Source: api.md 7.

Policies where the service is silent: a batch of more than 50 checks is refused; one check of a batch
that makes no sense refuses the batch; answers keep the order of the checks.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from paragon_async.emulator import asking
from paragon_async.emulator.asking import USER
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.graph import ROLES, bare_object
from paragon_async.emulator.world import World

_CAP = 1000
_BATCH = 50
_KINDS = ("file", "folder")


class PermissionHandlers:
    """One method an endpoint. The user is whom the token names."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths."""
        permission = "/api/permissions/{sync}"
        return [
            web.post(f"{permission}/check", self.check),
            web.post(f"{permission}/batch-check", self.batch_check),
            web.post(f"{permission}/list-users", self.list_users),
            web.post(f"{permission}/list-objects", self.list_objects),
            web.post(f"{permission}/streamed-list-objects", self.stream_objects),
            web.post(f"{permission}/expand", self.expand),
        ]

    async def check(self, request: web.Request) -> web.Response:
        """Answer one check."""
        row, body = await self._asked(request)
        return web.json_response({"hasAccess": self._allowed(row, body)})

    async def batch_check(self, request: web.Request) -> web.Response:
        """Answer many checks; the object comes back with its type, as it really does."""
        row, body = await self._asked(request)
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
        row, body = await self._asked(request)
        thing, role = asking.text(body, "object"), asking.role(body)
        found = self._world.graph.users(row["id"], thing, role)
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
        row, body = await self._asked(request)
        relation = asking.role({"relation": ROLES[0]} | body, "relation")
        root = self._world.graph.expand(row["id"], asking.text(body, "object"), relation)
        return web.json_response({"tree": {"root": root}})

    async def _asked(self, request: web.Request) -> tuple[sqlite3.Row, dict[str, Any]]:
        row = self._world.owned(request[USER], request.match_info["sync"])
        return row, await asking.body_of(request)

    def _allowed(self, row: sqlite3.Row, check: dict[str, Any]) -> bool:
        thing, user = asking.text(check, "object"), asking.text(check, "user")
        return self._world.graph.allowed(row["id"], thing, user, asking.role(check))

    async def _objects(self, request: web.Request) -> list[str]:
        row, body = await self._asked(request)
        user, kind = asking.text(body, "user"), asking.choice(body, "objectType", _KINDS)
        return self._world.graph.objects(row["id"], user, asking.role(body), kind)
