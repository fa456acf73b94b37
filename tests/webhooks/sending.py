"""What the tests of inbox and receivers share: bodies, a sender on a bare socket, disks that refuse."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from urllib.parse import urlsplit

import attrs

SECRET = "canary-0123456789abcdef"
OTHER = "other-0123456789abcdef"


def event(record="r1", kind="record_updated", sync="s1", **more):
    body = {"event": kind, "sync": "googledrive", "syncInstanceId": sync, "user": {"id": "u1"}}
    return json.dumps({**body, "data": {"model": "files", "recordId": record}, **more}).encode()


PROBE = b'{"event": "webhook_verification"}'
NONSENSE = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a surrogate": b'{"event": "\\ud800"}',
    "an array": b"[]",
    "a number": b"12",
    "no name": b'{"sync": "googledrive"}',
    "no record": b'{"event": "record_updated", "syncInstanceId": "s"}',
    "depth": b'{"event": "x", "data": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "digits": b'{"event": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"event": NaN}',
}


@attrs.frozen
class Heard:
    status: int
    headers: dict
    body: bytes
    is_closed: bool


def request(path, body=b"", method="POST", **headers):
    """Return the bytes of a request; a header whose value is None is left out."""
    fields = {"Host": "h", "Content-Length": len(body)}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


async def say(url, *pieces, then=None):
    """Send bytes on a connection of its own and read one answer; *then* comes between the pieces."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if then is not None:
                await then()
        return await heard(reader)
    finally:
        writer.close()


async def heard(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    is_closed = headers.get("connection") == "close" and await reader.read() == b""
    return Heard(int(first.split()[1]), headers, body, is_closed)


async def post(url, path, body=b"", **headers):
    return await say(url, request(path, body, **headers))


class Refusing:
    """Makes connections whose commits fail while *is_on*; *repeated* is set when three did."""

    def __init__(self):
        self.is_on = False
        self.refused = 0
        self.repeated = threading.Event()

    def __call__(self, path):
        outer = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, *values):
                if outer.is_on and sql == "COMMIT":
                    outer.refused += 1
                    if outer.refused == 3:
                        outer.repeated.set()
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, *values)

        return sqlite3.connect(path, isolation_level=None, uri=True, factory=Connection)


def small_disk(path):
    """Make a connection to a disk that is full at 20 pages."""
    made = sqlite3.connect(path, isolation_level=None, uri=True)
    made.execute("PRAGMA max_page_count = 20")
    return made
