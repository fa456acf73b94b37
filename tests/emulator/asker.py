"""A client of the emulator that is not ours: plain aiohttp, and tokens minted by hand."""

from __future__ import annotations

import asyncio
import time

import jwt

from tests.conftest import PROJECT


def token(key, **changes):
    now = int(time.time())
    claims = {
        "sub": "u1",
        "aud": f"useparagon.com/{PROJECT}",
        "iat": now,
        "exp": now + 600,
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm="RS256")


class Client:
    def __init__(self, session, url, bearer):
        self.session, self.url = session, url
        self.headers = {"Authorization": f"Bearer {bearer}"}

    async def ask(self, method, path, body=None, **headers):
        named = self.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        async with self.session.request(
            method, self.url + path, json=body, headers=named
        ) as answer:
            data = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, (await answer.json() if is_json else data), answer.headers

    async def admin(self, method, path, body=None):
        """Ask the admin API, and fail unless it answers 2xx."""
        status, answer, _ = await self.ask(method, f"/_emulator/{path}", body)
        assert status < 300, answer
        return answer

    async def status(self, sync):
        return (await self.ask("GET", sync))[1]

    async def until(self, sync, status):
        """Poll until a sync has a status; fail when it fails."""
        while (shown := await self.status(sync))["status"] != status:
            assert shown["status"] != "ERRORED", f"ERRORED: {shown['reason']}"
            await asyncio.sleep(0.01)
        return shown

    async def enabled(self, **body):
        wanted = {"integration": "googledrive", "pipeline": "files"} | body
        status, made, _ = await self.ask("POST", "/api/syncs", wanted)
        assert status == 200, made
        return f"/api/syncs/{made['id']}"

    async def synced(self, **body):
        sync = await self.enabled(**body)
        await self.until(sync, "IDLE")
        return sync

    async def page(self, sync, cursor=None, size=1000):
        after = f"&cursor={cursor.replace('+', '%2B')}" if cursor else ""
        status, page, _ = await self.ask("GET", f"{sync}/records?pageSize={size}{after}")
        assert status == 200, page
        return page

    async def pulled(self, sync, cursor=None, size=1000):
        """Follow the cursor to the end: all records, and the last cursor."""
        records = []
        while True:
            page = await self.page(sync, cursor, size)
            records += page["data"]
            cursor = page["paging"]["cursor"] or cursor
            if not page["paging"]["remainingRecords"]:
                return records, cursor
