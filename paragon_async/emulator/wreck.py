"""Bytes on the wire: whole when nothing is wrong, and broken in the way that a fault wants.

A broken answer is written past the HTTP server, straight to the connection: only so can its length lie,
its head stop half-way, its end be a reset. The connection is closed afterwards.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

from aiohttp import web

from paragon_async.emulator.faults import CUT, Fault

_PIECE = 1 << 20
_FULL = 1 << 20
_TICK = 0.02


async def pieces_of(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in pieces."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


async def send(
    request: web.Request,
    answer: web.StreamResponse,
    pieces: AsyncIterator[bytes],
    total: int | None,
) -> web.StreamResponse:
    """Send an answer with its body, chunked if *total* is None; who hangs up causes no error."""
    fault = request.get(CUT)
    try:
        if fault is None or not fault.is_on_wire:
            return await _whole(request, answer, pieces, total)
        await _broken(request, answer, pieces, total, fault)
    except ConnectionError:
        # The caller hung up: that is its right, and nothing to complain of.
        return answer
    return answer


async def _whole(
    request: web.Request,
    answer: web.StreamResponse,
    pieces: AsyncIterator[bytes],
    total: int | None,
) -> web.StreamResponse:
    fault = request.get(CUT)
    answer.headers.update({} if fault is None else fault.headers)
    if total is not None:
        answer.content_length = total
    await answer.prepare(request)
    async for piece in pieces:
        await answer.write(piece)
    await answer.write_eof()
    return answer


async def _broken(
    request: web.Request,
    answer: web.StreamResponse,
    pieces: AsyncIterator[bytes],
    total: int | None,
    fault: Fault,
) -> None:
    if request.transport is None:
        return
    wire = _Wire(request.transport, fault, is_chunked=total is None)
    headers = answer.headers.copy()
    headers.update(fault.headers)
    headers.update({"Connection": "close"} | _framing(total, fault))
    lines = [f"HTTP/1.1 {answer.status} {answer.reason or 'Fault'}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if await wire.head("\r\n".join([*lines, "", ""]).encode("latin-1", "replace")):
        await wire.body(pieces)
    await hang_up(request, fault)


def _framing(total: int | None, fault: Fault) -> dict[str, str]:
    if total is None:
        return {"Transfer-Encoding": "chunked"}
    return {"Content-Length": str(max(0, total + fault.length_off))}


class _Wire:
    """One connection and what is wrong with it."""

    def __init__(self, transport: asyncio.Transport, fault: Fault, *, is_chunked: bool) -> None:
        self._is_chunked = is_chunked
        self._transport = transport
        self._fault = fault
        self._sent = 0

    async def head(self, head: bytes) -> bool:
        """Send the head; return False if it stopped half-way."""
        if self._fault.stall_headers:
            self._transport.write(head[: len(head) // 2])
            await idle(self._transport, self._fault.stall_headers)
            return False
        if self._fault.drip_headers:
            for letter in head:
                if self._transport.is_closing():
                    return False
                self._transport.write(bytes([letter]))
                await idle(self._transport, self._fault.drip_headers)
        else:
            self._transport.write(head)
        return True

    async def body(self, pieces: AsyncIterator[bytes]) -> None:
        """Send the body as far as the fault lets it."""
        stop = self._fault.cut_after
        if self._fault.stall_after is not None:
            stop = self._fault.stall_after
        async for piece in pieces:
            part = self._spoiled(piece)
            if stop is not None:
                part = part[: max(0, stop - self._sent)]
            await self._write(self._framed(part))
            self._sent += len(piece)
            if stop is not None and self._sent >= stop:
                break
        else:
            await self._write(b"0\r\n\r\n" if self._is_chunked else b"")
        if self._fault.stall_after is not None:
            await idle(self._transport, self._fault.stall)

    def _framed(self, part: bytes) -> bytes:
        # An empty chunk would be the end.
        return b"%x\r\n%b\r\n" % (len(part), part) if self._is_chunked and part else part

    def _spoiled(self, piece: bytes) -> bytes:
        at = -1 if self._fault.corrupt_at is None else self._fault.corrupt_at - self._sent
        if not 0 <= at < len(piece):
            return piece
        return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]

    async def _write(self, part: bytes) -> None:
        step = self._fault.drip_body or len(part) or 1
        for start in range(0, len(part), step):
            if self._transport.is_closing():
                return
            self._transport.write(part[start : start + step])
            if self._fault.drip_body:
                await idle(self._transport, self._fault.drip_every)
        while self._transport.get_write_buffer_size() > _FULL and not self._transport.is_closing():  # noqa: ASYNC110  # a transport tells nobody
            await asyncio.sleep(_TICK)


async def idle(transport: asyncio.BaseTransport | None, seconds: float) -> None:
    """Do nothing, but not longer than anybody is there to see it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while transport and (left := end - loop.time()) > 0 and not transport.is_closing():  # noqa: ASYNC110  # a transport tells nobody
        await asyncio.sleep(min(left, _TICK))


async def hang_up(request: web.Request, fault: Fault | None) -> None:
    """End the connection, by closing or by reset."""
    transport = request.transport
    if transport is None:
        return
    if fault is not None and fault.reset:
        # The client has to read what was sent before a reset throws it away.
        await asyncio.sleep(0.05)
        if transport.is_closing():
            return
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.close()
