"""A wire in memory: aiohttp's own parser and our session over it, and no socket below.

    Memory       a connector whose connections each give one answer, chosen by the request's URL
    records_of   the records of a sync, asked over such a wire

Thousands of broken answers a second, each broken in the same place every time.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.client_proto import ResponseHandler

from paragon_async import FixedToken, Limits, Retry, Timeouts
from paragon_async.api.records import Records
from paragon_async.transport.channel import Channel
from paragon_async.transport.gate import Gate
from paragon_async.transport.retry import RetryBudget
from paragon_async.transport.session import AiohttpSession
from tests.fakes import FakeClock

FIN, RST = "fin", "rst"
_PACKET = 1448


class Wire(asyncio.Transport):
    """One connection: gives its answer once it was asked, and then ends."""

    def __init__(self, protocol, answer, end):
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.protocol = protocol
        self.answer = answer
        self.end = end
        self.asked = b""
        self.over = False

    def write(self, data):
        self.asked += data
        if self.asked.endswith(b"\r\n\r\n"):
            self.loop.call_soon(self.give)

    def give(self):
        if self.answer and not self.over:
            piece, self.answer = self.answer[:_PACKET], self.answer[_PACKET:]
            self.protocol.data_received(piece)
        self.loop.call_soon(*((self.give,) if self.answer else (self.lose, self.end)))

    def lose(self, end):
        if self.over:
            return
        self.over = True
        error = ConnectionResetError(errno.ECONNRESET, "reset") if end == RST else None
        if end == FIN:
            self.protocol.eof_received()
        self.protocol.connection_lost(error)

    def close(self):
        self.loop.call_soon(self.lose, None)

    abort = close

    def is_closing(self):
        return self.over

    def pause_reading(self):
        """All has come already."""

    resume_reading = pause_reading


class Memory(aiohttp.BaseConnector):
    """Opens a wire for every request: *answers* says what comes for a URL, and how it ends."""

    def __init__(self, answers):
        super().__init__(force_close=True, limit=0)
        self.answers = answers

    async def _create_connection(self, req, traces, timeout):  # noqa: ASYNC109  # aiohttp's form
        protocol = ResponseHandler(asyncio.get_running_loop())
        protocol.connection_made(Wire(protocol, *self.answers(req.url)))
        return protocol


@asynccontextmanager
async def records_of(connector=None, url="http://memory", attempts=1):
    """Make the records of a user over *connector*, or over sockets to *url*."""
    given = aiohttp.ClientSession(connector=connector) if connector else None
    session = AiohttpSession(url, Timeouts(), given)
    clock, retry = FakeClock(), Retry(attempts=attempts, budget=1_000_000)
    channel = Channel(
        session=session,
        tokens=FixedToken("fixed-token"),
        gate=Gate(Limits(), clock),
        retry=retry,
        budget=RetryBudget(retry.budget),
        timeouts=Timeouts(),
        clock=clock,
    )
    try:
        yield Records(channel, "u1")
    finally:
        await session.aclose()
        if given:
            await given.close()
