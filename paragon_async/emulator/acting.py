"""What becomes of a call that a fault was picked for: answered instead, late, otherwise or broken."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from paragon_async.emulator import mutate
from paragon_async.emulator.elsewhere import Elsewhere
from paragon_async.emulator.faults import CUT, Fault
from paragon_async.emulator.wreck import idle, pieces_of, send

Handler = Callable[[web.Request], Any]
_PAGE = b"<!doctype html><title>Bad gateway</title><h1>502 Bad Gateway</h1>"


async def act(
    fault: Fault, request: web.Request, handler: Handler, elsewhere: Elsewhere | None, user: str
) -> web.StreamResponse:
    """Answer a call the way its fault wants."""
    if fault.delay:
        await idle(request.transport, fault.delay)
    if fault.is_on_wire or fault.headers:
        request[CUT] = fault
    if fault.redirect and elsewhere is not None:
        url = await elsewhere.offer(request.path, user)
        return web.Response(status=fault.status or 307, headers={"Location": url})
    answer = _instead(fault) or await handler(request)
    if answer.prepared or answer.status == 0:
        return answer
    if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
        answer = _otherwise(fault, request, answer)
    answer.headers.update(fault.headers)
    if fault.is_on_wire and isinstance(answer, web.Response):
        body = answer.body if isinstance(answer.body, bytes) else b""
        return await send(request, answer, pieces_of(body), len(body))
    return answer


def _instead(fault: Fault) -> web.Response | None:
    """Return the answer that takes the place of the true one, if there is one."""
    if fault.html:
        body = fault.body or _PAGE
        return web.Response(status=fault.status or 200, body=body, content_type="text/html")
    if fault.status is None and fault.retry_after is None:
        return None
    answer = web.Response(status=fault.status or 429, body=fault.body)
    if not fault.body:
        message = {"message": "A fault was asked for", "status": answer.status}
        answer = web.json_response(message, status=answer.status)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = _when(fault.retry_after, fault.retry_after_form)
    return answer


def _when(seconds: float, form: str) -> str:
    if form == "date":
        # The machine's time, for that is what a client holds it against.
        return formatdate(math.ceil(time.time() + seconds), usegmt=True)
    return f"{seconds:f}".rstrip("0").rstrip(".")


def _otherwise(fault: Fault, request: web.Request, answer: web.Response) -> web.Response:
    """Return the answer with its JSON changed."""
    if fault.edit is None and fault.page is None:
        return answer
    try:
        body = json.loads(answer.body)  # type: ignore[arg-type]  # act() saw that it is bytes
    except ValueError:
        return answer
    if fault.edit is not None:
        body = fault.edit(body)
    if fault.page is not None:
        seen = fault.cursors.setdefault(request.path, [])
        body = mutate.changed(body, fault.page, request.query.get("cursor"), seen)
    return web.json_response(body, status=answer.status)
