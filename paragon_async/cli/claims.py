"""What a token says, and what the service would find wrong with it. Pure but for the clock.

The signature is not looked at: only the service has a use for it. Source: api.md 2.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from paragon_async.cli.figures import span
from paragon_async.errors import ConfigurationError

_PARTS = 3
_DAY = 86_400
# Nothing of this century in seconds is as large; in milliseconds everything is.
_MILLISECONDS = 100_000_000_000
_SKEW = 60
_AUDIENCE = re.compile(r"[\w.-]+(?::\d+)?/[\w-]+")
_SHOWN = {"sub", "aud", "iat", "exp", "nbf"}


def explained(token: str, *, project: str | None = None, at: float | None = None) -> dict[str, Any]:
    """Return what *token* says, and its problems, as the service would see them *at* a time.

    Raises `ConfigurationError`, which never quotes it, for what is no JWT at all.
    """
    text = token.strip().removeprefix("Bearer ")
    parts = text.split(".")
    if len(parts) != _PARTS:
        raise ConfigurationError(
            f"this is no JWT: it has {len(parts)} parts between its dots, and a JWT has {_PARTS}"
        )
    head, claims = _part(parts[0], "head"), _part(parts[1], "body")
    now = time.time() if at is None else at
    expires = _seconds(claims.get("exp"))
    return {
        "user": claims.get("sub"),
        "audience": claims.get("aud"),
        "algorithm": head.get("alg"),
        "issued_at": _moment(claims.get("iat")),
        "expires_at": _moment(claims.get("exp")),
        "seconds_left": None if expires is None else round(expires - now),
        "other_claims": {key: value for key, value in claims.items() if key not in _SHOWN},
        "problems": [
            *_of_whom(head, claims, project),
            *_of_times(claims, now),
            *([] if parts[2] else ["it is not signed"]),
        ],
    }


def _of_whom(head: dict[str, Any], claims: dict[str, Any], project: str | None) -> list[str]:
    found = []
    if head.get("alg") != "RS256":
        found.append(f"it is signed with {head.get('alg') or 'nothing'}: the service takes RS256")
    user, audience = claims.get("sub"), claims.get("aud")
    if not isinstance(user, str) or not user:
        found.append("it names no user: `sub` must be the connected user's id")
    if not audience:
        found.append("it has no audience: `aud` must be useparagon.com/<project id>")
    elif not isinstance(audience, str) or not _AUDIENCE.fullmatch(audience):
        found.append(f"its audience {audience!r} is not like useparagon.com/<project id>")
    elif project and audience.rpartition("/")[2] != project:
        found.append(f"it is for project {audience.rpartition('/')[2]}, and {project} is set")
    return found


def _of_times(claims: dict[str, Any], now: float) -> list[str]:
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    found = [
        f"`{name}` is in milliseconds: it must be in seconds"
        for name in ("iat", "exp", "nbf")
        if (_seconds(claims.get(name)) or 0) > _MILLISECONDS
    ]
    if found:
        return found
    if expires is None:
        found.append("it has no end: `exp` must be a number of seconds")
    elif expires <= now:
        found.append(f"it expired {span(now - expires)} ago: mint another one")
    elif issued is not None and expires - issued > _DAY:
        found.append(f"it lives {span(expires - issued)}: longer than a day is a risk")
    begins = max(issued or 0, _seconds(claims.get("nbf")) or 0)
    if begins > now + _SKEW:
        found.append(f"it begins in {span(begins - now)}: the clock that made it is ahead")
    return found


def _part(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
        )
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"this is no JWT: its {name} is no JSON object in base64url")
    return found


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e15 else None  # noqa: PLR2004  # no date


def _moment(value: Any) -> str | None:
    seconds = _seconds(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
