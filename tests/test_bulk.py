"""Large bodies, read past aiohttp's parser, from real sockets."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading

import pytest

from paragon_async import (
    CutShortError,
    DownloadError,
    File,
    Paragon,
    Retry,
    TimedOutError,
    Timeouts,
)
from paragon_async.disk import SystemDisk
from paragon_async.transport.bulk import Blocks
from paragon_async.transport.session import AiohttpSession
from tests.hostile import hostile
from tests.test_session import HEAD, STREAM, TOKEN, framed

BODY = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(300_000)) + b"end"
SUM = hashlib.sha256(BODY).hexdigest()
CALM = Timeouts(connect=20, headers=20, idle=20)
HURRY = Timeouts(connect=20, headers=20, idle=0.4)


def opened(server, timeouts=CALM):
    return AiohttpSession(server.url, timeouts)


async def drained(response):
    """Read the body to its end by `bulk`; return it."""
    with response.bulk() as bulk:
        return b"".join([bytes(piece) async for piece in pieces(bulk)])


async def pieces(bulk):
    while piece := await bulk.next():
        yield piece


async def test_a_large_body_comes_whole_and_its_connection_stays():
    """Every byte comes, also what was read before; and the same connection brings the next answers."""
    connections = []

    def script(peer):
        connections.append(peer)
        while True:
            peer.request()
            peer.send(framed(BODY))
            peer.request()
            peer.reply(b"small")

    with hostile(script) as server:
        session = opened(server)
        for _ in range(3):
            async with session.open(STREAM, TOKEN) as response:
                first = await response.next_chunk()
                assert first + await drained(response) == BODY
            async with session.open(STREAM, TOKEN) as response:
                assert response.bulk() is None
                assert await response.read(100) == b"small"
        await session.aclose()
    assert len(connections) == 1


def test_a_large_body_on_uvloop():
    """It is the same on uvloop, which looks at a protocol only when it begins to read."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_a_large_body_comes_whole_and_its_connection_stays())


OTHERS = {
    "small": framed(BODY[:1_000_000]),
    "chunked": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "without a length": HEAD + b"\r\n" + BODY,
}


@pytest.mark.parametrize("kind", OTHERS)
async def test_other_bodies_come_the_usual_way(kind):
    """A body that is small, chunked or of no known length is not taken over, and loses nothing."""

    def script(peer):
        peer.request()
        peer.send(OTHERS[kind])

    with hostile(script) as server:
        session = opened(server)
        async with session.open(STREAM, TOKEN) as response:
            assert response.bulk() is None
            wanted = BODY[:1_000_000] if kind == "small" else BODY
            assert await response.read(1 << 30) == wanted
        await session.aclose()


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_cut_body_is_an_error_after_what_came(is_reset):
    """What came before a cut or a reset is given out first, and the end is never taken for whole."""
    sent = framed(BODY)[:6_000_000]

    def script(peer):
        peer.request()
        peer.deliver(sent)
        if is_reset:
            peer.reset()

    with hostile(script) as server:
        session = opened(server)
        come = b""
        async with session.open(STREAM, TOKEN) as response:
            with pytest.raises(CutShortError), response.bulk() as bulk:
                async for piece in pieces(bulk):
                    come += piece
        await session.aclose()
    assert BODY.startswith(come)
    # A reset may overtake what the system had not yet given out.
    assert is_reset or len(come) == len(sent) - sent.index(b"\r\n\r\n") - 4


async def test_silence_is_given_up_and_a_slow_reader_is_not_silence():
    """A service that falls silent is an error after what came; a reader may take as long as it likes."""

    def script(peer):
        peer.request()
        peer.send(framed(BODY)[:5_000_000])
        peer.wait()

    with hostile(script) as server:
        session = opened(server, HURRY)
        come = 0
        async with session.open(STREAM, TOKEN) as response:
            with pytest.raises(TimedOutError, match="sent nothing"), response.bulk() as bulk:
                async for piece in pieces(bulk):
                    if come < 3_000_000:
                        await asyncio.sleep(2 * HURRY.idle)
                    come += len(piece)
        await session.aclose()
    assert come > 4_990_000


async def test_a_body_that_drips_is_too_slow():
    """A few bytes now and then are no life: the pace of bulk reading is held as any other's."""

    def script(peer):
        peer.request()
        peer.send(framed(BODY)[:200])
        while not peer.server.over.wait(0.05):
            peer.send(b"x")

    with hostile(script) as server:
        session = opened(server, Timeouts(idle=20, slowest=1e6, window=0.5))
        async with session.open(STREAM, TOKEN) as response:
            with pytest.raises(TimedOutError, match="too slowly"):
                await drained(response)
        await session.aclose()


async def test_a_piece_stays_until_the_next_but_one():
    """A piece is as it was after the next call; later its memory holds something else."""

    def script(peer):
        peer.request()
        peer.send(framed(BODY))

    with hostile(script) as server:
        session = opened(server)
        before = None
        lent = []
        async with session.open(STREAM, TOKEN) as response:
            with response.bulk() as bulk:
                async for piece in pieces(bulk):
                    if before is not None:
                        assert bytes(before[0]) == before[1]
                    lent.append(before := (piece, bytes(piece)))
        await session.aclose()
    assert b"".join(copy for _, copy in lent) == BODY
    assert any(bytes(piece) != copy for piece, copy in lent)


def test_memory_is_bounded_and_used_again():
    """So many bodies at once, and no more; a pair is used again, unless it may still be read."""
    blocks = Blocks(16 << 20)
    long = blocks.take(1 << 30)
    pairs = [blocks.take(1 << 30) for _ in range(4)]
    assert sum(map(len, long)) == 8 << 20
    assert all(sum(map(len, pair)) == 2 << 20 for pair in pairs)
    assert blocks.take(1 << 30) is None
    blocks.give_back(pairs[0], spoilt=True)
    fresh = blocks.take(1 << 30)
    assert fresh is not None
    assert not any(one is two for one in fresh for two in pairs[0])
    blocks.give_back(pairs[1], spoilt=False)
    assert blocks.take(1 << 30) is pairs[1]
    for pair in (long, fresh, *pairs[1:]):
        blocks.give_back(pair, spoilt=False)
    assert blocks.take(5 << 20) is pairs[3]


def ranged(peer, cut_at=None):
    """Serve the body, from where it is asked for; the first answer is cut."""
    head = peer.request()
    start = int(head.partition(b"bytes=")[2].partition(b"-")[0] or 0)
    validator = b'ETag: "v1"\r\nAccept-Ranges: bytes\r\n'
    if start:
        about = b"Content-Range: bytes %d-%d/%d\r\n" % (start, len(BODY) - 1, len(BODY))
        status = b"HTTP/1.1 206 Partial Content\r\n"
    else:
        about, status = b"", HEAD
    length = b"Content-Length: %d\r\n\r\n" % (len(BODY) - start)
    rest = BODY[start:]
    peer.send(status + about + validator + length + rest[: None if start else cut_at])
    return start


async def saved(server, target, record=None, **more):
    item = record or File(id="r", name="n", mime_type="a/b", size=len(BODY))
    retry = Retry(attempts=3, first_wait=0.01)
    async with Paragon(base_url=server.url, token="t", retry=retry) as paragon:
        return await paragon.user("u").records.download("s", item, target, **more)


async def test_a_download_goes_on_after_a_cut(tmp_path):
    """A large content that is cut is resumed at the byte, and whole by its hash; progress only grows."""
    starts, told = [], []

    def script(peer):
        starts.append(ranged(peer, cut_at=7_000_001))

    with hostile(script) as server:
        done = await saved(server, tmp_path / "f", progress=lambda come, _: told.append(come))
    assert done.sha256 == SUM == hashlib.sha256((tmp_path / "f").read_bytes()).hexdigest()
    assert starts == [0, 7_000_001]
    assert told == sorted(told)
    assert told[-1] == len(BODY)
    assert os.listdir(tmp_path) == ["f"]


async def test_more_than_was_promised_is_refused(tmp_path):
    """A large content that is longer than its record says ends the download, and leaves nothing."""
    item = File(id="r", name="n", mime_type="a/b", size=len(BODY) - 1)
    with hostile(ranged) as server, pytest.raises(DownloadError, match="promises"):
        await saved(server, tmp_path / "f", item)
    assert os.listdir(tmp_path) == []


class Full(SystemDisk):
    """Has room for 3 MB."""

    left = 3_000_000

    def write(self, file, data):
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "full")
        super().write(file, data)


async def test_a_full_disk_leaves_nothing(tmp_path):
    """A disk that fills up in the middle is one error, and no part stays."""
    with hostile(ranged) as server, pytest.raises(DownloadError) as caught:
        await saved(server, tmp_path / "f", disk=Full())
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []


class Held(SystemDisk):
    """Waits in the middle of a write until it is told to go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, file, data):
        if len(data) > 500_000:
            self.begun.set()
            self.before = bytes(data)
            self.go_on.wait(30)
            self.after = bytes(data)
        super().write(file, data)


async def test_a_cancelled_download_lets_nobody_write_over_what_is_being_written(tmp_path):
    """While the thread of a cancelled download still writes, others get memory of their own."""
    disk = Held()

    def script(peer):
        while True:
            ranged(peer)

    with hostile(script) as server:
        item = File(id="r", name="n", mime_type="a/b", size=len(BODY))
        async with Paragon(base_url=server.url, token="t") as paragon:
            download = paragon.user("u").records.download
            task = asyncio.create_task(download("s", item, tmp_path / "a", disk=disk))
            await asyncio.to_thread(disk.begun.wait, 30)
            task.cancel()
            for number in range(3):
                other = await download("s", item, tmp_path / f"b{number}")
                assert other.sha256 == SUM
            disk.go_on.set()
            await asyncio.wait([task])
    assert task.cancelled()
    assert disk.before == disk.after
    assert sorted(os.listdir(tmp_path)) == ["b0", "b1", "b2"]
