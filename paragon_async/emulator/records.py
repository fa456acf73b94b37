"""The endpoints that read a sync's feed. Source: api.md 1.7 to 1.9.

Policies where the service is silent: pages hold 100 records unless asked, more than the largest
page is refused; a page with nothing on it repeats the cursor it was asked with and has no
`lastSeen`, which is otherwise in milliseconds; the content of a folder is refused with 400, that of
a deleted file with 404.
"""

from __future__ import annotations

import json
import sqlite3

from aiohttp import web

from paragon_async.emulator import content, folder
from paragon_async.emulator.asking import USER
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.world import World

_PAGE = 100
_DIGITS = 18


class RecordHandlers:
    """One method an endpoint. The user is whom the token names."""

    def __init__(self, world: World, *, largest_page: int, ranges: bool) -> None:
        self._world = world
        self._largest_page = largest_page
        self._ranges = ranges

    def routes(self) -> list[web.RouteDef]:
        """Return the production paths."""
        record = "/api/syncs/{sync}/records/{record}"
        return [
            web.get("/api/syncs/{sync}/records", self.records, allow_head=False),
            web.get(record, self.record, allow_head=False),
            web.get(f"{record}/content", self.content, allow_head=False),
        ]

    async def records(self, request: web.Request) -> web.Response:
        """Serve a page: bodies are joined as they lie in the store."""
        row = self._sync(request)
        size = self._page_size(request)
        cursor = request.query.get("cursor") or None
        cursors, store = self._world.cursors, self._world.store
        after = cursors.read(row["id"], row["generation"], cursor) if cursor else 0
        page = store.page(row["id"], after, size)
        known, active = store.totals(row["id"])
        paging = {
            "totalRecords": known,
            "totalActiveRecords": active,
            "remainingRecords": store.behind(row["id"], page.last),
            "cursor": cursors.make(row["id"], row["generation"], page.last)
            if page.bodies
            else cursor,
            "lastSeen": page.seen,
        }
        text = f'{{"data":[{",".join(page.bodies)}],"paging":{json.dumps(paging)}}}'
        return web.Response(body=text.encode(), content_type="application/json")

    async def record(self, request: web.Request) -> web.Response:
        """Serve one record in its envelope."""
        found = self._record(request)
        text = f'{{"data":{found["body"]}}}'
        return web.Response(body=text.encode(), content_type="application/json")

    async def content(self, request: web.Request) -> web.StreamResponse:
        """Stream a file's content."""
        found = self._record(request)
        kind = json.loads(found["body"]).get("mimeType")
        if kind == folder.FOLDER_TYPE:
            raise Refusal(400, "A folder has no content")
        root = self._world.root
        path = folder.locate(root, found["path"]) if root and found["path"] else None
        if path is None:
            raise Refusal(404, "Record has no content")
        return content.serve(request, path, kind, ranges=self._ranges)

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
        is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS
        if not is_number or not 0 < int(text) <= self._largest_page:
            raise Refusal(400, f"pageSize must be a number from 1 to {self._largest_page}")
        return int(text)
