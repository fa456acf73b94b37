"""Who may come in: callers on this machine, and no web page that a browser on it has open."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from paragon_async.emulator.errors import Refusal

_HERE = {"127.0.0.1", "localhost", "::1"}


def check_place(request: web.Request) -> None:
    """Refuse a request that was sent to another name, or by a page from elsewhere."""
    if _name(f"//{request.headers.get('Host', '')}") not in _HERE:
        raise Refusal(421, "This emulator answers only on loopback")
    origin = request.headers.get("Origin")
    if origin is not None and _name(origin) not in _HERE:
        raise Refusal(403, "This emulator answers no web page from elsewhere")


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
