"""File contents from disk, with ETag and ranges. Source: api.md 5.

The service documents neither; ours are strong and true, and can be switched off.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from aiohttp import web

from paragon_async.emulator.faults import CUT, hang_up

_PIECE = 1 << 20
_SMALL = 1 << 18


async def serve(
    request: web.Request, path: Path, content_type: str, *, ranges: bool
) -> web.StreamResponse:
    """Stream a file, or the range that was asked for."""
    info = os.stat(path)  # noqa: PTH116  # the source is a local disk
    headers = {"Content-Type": content_type}
    span = range(info.st_size)
    status = 200
    if ranges:
        etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}"'
        headers |= {"ETag": etag, "Accept-Ranges": "bytes"}
        asked = _asked(request, etag, info.st_size)
        if asked is not None:
            if not asked:
                headers = {"Content-Range": f"bytes */{info.st_size}"}
                return web.Response(status=416, headers=headers)
            span, status = asked, 206
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{info.st_size}"
    if len(span) <= _SMALL:
        return web.Response(status=status, headers=headers, body=_read(path, span))
    return await _stream(request, path, span, web.StreamResponse(status=status, headers=headers))


def _asked(request: web.Request, etag: str, size: int) -> range | None:
    """Return the range that is asked for; empty if there is none such, None for the whole."""
    if request.headers.get("If-Range", etag) != etag:
        return None
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if not found or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, size - int(found[2])), size)
    start = int(found[1])
    stop = min(size, int(found[2]) + 1) if found[2] else size
    return range(start, max(start, stop))


def _read(path: Path, span: range) -> bytes:
    with path.open("rb") as file:
        file.seek(span.start)
        return file.read(len(span))


async def _stream(
    request: web.Request, path: Path, span: range, answer: web.StreamResponse
) -> web.StreamResponse:
    answer.content_length = len(span)
    await answer.prepare(request)
    fault = request.get(CUT)
    file = os.open(path, os.O_RDONLY)
    try:
        for start in range(span.start, span.stop, _PIECE):
            size = min(_PIECE, span.stop - start)
            piece = await asyncio.to_thread(os.pread, file, size, start)
            if fault is not None and (left := (fault.cut_after or 0) - start + span.start) < size:
                await answer.write(piece[:left])
                await hang_up(request, fault)
                return answer
            await answer.write(piece)
        await answer.write_eof()
    except ConnectionError:
        # The caller hung up: that is its right, and nothing to complain of.
        return answer
    finally:
        os.close(file)
    return answer
