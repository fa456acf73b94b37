"""What is asked: the parts of a request, or a refusal that names the part that is wrong."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.graph import ROLES

USER = web.RequestKey("user", str)
FREQUENCIES = ("1m", "5m", "10m", "30m", "1h", "3h", "6h", "24h")


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that was sent."""
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Refusal(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The body must be a JSON object")
    return body


def text(body: Mapping[str, Any], key: str) -> str:
    """Return a text that must be there."""
    found = body.get(key)
    if not isinstance(found, str) or not found:
        raise Refusal(400, f"{key} must be a string")
    return found


def choice(body: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    """Return one of the known words."""
    found = body.get(key)
    if found not in known:
        raise Refusal(400, f"{key} must be one of {', '.join(known)}")
    return str(found)


def role(body: Mapping[str, Any], key: str = "role") -> str:
    """Return the role that is asked about."""
    return choice(body, key, ROLES)


def credential(body: Mapping[str, Any]) -> str | None:
    """Return the credential's id if there is one; it must be a UUID."""
    found = body.get("credentialId")
    if found is None:
        return None
    try:
        return str(uuid.UUID(text(body, "credentialId")))
    except ValueError:
        raise Refusal(400, "credentialId must be a UUID") from None


def frequency(body: Mapping[str, Any]) -> str | None:
    """Return how often a sync shall look for changes, if that was said."""
    key = "incrementalAccumulatorFrequency"
    return None if body.get(key) is None else choice(body, key, FREQUENCIES)
