"""Values out of paths, queries and JSON bodies, or a refusal that names what was wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from paragon_async.emulator.errors import Refusal

_MOST = float(1 << 53)
_DIGITS = 18


def done() -> web.Response:
    """Return the answer that says no more than that it is done."""
    return web.json_response({"success": True})


def identity(request: web.Request, name: str) -> int:
    """Return the number in a path, or refuse with 404."""
    given = request.match_info[name]
    if not (given.isascii() and given.isdigit() and len(given) < _DIGITS):
        raise Refusal(404, f"there is no such {name}")
    return int(given)


def number(
    body: Mapping[str, Any],
    key: str,
    default: float,
    *,
    lowest: float = -_MOST,
    highest: float = _MOST,
) -> float:
    """Return a finite number within bounds."""
    given = body.get(key)
    if given is None:
        return default
    try:
        value = float(given) if not isinstance(given, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not lowest <= value <= highest:
        raise Refusal(400, f"{key} must be a number from {lowest:g} to {highest:g}")
    return value


def numbers(body: Mapping[str, Any], keys: tuple[str, ...], *, highest: float) -> dict[str, float]:
    """Return those of some numbers that are given; none is negative."""
    given = (key for key in keys if body.get(key) is not None)
    return {key: number(body, key, 0, lowest=0, highest=highest) for key in given}


def texts(body: Mapping[str, Any], key: str) -> list[str]:
    """Return an array of strings."""
    given = body.get(key)
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise Refusal(400, f"{key} must be an array of strings")
    return given


def objects(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return an array of objects."""
    given = body.get(key)
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Refusal(400, f"{key} must be an array of objects")
    return given
