"""What can go wrong with an emulator, and how a refusal looks on the wire.

The service publishes no schema for errors. Ours is that of the vendor's other product: `message`,
`code`, `status` and `meta.requestId`.
"""

from __future__ import annotations

import json
import uuid

from aiohttp import web


class EmulatorError(Exception):
    """The emulator cannot start; one sentence says why."""


class Refusal(Exception):  # noqa: N818  # an answer to a caller, not a failure of the emulator
    """The request is answered with *status* and *message*."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class SourceFailed(Exception):  # noqa: N818  # what a third party did, not a failure of the emulator
    """A sync cannot go on until its cause is removed; the message is its reason."""


def refused(status: int, message: str) -> web.Response:
    """Build the answer for a refusal."""
    body = {
        "message": message,
        "code": f"{status}00",
        "status": status,
        "meta": {"requestId": str(uuid.uuid4())},
    }
    return web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/json"
    )
