"""JSON bodies of requests: read once, refused with 400 when they are no JSON object.

Ours: a body over the limit is 413; what JSON cannot say (NaN, an infinite number, half a surrogate
pair) is 400, so that whatever is kept can be stored and sent again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from paragon_async.emulator.errors import Refusal

LIMIT = 1024**2


async def read_body(request: web.Request, limit: int = LIMIT) -> dict[str, Any]:
    """Return the request's JSON object, or refuse it."""
    try:
        body = json.loads(await _bytes(request, limit))
        # Parsing lets NaN, 1e999 and lone surrogates through; writing it out again does not.
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON: send an object in UTF-8") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body


def text(body: dict[str, Any], key: str) -> str:
    """Return a string that is needed, or refuse the request."""
    found = body.get(key)
    if not isinstance(found, str) or not found:
        raise Refusal(400, f"{key} is needed: send a string that is not empty")
    return found


def optional_text(body: dict[str, Any], key: str) -> str | None:
    """Return a string, or None for null and for a key that is not there."""
    return None if body.get(key) is None else text(body, key)


def choice(body: dict[str, Any], key: str, options: Iterable[str]) -> str:
    """Return a string that is one of the options, or refuse the request."""
    found, known = body.get(key), tuple(options)
    if not isinstance(found, str) or found not in known:
        raise Refusal(400, f"{key} must be one of {', '.join(known)}")
    return found


async def _bytes(request: web.Request, limit: int) -> bytes:
    large = Refusal(413, f"The body is too large: send at most {limit} bytes")
    if (request.content_length or 0) > limit:
        raise large
    try:
        found = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise large from None
    except web.RequestPayloadError:
        raise Refusal(400, "The body is damaged: send it whole, encoded as declared") from None
    if len(found) > limit:
        raise large
    return found
