"""Large bodies, read from the connection into blocks that are used again. Source: performance.md, 4.

aiohttp makes an object of each read, and its parser copies that. A body of known length that needs no
decoding needs no parser: its connection gets another protocol here until the last byte has come, and
its own one back after that, so it is kept for other requests as usual.

Bulk.next()   what came, b"" at the end
Blocks        the memory of one client, bounded; who finds it taken reads as usual
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from paragon_async.errors import CutShortError, ParagonError, TimedOutError
from paragon_async.transport.pace import Pace
from paragon_async.transport.protocols import Timeouts

LEAST = 4 << 20
_BLOCK = 1 << 20
# Newer kernels keep a file in pieces as large as its writes: a long one is written in half the time.
_LONG = 64 << 20
_BLOCK_OF_A_LONG_ONE = 4 << 20
_MOST = 32 << 20
# A slow body is handed on before a block is full: progress is to be seen, and a cut to lose little.
_LONGEST = 0.25

Pair = tuple[bytearray, bytearray]


class Blocks:
    """Pairs of buffers, for as many bodies at once as fit *most* bytes.

    Large ones are for a long body that is alone: beside others they gain nothing.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._used = 0
        self._kept: list[Pair] = []

    def take(self, left: int) -> Pair | None:
        """Return a pair for a body of *left* bytes, or None where too much is in use."""
        size = _BLOCK if self._used or left < _LONG else _BLOCK_OF_A_LONG_ONE
        if self._used + 2 * size > self._most:
            return None
        self._used += 2 * size
        for number, pair in enumerate(self._kept):
            if len(pair[0]) == size:
                return self._kept.pop(number)
        return bytearray(size), bytearray(size)

    def give_back(self, pair: Pair, *, spoilt: bool) -> None:
        """Take a pair back; a *spoilt* one may still be read, and is not written over."""
        self._used -= sum(map(len, pair))
        if not self._used:
            self._kept = []
        if not spoilt:
            self._kept.append(pair)


class Bulk(asyncio.BufferedProtocol):
    """The rest of a body. *left* bytes are to come after *come*, which aiohttp has read already.

    *ended* is called once they have, with *home* as the transport's protocol again. Leave it as a
    context manager: only a body that ended whole gives its buffers back to be written over.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        home: asyncio.BaseProtocol,
        come: bytes,
        left: int,
        *,
        ended: Callable[[], None],
        blocks: Blocks,
        pair: Pair,
        timeouts: Timeouts,
        host: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._home = home
        self._left = left
        self._ended = ended
        self._blocks = blocks
        self._pair: Pair | None = pair
        self._idle = timeouts.idle
        self._pace = Pace(timeouts.slowest, timeouts.window)
        self._host = host
        # Each with the block that it lies in; what aiohttp had read lies in none.
        self._ready: deque[tuple[memoryview, memoryview | None]] = deque()
        self._lent: deque[memoryview | None] = deque()
        if come:
            self._ready.append((memoryview(come), None))
        self._free = [memoryview(buffer) for buffer in pair]
        self._block: memoryview | None = self._free.pop()
        self._filled = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: ParagonError | None = None
        self._heard = self._begun = self._loop.time()
        self._watch = self._loop.call_later(self._idle, self._look)
        self._hand_over(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        pair, self._pair = self._pair, None
        if pair is not None:
            # A thread may still be writing from what was lent to somebody who was cancelled.
            self._blocks.give_back(pair, spoilt=kind is not None or self._left > 0)

    async def next(self) -> memoryview | bytes:
        """Return what came, b"" at the end. It stays as it is until the next but one call.

        Raises what `Response.next_chunk` raises. Cancelling leaves the body where it was.
        """
        while len(self._lent) > 1:
            self._reuse(self._lent.popleft())
        waited = 0.0
        while not self._ready:
            if self._error:
                raise self._error
            if not self._left:
                return b""
            before = self._loop.time()
            self._waiter = self._loop.create_future()
            await self._waiter
            waited += self._loop.time() - before
        piece, block = self._ready.popleft()
        self._lent.append(block)
        if self._pace.too_slow(len(piece), waited):
            raise TimedOutError("the body comes too slowly to be alive")
        return piece

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's name
        """Offer the rest of a block, and never room for more than the body."""
        assert self._block is not None  # noqa: S101  # without a block reading is paused
        return self._block[self._filled : self._filled + self._left]

    def buffer_updated(self, nbytes: int) -> None:
        """Note that *nbytes* came."""
        self._filled += nbytes
        self._left -= nbytes
        self._heard = self._loop.time()
        if not self._left:
            self._watch.cancel()
            self._hand_on()
            self._hand_over(self._home)
            self._ended()
        elif self._filled == len(self._block or b"") or self._is_late():
            self._hand_on()
            if self._block is None:
                self._transport.pause_reading()

    def eof_received(self) -> None:
        """Let the transport close itself, which tells us that the connection is lost."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End a body that is not whole; whose connection it was hears of it, too."""
        self._fail(CutShortError(f"the answer of {self._host} ended too early"))
        self._home.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on: the request's own affair."""
        self._home.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on: the request's own affair."""
        self._home.resume_writing()

    def _is_late(self) -> bool:
        waiting = self._waiter is not None and not self._waiter.done()
        return waiting and self._heard - self._begun > _LONGEST

    def _hand_over(self, protocol: asyncio.BaseProtocol) -> None:
        # uvloop looks at what its protocol can do only when it begins to read.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()

    def _hand_on(self) -> None:
        block = self._block
        if block is not None and self._filled:
            self._ready.append((block[: self._filled], block))
            self._block = self._free.pop() if self._free else None
            self._filled, self._begun = 0, self._heard
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _reuse(self, block: memoryview | None) -> None:
        if block is None:
            return
        if self._block is not None:
            self._free.append(block)
            return
        self._block = block
        # The time in which nobody wanted anything is not the service's.
        self._heard = self._begun = self._loop.time()
        self._transport.resume_reading()

    def _look(self) -> None:
        """Give up when nothing came for too long, though something was wanted."""
        now = self._loop.time()
        since = self._heard if self._block is not None else now
        if now - since < self._idle:
            self._watch = self._loop.call_at(since + self._idle, self._look)
            return
        self._fail(TimedOutError(f"{self._host} sent nothing for too long"))
        self._transport.abort()

    def _fail(self, error: ParagonError) -> None:
        """End with *error*, after all that has come."""
        self._watch.cancel()
        self._error = self._error or error
        self._hand_on()
