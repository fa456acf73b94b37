"""The admin API of what is told and who may know: webhook, deliveries, events, tuples."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from paragon_async.emulator import events
from paragon_async.emulator.bodies import optional_text, read_body, text
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.values import done, identity, number, numbers
from paragon_async.emulator.world import World


class Telling:
    """One method a route."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the paths below `/_emulator/` that are not in admin.py."""
        at = "/_emulator"
        return [
            web.get(f"{at}/webhook", self.webhook, allow_head=False),
            web.put(f"{at}/webhook", self.set_webhook),
            web.delete(f"{at}/webhook", self.remove_webhook),
            web.get(f"{at}/deliveries", self.deliveries, allow_head=False),
            web.post(f"{at}/deliveries/{{delivery}}/redeliver", self.redeliver),
            web.post(f"{at}/events", self.trigger),
            web.get(f"{at}/tuples", self.list_tuples, allow_head=False),
            web.post(f"{at}/tuples", self.add_tuple),
            web.delete(f"{at}/tuples", self.remove_tuple),
        ]

    async def webhook(self, _: web.Request) -> web.Response:
        """Show where events go."""
        return web.json_response(self._world.hooks.settings())

    async def set_webhook(self, request: web.Request) -> web.Response:
        """Set the URL, which is probed, and what goes wrong on the way there."""
        body = await read_body(request)
        chances = numbers(body, ("duplicate", "reorder", "drop"), highest=1)
        counts = numbers(body, ("seed", "give_up_after", "disable_after"), highest=1_000_000)
        settings: dict[str, Any] = {**chances, **{key: int(n) for key, n in counts.items()}}
        others = {key: body[key] for key in ("headers", "variants") if body.get(key) is not None}
        self._world.hooks.configure(text(body, "url"), **others, **settings)
        self._world.deliverer.poke()
        return web.json_response(self._world.hooks.settings())

    async def remove_webhook(self, _: web.Request) -> web.Response:
        """Send no more events."""
        self._world.hooks.remove()
        return done()

    async def deliveries(self, request: web.Request) -> web.Response:
        """Return the log of deliveries."""
        query = dict(request.query)
        limit = number(query, "limit", 100, lowest=1, highest=10_000)
        after = int(number(query, "after", 0, lowest=0)) if "after" in query else None
        return web.json_response({"data": self._world.hooks.log(int(limit), after)})

    async def redeliver(self, request: web.Request) -> web.Response:
        """Send an event again."""
        delivery = self._world.hooks.redeliver(identity(request, "delivery"))
        self._world.deliverer.poke()
        return web.json_response({"id": delivery}, status=202)

    async def trigger(self, request: web.Request) -> web.Response:
        """Send an event that nothing caused."""
        body = await read_body(request)
        if not self._world.hooks.settings().get("url"):
            raise Refusal(409, "no webhook is set: PUT /_emulator/webhook, or start with --webhook")
        event = self._event(text(body, "event"), body)
        return web.json_response({"queued": self._world.tell([event]), "event": event}, status=202)

    def _event(self, kind: str, body: dict[str, Any]) -> events.Event:
        if kind == "webhook_verification":
            return events.verification()
        record = optional_text(body, "record")
        sync = self._world.find(optional_text(body, "sync"), optional_text(body, "user"), record)
        message = optional_text(body, "message") or "Triggered by the admin API"
        if kind == "sync_complete":
            count = self._world.feed.totals(sync["id"])[1]
            return events.sync_complete(sync, self._world.clock.iso(), count)
        if kind == "sync_errored":
            return events.sync_errored(sync, message)
        if record is None:
            raise Refusal(400, f"record is needed for {kind!r:.40}")
        if kind == "record_errored":
            return events.record_errored(sync, record, message)
        maker = events.CHANGES.get(kind.removeprefix("record_")) if kind in events.KINDS else None
        if maker is None:
            raise Refusal(400, f"there is no event {kind!r:.40}")
        return maker(sync, record)

    async def list_tuples(self, request: web.Request) -> web.Response:
        """List who was granted what, in one user's account."""
        account = self._world.account(request.query.get("user", ""))
        return web.json_response({"data": self._world.graph.tuples(account)})

    async def add_tuple(self, request: web.Request) -> web.Response:
        """Grant a role, or put a member into a group."""
        self._change(await read_body(request), is_added=True)
        return done()

    async def remove_tuple(self, request: web.Request) -> web.Response:
        """Take a grant or a membership back."""
        self._change(await read_body(request), is_added=False)
        return done()

    def _change(self, body: dict[str, Any], *, is_added: bool) -> None:
        try:
            self._tuple(body, is_added=is_added)
        except ValueError as error:
            raise Refusal(400, str(error)) from None

    def _tuple(self, body: dict[str, Any], *, is_added: bool) -> None:
        graph, account = self._world.graph, self._world.account(optional_text(body, "user") or "")
        if "group" in body:
            change = graph.add_member if is_added else graph.remove_member
            change(account, text(body, "group"), text(body, "member"), "admin")
            return
        external = self._world.external(text(body, "object"), optional_text(body, "sync"))
        grant = graph.grant if is_added else graph.revoke
        grant(account, external, text(body, "subject"), text(body, "role"), "admin")
