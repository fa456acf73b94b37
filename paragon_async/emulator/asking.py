"""The six endpoints of permissions. Source: api.md 7.

Policies where the service is silent: more checks than the limit, or a check without object, user or
role, refuse the whole batch with 400; an unknown object or user is not allowed, without an error;
results stand in the order of the checks, and their objects have a type, as seen in the wild. The two
lists are cut at 1000 without a word; the stream is whole.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

from aiohttp import web

from paragon_async.emulator.bodies import choice, optional_text, read_body, text
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.expand import expand
from paragon_async.emulator.grants import ROLES
from paragon_async.emulator.graph import Graph, Sync, bare_object
from paragon_async.emulator.wreck import send

_CAP = 1000
_LINES = 500


class Asking:
    """One method an endpoint; *owned* returns the sync a request may ask about, or refuses."""

    def __init__(
        self, graph: Graph, owned: Callable[[web.Request], Sync], *, batch_limit: int = 50
    ) -> None:
        self._graph = graph
        self._owned = owned
        self._batch_limit = batch_limit

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths."""
        base = "/api/permissions/{sync}"
        return [
            web.post(f"{base}/check", self.check),
            web.post(f"{base}/batch-check", self.batch_check),
            web.post(f"{base}/list-users", self.list_users),
            web.post(f"{base}/list-objects", self.list_objects),
            web.post(f"{base}/streamed-list-objects", self.stream_objects),
            web.post(f"{base}/expand", self.expand),
        ]

    async def check(self, request: web.Request) -> web.Response:
        """Answer one check."""
        sync, body = self._owned(request), await read_body(request)
        asked = _asked(body)
        found = self._graph.allowed(sync, asked["object"], asked["user"], asked["role"])
        return web.json_response({"hasAccess": found})

    async def batch_check(self, request: web.Request) -> web.Response:
        """Answer many checks."""
        sync, body = self._owned(request), await read_body(request)
        result = [self._verdict(sync, asked) for asked in self._batch(body)]
        return web.json_response({"result": result})

    async def list_users(self, request: web.Request) -> web.Response:
        """List who has a role, silently cut."""
        sync, body = self._owned(request), await read_body(request)
        found = self._graph.users(sync, text(body, "object"), choice(body, "role", ROLES))
        return web.json_response({"users": found[:_CAP]})

    async def list_objects(self, request: web.Request) -> web.Response:
        """List what a user has a role on, silently cut."""
        found = self._objects(self._owned(request), await read_body(request))
        return web.json_response({"objects": list(islice(found, _CAP))})

    async def stream_objects(self, request: web.Request) -> web.StreamResponse:
        """List the same as lines, whole, a few hundred at a time."""
        found = self._objects(self._owned(request), await read_body(request))
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        return await send(request, answer, _lines(found), None)

    async def expand(self, request: web.Request) -> web.Response:
        """Show one level of the graph."""
        sync, body = self._owned(request), await read_body(request)
        relation = optional_text(body, "relation") or ROLES[0]
        root = expand(self._graph, sync, text(body, "object"), relation)
        return web.json_response({"tree": {"root": root}})

    def _batch(self, body: dict[str, Any]) -> list[dict[str, str]]:
        checks = body.get("checks")
        if not isinstance(checks, list):
            raise Refusal(400, "checks is needed: send an array of {object, user, role}")
        if len(checks) > self._batch_limit:
            raise Refusal(400, f"checks holds {len(checks)}: send at most {self._batch_limit}")
        return [_numbered(number, check) for number, check in enumerate(checks)]

    def _verdict(self, sync: Sync, asked: dict[str, str]) -> dict[str, Any]:
        row = self._graph.record(sync, asked["object"])
        kind = "folder" if row is not None and row["kind"] == "folder" else "file"
        allowed = self._graph.allowed(sync, asked["object"], asked["user"], asked["role"])
        echoed = asked | {"object": f"{kind}:{bare_object(asked['object'])}"}
        return {"allowed": allowed, "request": echoed}

    def _objects(self, sync: Sync, body: dict[str, Any]) -> Iterator[str]:
        kind = choice(body, "objectType", ("file", "folder"))
        user, role = text(body, "user"), choice(body, "role", ROLES)
        return self._graph.objects(sync, user, role, kind)


async def _lines(found: Iterator[str]) -> AsyncIterator[bytes]:
    while lines := [json.dumps({"object": one}) + "\n" for one in islice(found, _LINES)]:
        yield "".join(lines).encode()


def _asked(body: dict[str, Any]) -> dict[str, str]:
    return {
        "object": text(body, "object"),
        "user": text(body, "user"),
        "role": choice(body, "role", ROLES),
    }


def _numbered(number: int, check: object) -> dict[str, str]:
    if not isinstance(check, dict):
        raise Refusal(400, f"checks[{number}] must be an object with object, user and role")
    try:
        return _asked(check)
    except Refusal as error:
        raise Refusal(error.status, f"checks[{number}]: {error.message}") from None
