"""File contents from disk, with ETag and ranges. Source: api.md 5.

The service documents neither; ours are strong and true, and can be switched off. A request for
several ranges gets the whole file, as HTTP allows.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import payload, web
from aiohttp.abc import AbstractStreamWriter

from paragon_async.emulator.errors import Refusal

_PIECE = 1 << 20
_SMALL = 1 << 18
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class FileContent(payload.Payload):
    """A part of an open file, which it closes; read as it is sent."""

    def __init__(self, file: int, span: range, content_type: str) -> None:
        super().__init__(file, content_type=content_type)
        self._span = span
        self._size = len(span)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the part, piece by piece. A file that has shrunk ends the connection."""
        for start in range(self._span.start, self._span.stop, _PIECE):
            size = min(_PIECE, self._span.stop - start)
            if self._size and self._size <= _SMALL:
                piece = os.pread(self._value, size, start)
            else:
                piece = await asyncio.to_thread(os.pread, self._value, size, start)
            if len(piece) < size:
                raise ConnectionAbortedError("the file has shrunk")
            yield piece

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the part."""
        async for piece in self.pieces():
            await writer.write(piece)

    async def close(self) -> None:
        """Close the file."""
        os.close(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the part as text."""
        whole = os.pread(self._value, len(self._span), self._span.start)
        return whole.decode(encoding, errors)


def serve(request: web.Request, path: Path, content_type: str, *, ranges: bool) -> web.Response:
    """Answer with a file, or the range that was asked for."""
    try:
        # A pipe put in the file's place would make a blocking open wait for ever.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise Refusal(404, "Record has no content") from None
    try:
        return _answer(request, file, content_type, ranges=ranges)
    except Refusal:
        os.close(file)
        raise


def _answer(request: web.Request, file: int, content_type: str, *, ranges: bool) -> web.Response:
    info = os.fstat(file)
    if not stat.S_ISREG(info.st_mode):
        raise Refusal(404, "Record has no content")
    span, status, headers = range(info.st_size), 200, {}
    if ranges:
        etag = f'"{info.st_mtime_ns:x}-{info.st_size:x}"'
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        asked = _asked(request, etag, info.st_size)
        if asked is not None:
            span, status = asked, 206
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{info.st_size}"
    body = FileContent(file, span, content_type)
    return web.Response(status=status, headers=headers, body=body)


def _asked(request: web.Request, etag: str, size: int) -> range | None:
    """Return the range that is asked for, None for the whole; refuse one that lies outside."""
    if request.headers.get("If-Range", etag) != etag:
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not found or found[1] == found[2] == "":
        return None
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    stop = min(size, int(found[2]) + 1) if found[1] and found[2] else size
    if first >= stop:
        raise Refusal(416, "The range lies outside the file", {"Content-Range": f"bytes */{size}"})
    return range(first, stop)
