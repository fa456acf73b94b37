"""Everything that is not production, under `/_emulator/`: the state of the world, seen and changed.

It needs no token, for it is reached from this machine only (guard.py). Every answer is JSON; what
is refused has a `message` that names the mend. The description is at `/_emulator/openapi.json`.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from aiohttp import web

from paragon_async.emulator import catalogue, snapshot
from paragon_async.emulator.bodies import optional_text, read_body, text
from paragon_async.emulator.errors import EmulatorError, Refusal
from paragon_async.emulator.faults import Fault, Faults
from paragon_async.emulator.handlers import listed, status_of
from paragon_async.emulator.life import STATUSES
from paragon_async.emulator.pace import parse_pace
from paragon_async.emulator.values import done, identity, number, objects, texts
from paragon_async.emulator.world import World

_LARGEST = 256 << 20
_YEARS = 100 * 366 * 86400.0


class Admin:
    """One method a route."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Return the paths below `/_emulator/`."""
        at = "/_emulator"
        return [
            web.get(f"{at}/health", self.health, allow_head=False),
            web.get(f"{at}/openapi.json", self.description, allow_head=False),
            web.post(f"{at}/reset", self.reset),
            web.post(f"{at}/refresh", self.refresh),
            web.get(f"{at}/state", self.export, allow_head=False),
            web.put(f"{at}/state", self.restore),
            web.get(f"{at}/syncs", self.list_syncs, allow_head=False),
            web.patch(f"{at}/syncs/{{sync}}", self.move_sync),
            web.post(f"{at}/syncs/{{sync}}/run", self.run_sync),
            web.put(f"{at}/pace", self.set_pace),
            web.get(f"{at}/records", self.list_records, allow_head=False),
            web.post(f"{at}/records", self.put_records),
            web.delete(f"{at}/records", self.delete_records),
            web.get(f"{at}/clock", self.clock, allow_head=False),
            web.put(f"{at}/clock", self.set_clock),
            web.get(f"{at}/faults", self.list_faults, allow_head=False),
            web.post(f"{at}/faults", self.add_fault),
            web.delete(f"{at}/faults", self.clear_faults),
            web.delete(f"{at}/faults/{{fault}}", self.remove_fault),
            web.get(f"{at}/requests", self.requests, allow_head=False),
            web.delete(f"{at}/requests", self.forget_requests),
        ]

    async def health(self, _: web.Request) -> web.Response:
        """Tell that it lives."""
        found = {"version": version("paragon-async"), "projectId": self._world.project_id}
        shown = {"status": "ok", **found}
        return web.json_response(shown)

    async def description(self, _: web.Request) -> web.Response:
        """Describe the whole API, production and not."""
        from paragon_async.emulator.openapi import describe  # noqa: PLC0415  # seldom asked for

        return web.json_response(describe())

    async def reset(self, _: web.Request) -> web.Response:
        """Forget syncs, records, calls, deliveries, faults and tuples; keep folders and accounts."""
        self._faults.clear()
        await self._world.deliverer.aclose()
        snapshot.reset(self._world)
        self._world.deliverer.start()
        return done()

    async def refresh(self, _: web.Request) -> web.Response:
        """Look at every folder now, and answer when the feeds show it."""
        await self._world.refresh()
        return done()

    async def export(self, _: web.Request) -> web.Response:
        """Return the whole state."""
        return web.json_response(snapshot.export(self._world))

    async def restore(self, request: web.Request) -> web.Response:
        """Put a state in the place of this one."""
        body = await read_body(request.clone(client_max_size=_LARGEST), _LARGEST)
        await self._world.deliverer.aclose()
        try:
            snapshot.restore(self._world, body)
        finally:
            self._world.deliverer.start()
        return done()

    async def list_syncs(self, _: web.Request) -> web.Response:
        """List the syncs of all users."""
        rows = self._world.syncs.all()
        data = [
            {**listed(row), "userId": row["user"], **status_of(self._world, row)} for row in rows
        ]
        return web.json_response({"data": data})

    async def move_sync(self, request: web.Request) -> web.Response:
        """Put a sync into a state."""
        sync = self._world.known(request.match_info["sync"])
        body = await read_body(request)
        status = text(body, "status")
        if status not in STATUSES:
            raise Refusal(400, f"status must be one of {', '.join(STATUSES)}")
        reason = optional_text(body, "reason") or "Suspended by the admin API"
        wait = number(body, "rateLimitBackoffMs", 30_000, lowest=0, highest=_YEARS * 1000)
        self._world.life.move(sync, status, reason=reason, wait=wait / 1000)
        if status == "IDLE":
            await self._world.life.settle()
        return self._shown(sync["id"])

    async def run_sync(self, request: web.Request) -> web.Response:
        """Run a sync now: `incremental`, or `full`."""
        sync = self._world.known(request.match_info["sync"])
        kind = text(await read_body(request), "type")
        if kind not in {"incremental", "full"}:
            raise Refusal(400, "type must be incremental or full")
        if sync["status"] != "IDLE":
            raise Refusal(409, f"only a sync that is IDLE can be run, this one is {sync['status']}")
        await self._world.life.run_now(sync, is_full=kind == "full")
        return self._shown(sync["id"])

    async def set_pace(self, request: web.Request) -> web.Response:
        """Change how fast syncs go through their states."""
        try:
            pace = parse_pace(text(await read_body(request), "pace"))
        except EmulatorError as error:
            raise Refusal(400, str(error)) from None
        self._world.life.set_pace(pace)
        return web.json_response({"pace": str(pace)})

    async def list_records(self, request: web.Request) -> web.Response:
        """Return a sync's records as its feed shows them, tombstones too."""
        sync = self._world.known(request.query.get("sync", ""))
        after = int(number(dict(request.query), "after", 0, lowest=0))
        limit = number(dict(request.query), "limit", 100, lowest=1, highest=1000)
        page = self._world.feed.page(sync["id"], after, int(limit))
        data = [json.loads(entry["body"]) for entry in page]
        return web.json_response({"data": data, "after": page[-1]["place"] if page else after})

    async def put_records(self, request: web.Request) -> web.Response:
        """Write records into one sync, or into an account from which syncs read them."""
        body = await read_body(request.clone(client_max_size=_LARGEST), _LARGEST)
        bodies = objects(body, "records")
        if "sync" in body:
            _need(bodies, "id")
            return web.json_response({"changed": self._world.put(text(body, "sync"), *bodies)})
        for one in bodies:
            if not isinstance(one.get("externalId") or one.get("id"), str):
                raise Refusal(400, "every record needs an externalId")
        count = self._world.load(_pipeline(body), bodies, optional_text(body, "user") or "")
        return web.json_response({"changed": count})

    async def delete_records(self, request: web.Request) -> web.Response:
        """Delete records from one sync, or from an account."""
        body = await read_body(request)
        if "sync" in body:
            gone = [{"id": one, "deleted": True} for one in texts(body, "ids")]
            return web.json_response({"changed": self._world.put(text(body, "sync"), *gone)})
        user = optional_text(body, "user") or ""
        count = self._world.unload(_pipeline(body), texts(body, "externalIds"), user)
        return web.json_response({"changed": count})

    async def clock(self, _: web.Request) -> web.Response:
        """Show the time."""
        clock = self._world.clock
        shown = {"now": clock.iso(), "seconds": clock.now(), "frozen": clock.is_frozen}
        return web.json_response(shown)

    async def set_clock(self, request: web.Request) -> web.Response:
        """Freeze the clock or let it run, set it, advance it: in this order."""
        body = await read_body(request)
        clock, frozen = self._world.clock, body.get("frozen")
        if not isinstance(frozen, bool | None) or not {"frozen", "seconds", "advance"} & set(body):
            raise Refusal(400, "frozen (true or false), seconds or advance is needed")
        ahead = number(body, "advance", 0, lowest=0, highest=_YEARS)
        at = number(body, "seconds", clock.now(), lowest=0, highest=_YEARS)
        if clock.now() + ahead > _YEARS * 2:
            raise Refusal(400, "the clock would pass the end of all calendars")
        if frozen:
            clock.freeze()
        elif frozen is not None:
            clock.run()
        clock.advance(at - clock.now() + ahead if "seconds" in body else ahead)
        self._world.save_clock()
        return await self.clock(request)

    async def list_faults(self, _: web.Request) -> web.Response:
        """List the rules."""
        return web.json_response({"data": self._faults.listed()})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Add a rule."""
        fault = Fault.from_json(await read_body(request))
        return web.json_response({"id": self._faults.add(fault)}, status=201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Let everything go right again."""
        self._faults.clear()
        return done()

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Take one rule back."""
        if not self._faults.remove(identity(request, "fault")):
            raise Refusal(404, "there is no such fault")
        return done()

    async def requests(self, request: web.Request) -> web.Response:
        """Return the latest calls, oldest first; `path` may be a pattern with *."""
        limit = number(dict(request.query), "limit", 1000, lowest=1, highest=10_000)
        data = self._world.journal.listed(int(limit), request.query.get("path"))
        return web.json_response({"data": data})

    async def forget_requests(self, _: web.Request) -> web.Response:
        """Empty the journal."""
        self._world.journal.clear()
        return done()

    def _shown(self, sync_id: str) -> web.Response:
        row = self._world.known(sync_id)
        return web.json_response({"id": sync_id, **status_of(self._world, row)})


def _pipeline(body: dict[str, Any]) -> str:
    pipeline = text(body, "pipeline")
    if pipeline not in catalogue.RECORDS:
        known = ", ".join(catalogue.RECORDS)
        raise Refusal(400, f"pipeline must be one of {known}; files come from folders")
    return pipeline


def _need(bodies: list[dict[str, Any]], key: str) -> None:
    if not all(isinstance(one.get(key), str) and one[key] for one in bodies):
        raise Refusal(400, f"every record needs an {key}")
