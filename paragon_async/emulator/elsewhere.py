"""Another origin: where a redirected download is sent, as to an object store.

Its addresses are signed. A request that brings a token along is refused with 400, as object stores do,
and never answered: who forwards a token is found out.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web

from paragon_async.emulator.errors import Refusal, refused

Serve = Callable[[web.Request, str, str], Awaitable[web.StreamResponse]]


class Elsewhere:
    """A second server on loopback, started when something is first sent there."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._secret = secrets.token_bytes(32)
        self._runner: web.AppRunner | None = None

    async def offer(self, path: str, user: str) -> str:
        """Return a signed address where what *user* asked for at *path* is served."""
        query = urlencode({"for": user, "signature": self._sign(path, user)})
        return f"http://127.0.0.1:{await self._port()}{path}?{query}"

    async def aclose(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _port(self) -> int:
        if self._runner is None:
            app = web.Application()
            app.add_routes([web.get("/{path:.*}", self._answer, allow_head=False)])
            self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = request.query.get("for", "")
        signature = request.query.get("signature", "")
        if "Authorization" in request.headers:
            return refused(400, "Only one way to authenticate is allowed here")
        if not hmac.compare_digest(signature.encode(), self._sign(request.path, user).encode()):
            return refused(403, "The signature does not match")
        try:
            return await self._serve(request, request.path, user)
        except Refusal as refusal:
            return refused(refusal.status, refusal.message)

    def _sign(self, path: str, user: str) -> str:
        return hmac.digest(self._secret, f"{path}\0{user}".encode(), hashlib.sha256).hex()
