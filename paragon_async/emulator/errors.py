"""What can go wrong with an emulator, and how a refusal looks on the wire.

The service publishes no schema for errors. Ours is that of the vendor's other product: `message`,
`code`, `status` and `meta.requestId`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

import attrs
from aiohttp import web


class EmulatorError(Exception):
    """The emulator cannot start, or was asked for what makes no sense; one sentence says why."""


@attrs.frozen
class Refusal(Exception):  # noqa: N818  # an answer to a caller, not a failure of the emulator
    """The request is answered with *status* and *message*."""

    status: int
    message: str
    headers: Mapping[str, str] = attrs.field(factory=dict)


def refused(refusal: Refusal) -> web.Response:
    """Build the answer for a refusal."""
    body = {
        "message": refusal.message,
        "code": f"{refusal.status}00",
        "status": refusal.status,
        "meta": {"requestId": str(uuid.uuid4())},
    }
    return web.Response(
        status=refusal.status,
        body=json.dumps(body).encode(),
        content_type="application/json",
        headers=refusal.headers,
    )
