"""Contents on the wire: ranges, what shrinks, who hangs up; and where the bytes come from."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from paragon_async.emulator import content
from paragon_async.emulator.errors import EmulatorError, Refusal
from paragon_async.emulator.sources import DiskSource, MemorySource, Shrunk, VirtualSource
from paragon_async.emulator.virtual import PIECE, VirtualFile, parse_size

KINDS = ["small", "large", "memory", "virtual"]


def whole(kind):
    if kind == "virtual":
        return VirtualFile(7, 3, 2_500_000).read(0, 2_500_000)
    return bytes(range(251)) * (40 if kind == "small" else 9_000)


@pytest.fixture
def source(tmp_path):
    def build(kind):
        if kind == "virtual":
            return VirtualSource(VirtualFile(7, 3, 2_500_000))
        if kind == "memory":
            return MemorySource(whole(kind), "text/plain")
        (tmp_path / kind).write_bytes(whole(kind))
        return DiskSource(tmp_path / kind, "text/plain")

    return build


@pytest.fixture
async def served():
    """Return a function that serves a source and gives the address."""
    runners = []

    async def start(source, *, ranges=True):
        async def answer(request):
            return await content.serve(request, source, ranges=ranges)

        app = web.Application()
        app.router.add_get("/", answer, allow_head=False)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.name

    yield start
    for runner in runners:
        await runner.cleanup()


async def get(url, **headers):
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.get(url, headers=named) as answer:
        return answer.status, await answer.read(), answer.headers


RANGES = [
    ("bytes=0-", 206, slice(0, None)), ("bytes=5-9", 206, slice(5, 10)), ("bytes=-4", 206, slice(-4, None)),
    ("bytes=0-99999999", 206, slice(0, None)), ("bytes=-99999999", 206, slice(None)), ("bytes=3-3", 206, slice(3, 4)),
    ("bytes=-", 200, slice(None)), ("lines=1-2", 200, slice(None)), ("bytes=0-1,4-5", 200, slice(None)),
    ("bytes=99999999-", 416, None), ("bytes=9-5", 416, None), ("bytes=-0", 416, None),
    (f"bytes={'9' * 5000}-", 416, None), ("bytes=٣-٤", 200, slice(None)), ("Bytes=5-9", 206, slice(5, 10)),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_ranges(source, served, kind):
    """A range gets exactly its bytes, whatever the source; nonsense gets the whole, or 416."""
    url, data = await served(source(kind)), whole(kind)
    for asked, status, part in RANGES:
        got, body, headers = await get(url, Range=asked)
        assert got == status, asked
        if part is None:
            assert headers["Content-Range"] == f"bytes */{len(data)}"
            continue
        assert body == data[part], asked
        assert int(headers["Content-Length"]) == len(body)
        if status == 206:
            assert headers["Content-Range"].endswith(f"/{len(data)}")


@pytest.mark.parametrize("kind", KINDS)
async def test_if_range(source, served, kind):
    """A range is honoured for the same bytes only; another ETag, a weak one or a date gets the whole."""
    url, data = await served(source(kind)), whole(kind)
    etag = (await get(url))[2]["ETag"]
    assert (await get(url, Range="bytes=5-", If_Range=etag))[:2] == (206, data[5:])
    for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert (await get(url, Range="bytes=5-", If_Range=other))[:2] == (200, data)


async def test_ranges_can_be_switched_off(source, served):
    """Without ranges there is neither ETag nor a partial answer."""
    status, body, headers = await get(await served(source("large"), ranges=False), Range="bytes=5-")
    assert (status, body) == (200, whole("large"))
    assert "ETag" not in headers and "Accept-Ranges" not in headers


async def test_a_content_range_names_its_bytes(source, served):
    """Content-Range tells the first and the last byte, and the size of the whole."""
    headers = (await get(await served(source("small")), Range="bytes=-4"))[2]
    size = len(whole("small"))
    assert headers["Content-Range"] == f"bytes {size - 4}-{size - 1}/{size}"


async def test_an_empty_file(tmp_path, served):
    """An empty file is an empty answer, and has no ranges."""
    (tmp_path / "empty").touch()
    url = await served(DiskSource(tmp_path / "empty", "text/plain"))
    assert (await get(url))[:2] == (200, b"")
    assert (await get(url, Range="bytes=0-"))[0] == 416


class Shrinking:
    size, etag, content_type = 4 * PIECE, '"x"', "text/plain"

    async def pieces(self, start, stop):
        yield bytes(PIECE)
        raise Shrunk


async def test_a_file_that_shrinks_while_it_is_sent(served, caplog):
    """The connection ends before the announced length: no stall, and nothing that looks complete."""
    with pytest.raises(aiohttp.ClientPayloadError):
        await asyncio.wait_for(get(await served(Shrinking())), 5)
    assert caplog.records == []


async def test_a_file_that_was_replaced(source, tmp_path):
    """Bytes of another file than the one that was announced are never sent."""
    for kind in ("small", "large"):
        old = source(kind)
        (tmp_path / "new").write_bytes(whole(kind)[::-1])
        (tmp_path / "new").replace(old.path)
        with pytest.raises(Shrunk):
            await anext(old.pieces(0, old.size))
        old.path.unlink()
        with pytest.raises(Shrunk):
            await anext(old.pieces(0, old.size))
        with pytest.raises(Refusal, match="not there"):
            DiskSource(old.path, "text/plain")


async def test_a_small_file_that_shrinks():
    """A small file that shrinks before anything is sent is refused with 503."""
    source = Shrinking()
    source.size = 100
    with pytest.raises(Refusal, match="ask again") as refusal:
        await content._whole(source, range(100))
    assert refusal.value.status == 503


async def test_a_caller_that_hangs_up(served, caplog):
    """A download that is given up half-way is no error, and the next one works."""
    url = await served(VirtualSource(VirtualFile(7, 1, 1 << 40)))
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert len(await answer.content.readexactly(PIECE)) == PIECE
    assert (await get(url, Range="bytes=-5"))[0] == 206
    assert caplog.records == []


def test_virtual_bytes():
    """Any range of a computed file is what the whole holds there; pieces and files differ."""
    file = VirtualFile(7, 3, 3 * PIECE + 5)
    data = file.read(0, file.size)
    assert len(data) == file.size
    edges = (
        0,
        1,
        15,
        16,
        17,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        3 * PIECE,
        file.size - 1,
        file.size,
        file.size + 9,
    )
    for start in edges:
        for stop in edges:
            assert file.read(start, stop) == data[start:stop]
    assert len({data[n * PIECE :][:16] for n in range(4)}) == 4
    assert VirtualFile(7, 4, 99).read(0, 99) != data[:99] != VirtualFile(8, 3, 99).read(0, 99)
    assert VirtualFile(7, 3, PIECE).sha256() and file.sha256() is None


def test_sizes():
    """Sizes are read with decimal and binary units; what is none is named."""
    sizes = {
        "0": 0,
        "512B": 512,
        "3KB": 3000,
        "3KiB": 3072,
        "32MiB": 32 << 20,
        "1GB": 10**9,
        "2gib": 2 << 30,
    }
    assert {text: parse_size(text) for text in sizes} == sizes
    for text in ("", "MiB", "-1", "1.5GiB", "3XB", "9" * 30, "9000TiB"):
        with pytest.raises(EmulatorError, match=r"32MiB|8192TiB"):
            parse_size(text)
