"""S13: whatever comes from outside has a limit, and one byte more is refused."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json

import aiohttp
import pytest

from paragon_async import (
    CutShortError,
    DecodeError,
    FixedToken,
    MalformedAnswerError,
    Paragon,
    RedirectRefusedError,
    Retry,
    StalledCursorError,
)
from paragon_async.api import shapes
from paragon_async.convert import parse
from paragon_async.errors import ParagonError
from paragon_async.names import LONGEST, distinct_name, safe_name
from paragon_async.transport.channel import LARGEST_PAGE
from paragon_async.transport.gunzip import decoder
from paragon_async.webhooks import Inbox, InboxError, Router, receiver, serving
from paragon_async.webhooks.events import parse_event
from tests.hostile import hostile
from tests.security.planting import named
from tests.webhooks.sending import SECRET, event

ONCE = Retry(attempts=1)


async def pulled(script):
    """Return what a pull from a socket of this script ends with."""
    with hostile(script) as server:
        async with Paragon(tokens=FixedToken("t"), base_url=server.url, retry=ONCE) as paragon:
            with pytest.raises(ParagonError) as caught:
                async for _ in paragon.user("u").records.pull("s"):
                    raise AssertionError
    return caught.value, len(server.requests)


def replies(body=b"{}", *headers):
    return lambda peer: (peer.request(), peer.reply(body, "200 OK", *headers))


async def test_a_page():
    """S13: a page of more than 64 MiB is not kept, though it is a thousandth of that on the wire."""
    assert LARGEST_PAGE == 64 << 20
    bomb = gzip.compress(bytes(LARGEST_PAGE + 1), 1)
    error, _ = await pulled(replies(bomb, "Content-Encoding: gzip"))
    assert isinstance(error, DecodeError) and str(LARGEST_PAGE) in str(error)


async def test_headers():
    """S13: a header of more than 32 KiB, or a thousand of them, is no answer; a long address is."""
    for headers in (["X: " + "y" * 40_000], [f"X-{n}: y" for n in range(1000)]):
        error, _ = await pulled(replies(b"{}", *headers))
        assert isinstance(error, MalformedAnswerError)


async def test_depth():
    """S13: JSON that is nested too deeply is refused, in pages as in events."""
    deep = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(DecodeError):
        parse(deep)
    with pytest.raises(ParagonError):
        parse_event(b'{"event": "x", "data": ' + b"[" * 33 + b"]" * 33 + b"}")


def test_members():
    """S13: a body of more than a thousand members of gzip is refused."""
    unzip = decoder("gzip")
    with pytest.raises((MalformedAnswerError, CutShortError)):
        for _ in range(1002):
            list(unzip.feed(gzip.compress(b"")))


async def test_redirects():
    """S13: the sixth redirect in a row is refused."""

    def circle(peer):
        peer.request()
        peer.reply(b"", "302 Found", "Location: /next", "Connection: close")

    error, count = await pulled(circle)
    assert isinstance(error, RedirectRefusedError) and count == 6


def test_cursors():
    """S13: a cursor has 4 KiB at most."""
    page = {"data": [], "paging": {"cursor": "c" * 4096, "remainingRecords": 0}}
    assert shapes.envelope(json.loads(json.dumps(page))).cursor == "c" * 4096
    page["paging"]["cursor"] += "c"
    with pytest.raises(DecodeError, match="longer than 4096"):
        shapes.envelope(page)


@pytest.mark.parametrize("label", ["x" * 300, "😀" * 100 + ".pdf", "é" * 300, "a." + "b" * 300])
def test_names(label):
    """S13: a name has 200 bytes at most, a distinct one too."""
    assert LONGEST == 200
    assert len(safe_name(label).encode()) <= 200
    assert len(distinct_name(label, "r" * 300).encode()) <= 200


async def test_files(user, sync_id, emulator, tmp_path):
    """S13: a file that is larger than its record says is given up one byte behind that."""
    record = await named(user, sync_id, "hello.txt")
    record.data["size"] = 4
    with pytest.raises(ParagonError, match="more than the 4 bytes"):
        await user.records.download(sync_id, record, tmp_path / "there.txt")
    assert not (tmp_path / "there.txt").exists()


async def test_bodies_of_events(tmp_path):
    """S13: a webhook of 64 KiB is read, one byte more is a 413."""
    app = receiver(Router(), inbox=Inbox(tmp_path / "inbox.db"), secrets=[SECRET])
    bare = len(event(more=""))
    async with serving(app) as url, aiohttp.ClientSession() as session:
        for size, status in ((65_536, 200), (65_537, 413)):
            data = event(more="x" * (size - bare))
            assert len(data) == size
            async with session.post(f"{url}/webhook/{SECRET}", data=data) as answer:
                assert answer.status == status


async def test_the_queue(tmp_path):
    """S13: an inbox takes as many events as it may hold, and not one more."""
    async with Inbox(tmp_path / "inbox.db", capacity=2) as inbox:
        for n in range(2):
            await inbox.put(event(f"r{n}"))
        with pytest.raises(InboxError):
            await inbox.put(event("r2"))


async def test_connections(tmp_path):
    """S13: a connection too many is told 503 and closed."""
    app = receiver(Router(), inbox=Inbox(tmp_path / "inbox.db"), secrets=[SECRET])
    async with serving(app, connections=1) as url:
        host, port = url.removeprefix("http://").split(":")
        _, held = await asyncio.open_connection(host, int(port))
        held.write(b"POST /webhook/x HTTP/1.1\r\n")
        await held.drain()
        reader, other = await asyncio.open_connection(host, int(port))
        with contextlib.closing(held), contextlib.closing(other):
            assert b" 503 " in await reader.readline()


async def test_a_standing_cursor():
    """S13: pages that come round for ever are ended by the second of them."""
    page = json.dumps({"data": [], "paging": {"cursor": "c", "remainingRecords": 5}}).encode()

    def script(peer):
        while True:
            peer.request()
            peer.reply(page.replace(b"[]", b'[{"id":"1"}]'))

    with hostile(script) as server:
        async with Paragon(tokens=FixedToken("t"), base_url=server.url, retry=ONCE) as paragon:
            with pytest.raises(StalledCursorError):
                _ = [r async for r in paragon.user("u").records.pull("s")]
    assert len(server.requests) == 2
