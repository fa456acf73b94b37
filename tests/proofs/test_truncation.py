"""Every cut of a small answer, in every framing: found wherever anything can show it (R13).

What can show that a body is not whole: its length, the last of its chunks, the end of its gzip, a
reset instead of an end, the size that the record promises, and JSON itself. A body that is marked by
nothing and ends as connections do end cannot be told from a whole one by anybody: then the claim is
what counts, and there must be none.

Most cuts go through aiohttp's parser over a wire in memory; those that nothing but the end can tell go over sockets, too.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct

import aiohttp
import pytest

from paragon_async import CutShortError, DownloadError, File, Paragon, ParagonError, Retry
from paragon_async.ingest import FolderSink, Ingest, State
from tests.proofs.framings import (
    BODY,
    FRAMINGS,
    SIZE,
    all_of,
    cuts,
    every_framing,
    every_reframing,
    reframed,
    unnoticed,
    with_length,
)
from tests.proofs.memory import FIN, RST, Memory, records_of

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
S = "sync-1"


def every(step, answers):
    """Return the numbers of every few answers, and of the last one, which is whole."""
    return [*range(0, len(answers) - 1, step), len(answers) - 1]


def asked_for(url):
    """Return the number of the cut, which stands where the record's id does."""
    return int(url.path.split("/")[-2])


async def streams(answers, end=FIN, step=1):
    """Read a content by hand for every answer, or every few, and for the last."""
    async with records_of(Memory(lambda url: (answers[asked_for(url)], end))) as records:

        async def one(k):
            async with records.content(S, str(k)) as content:
                return b"".join([chunk async for chunk in content.chunks()])

        return await all_of(one, every(step, answers))


async def downloads(answers, folder, *, end=FIN, size=None, step=1):
    """Store a content for every answer, or every few; the record promises *size*."""
    async with records_of(Memory(lambda url: (answers[asked_for(url)], end))) as records:

        async def one(k):
            record = File(id=str(k), name="f", mime_type="application/x-bin", size=size)
            return await records.download(S, record, folder / str(k), durability="none")

        found = await all_of(one, every(step, answers))
    saved = {str(k) for k, outcome in found.items() if not isinstance(outcome, ParagonError)}
    assert {path.name for path in folder.iterdir()} == saved
    return found


@every_framing
@pytest.mark.parametrize("end", [FIN, RST])
async def test_streams(framing, end):
    """A content read by hand is whole or an error at every cut, but for an unmarked, quiet end."""
    whole = FRAMINGS[framing](BODY)
    # Where the body is marked a reset is one more witness, and one cut in five will do.
    step = 5 if end == RST and framing != "close" else 1
    found = await streams(cuts(whole), end, step)
    if framing != "close":
        assert unnoticed(found) == [len(whole)]
        assert found[len(whole)] == BODY
    elif end == RST:
        assert unnoticed(found) == []
        assert isinstance(found[len(whole)], CutShortError)
    else:
        head = len(whole) - SIZE
        assert unnoticed(found) == list(range(head, len(whole) + 1))
        assert all(found[k] == BODY[: k - head] for k in unnoticed(found))


@every_reframing
async def test_streams_cut_before_they_were_framed(framing):
    """Gzip that ends too early is noticed, though its length or its last chunk agrees."""
    answers = reframed(framing, BODY)
    found = await streams(answers)
    assert unnoticed(found) == [len(answers) - 1]
    assert found[len(answers) - 1] == BODY


@every_framing
async def test_downloads(framing, tmp_path):
    """A file is stored only whole; where nothing can tell, its receipt claims nothing."""
    whole = FRAMINGS[framing](BODY)
    head = len(whole) - SIZE
    step = {"close": 1, "gzip+close": 5}.get(framing, 11)
    found = await downloads(cuts(whole), tmp_path, step=step)
    assert (tmp_path / str(len(whole))).read_bytes() == BODY
    if framing != "close":
        assert unnoticed(found) == [len(whole)]
        assert found[len(whole)].verified_by == ("length",)
    else:
        assert unnoticed(found) == list(range(head, len(whole) + 1))
        assert all(found[k].verified_by == () for k in unnoticed(found))
        assert all(found[k].size == k - head for k in unnoticed(found))


@every_framing
async def test_downloads_of_known_size(framing, tmp_path):
    """With the size of the record every cut is found, in every framing."""
    whole = FRAMINGS[framing](BODY)
    step = 1 if framing == "close" else 29
    found = await downloads(cuts(whole), tmp_path, size=SIZE, step=step)
    assert unnoticed(found) == [len(whole)]
    assert found[len(whole)].verified_by == (
        ("size",) if framing == "close" else ("length", "size")
    )


@every_framing
async def test_downloads_reset(framing, tmp_path):
    """A reset is never taken for an end, also where no length and no chunk marks one."""
    whole = FRAMINGS[framing](BODY)
    step = 5 if framing == "close" else 29
    found = await downloads(cuts(whole), tmp_path, end=RST, step=step)
    assert unnoticed(found) == ([] if framing == "close" else [len(whole)])


@every_reframing
async def test_downloads_cut_before_they_were_framed(framing, tmp_path):
    """Gzip that ends too early is never stored, whatever frames it."""
    answers = reframed(framing, BODY)
    found = await downloads(answers, tmp_path, step=7)
    assert unnoticed(found) == [len(answers) - 1]


async def test_a_length_that_agrees_with_the_cut(tmp_path):
    """A plain body that was cut before it was framed is found by the record's size alone."""
    answers = [with_length(BODY[:k]) for k in range(0, SIZE + 1, 8)]
    found = await downloads(answers, tmp_path, size=SIZE)
    assert unnoticed(found) == [len(answers) - 1]
    assert {type(error) for error in list(found.values())[:-1]} == {DownloadError}


async def test_receipts(tmp_path):
    """An ingest writes no receipt for a content that was found cut, and no claim it has no ground for."""
    kinds = [("close", FIN, None), ("close", FIN, SIZE), ("close", RST, None), ("length", FIN, None), ("gzip+close", FIN, None)]  # fmt: skip
    # Mixed: nothing but failures for a while is taken for an outage, which ends a run.
    table = [(*kind, k) for k in (*range(200, SIZE, 487), None) for kind in kinds]
    items = [
        {"id": str(n), "name": f"{n}.bin", "mimeType": "application/x-bin", "size": size}
        for n, (_, _, size, _) in enumerate(table)
    ]
    said = {
        "syncs": {"data": []},
        S: {"id": S, "status": "IDLE"},
        "records": {"data": items, "paging": {"cursor": "c", "remainingRecords": 0}},
    }

    def answers(url):
        name = url.path.split("/")[-1]
        if name in said:
            return with_length(json.dumps(said[name]).encode()), FIN
        framing, end, _, k = table[asked_for(url)]
        return FRAMINGS[framing](BODY)[:k], end

    async with aiohttp.ClientSession(connector=Memory(answers)) as wire:
        once = Retry(attempts=1)
        made = Paragon(token="t", base_url="http://localhost", session=wire, retry=once)
        async with made as client, State(tmp_path) as state:
            ingest = Ingest(client.user(), S, FolderSink(tmp_path), state)
            await ingest.run()
            book = await state.book(ingest.feed, FolderSink(tmp_path).identity)
            receipts = {int(r.id): r async for block in book.receipts() for r in block}
    silent = {n for n, row in enumerate(table) if row[:3] == kinds[0]}
    proved = {n for n, (_, end, _, k) in enumerate(table) if k is None and end == FIN} - silent
    assert receipts.keys() == silent | proved
    assert all(not receipts[n].verified_by for n in silent)
    assert all(receipts[n].verified_by and receipts[n].size == SIZE for n in proved)


@every_framing
async def test_on_sockets(framing):
    """Over sockets, too, cuts of every framing are found, but for an unmarked, quiet end."""
    whole = FRAMINGS[framing](BODY)
    async with serving(lambda k: whole[:k], reset=False) as found_by:
        step = 1 if framing == "close" else 5
        found = await found_by(every(step, cuts(whole)))
    silent = list(range(len(whole) - SIZE, len(whole) + 1))
    assert unnoticed(found) == (silent if framing == "close" else [len(whole)])
    assert found[len(whole)] == BODY


@every_framing
async def test_resets_on_sockets(framing):
    """Over sockets a reset is an error at every cut, whatever frames the body."""
    whole = FRAMINGS[framing](BODY)
    async with serving(lambda k: whole[:k], reset=True) as found_by:
        found = await found_by(range(0, len(whole), 11))
    assert unnoticed(found) == []


class serving:  # noqa: N801  # used as a function
    """A server that sends what *answer* says for a number, and ends; gives what reads them all."""

    def __init__(self, answer, *, reset):
        self.answer = answer
        self.reset = reset

    async def serve(self, reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer(int(request.split()[1].split(b"/")[-2])))
        if self.reset:
            wire = writer.get_extra_info("socket")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.records = records_of(url=f"http://127.0.0.1:{port}")
        records = await self.records.__aenter__()

        async def one(k):
            async with records.content(S, str(k)) as content:
                return await content.read()

        return lambda numbers: all_of(one, numbers)

    async def __aexit__(self, *_):
        await self.records.__aexit__(None, None, None)
        self.server.close()
        await self.server.wait_closed()
