"""Contents on the wire, with ETag and ranges. Source: api.md 5.

The service documents neither; ours are strong and true, and can be switched off. Policies of ours: one
range only, several are answered with the whole; a range that ends before it starts is 416. A file that
shrinks while it is sent ends with a connection hung up; if nothing was sent yet, with 503.
"""

from __future__ import annotations

import re
from contextlib import aclosing

from aiohttp import web

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.sources import Shrunk, Source
from paragon_async.emulator.wreck import send

_SMALL = 1 << 18


async def serve(request: web.Request, source: Source, *, ranges: bool) -> web.StreamResponse:
    """Answer with a content, or with the range of it that was asked for."""
    headers = {"Content-Type": source.content_type}
    span, status = range(source.size), 200
    if ranges:
        headers |= {"ETag": source.etag, "Accept-Ranges": "bytes"}
        asked = _asked(request, source)
        if asked is not None:
            if not asked:
                headers = {"Content-Range": f"bytes */{source.size}"}
                return web.Response(status=416, headers=headers)
            span, status = asked, 206
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{source.size}"
    if len(span) <= _SMALL:
        return web.Response(status=status, headers=headers, body=await _whole(source, span))
    return await _stream(request, web.StreamResponse(status=status, headers=headers), source, span)


def _asked(request: web.Request, source: Source) -> range | None:
    """Return the range that is asked for; empty if there is none such, None for the whole."""
    if request.headers.get("If-Range", source.etag) != source.etag:
        return None
    asked = request.headers.get("Range", "")
    found = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", asked, re.IGNORECASE)
    if not found or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, source.size - _number(found[2])), source.size)
    start = _number(found[1])
    stop = min(source.size, _number(found[2]) + 1) if found[2] else source.size
    return range(start, max(start, stop))


def _number(digits: str) -> int:
    # Python refuses to read thousands of digits; 18 are past the end of any file already.
    return int(digits.lstrip("0")[:18] or 0)


async def _whole(source: Source, span: range) -> bytes:
    try:
        async with aclosing(source.pieces(span.start, span.stop)) as pieces:
            return b"".join([piece async for piece in pieces])
    except Shrunk:
        raise Refusal(503, "The file changed while it was read: ask again") from None


async def _stream(
    request: web.Request, answer: web.StreamResponse, source: Source, span: range
) -> web.StreamResponse:
    try:
        async with aclosing(source.pieces(span.start, span.stop)) as pieces:
            return await send(request, answer, pieces, len(span))
    except Shrunk:
        # Fewer bytes follow than were announced, and the caller has to see that it is over.
        if request.transport is not None:
            request.transport.close()
        return answer
