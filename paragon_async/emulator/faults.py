"""Faults on request: rules that say which calls go wrong, and how.

Fault(method, path, times, …)    a rule; the first that matches and is not used up acts
answer instead                   status, headers, body
answer late                      delay
answer changed                   edit the decoded JSON; set headers
answer broken                    cut_after bytes, by closing or by reset
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs
from aiohttp import web

Handler = Callable[[web.Request], Any]


@attrs.define(kw_only=True)
class Fault:
    """One rule. *path* is a pattern with `*`; *times* None is for ever; *skip* lets some pass first."""

    method: str = "*"
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    delay: float = 0.0
    edit: Callable[[Any], Any] | None = None
    cut_after: int | None = None
    reset: bool = False

    def takes(self, method: str, path: str) -> bool:
        """Tell whether this rule acts on a call, and count it."""
        fits = fnmatchcase(method, self.method) and fnmatchcase(path, self.path)
        if not fits or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


CUT = web.RequestKey("cut", Fault)


class Faults:
    """The rules of one emulator, in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Add a rule behind those there are."""
        self._rules.append(fault)

    def clear(self) -> None:
        """Let everything go right again."""
        self._rules.clear()

    def pick(self, method: str, path: str) -> Fault | None:
        """Return the rule that acts on this call."""
        return next((rule for rule in self._rules if rule.takes(method, path)), None)


async def act(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a call the way its fault wants."""
    if fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.cut_after is not None:
        request[CUT] = fault
    if fault.status is not None:
        answer = web.Response(status=fault.status, body=fault.body, headers=fault.headers)
    else:
        answer = await handler(request)
        if fault.edit is not None and isinstance(answer.body, bytes):
            answer = web.json_response(fault.edit(json.loads(answer.body)))
        if answer.prepared:
            return answer
        answer.headers.update(fault.headers)
    if fault.cut_after is not None:
        return await _cut(fault, request, answer)
    return answer


async def _cut(fault: Fault, request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send its beginning, and hang up."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    broken = web.StreamResponse(status=whole.status, headers=whole.headers)
    broken.content_length = len(body)
    await broken.prepare(request)
    await broken.write(body[: fault.cut_after])
    await hang_up(request, fault)
    return broken


async def hang_up(request: web.Request, fault: Fault) -> None:
    """End the connection in the middle, by closing or by reset."""
    transport = request.transport
    if transport is not None:
        # The client has to read what was sent before a reset throws it away.
        await asyncio.sleep(0.05)
        if fault.reset:
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        transport.close()
