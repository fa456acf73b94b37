"""A bad network between a client and a service, on one machine and without root: a relay of TCP.

rate        bytes a second, of all connections together
most        bytes that one connection may bring before it is reset
cut         the share of connections that are reset sooner, at any byte
dark        between `darken` and `lighten` nothing comes through, in either direction
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

_PIECE = 16 << 10
_AT_ONCE = struct.pack("ii", 1, 0)


@attrs.define(eq=False, kw_only=True)
class Relay:
    """Stands between, and counts what it does to whom."""

    dice: object
    rate: float = 2_500_000.0
    most: int = 1_000_000
    cut: float = 0.0
    resets: int = 0
    cuts: int = 0
    connections: int = 0
    given_up: int = 0
    _free: float = 0.0
    _light: asyncio.Event = attrs.field(factory=asyncio.Event)
    _running: set = attrs.field(factory=set)

    def darken(self):
        self._light.clear()

    def lighten(self):
        self._light.set()

    @property
    def is_dark(self):
        return not self._light.is_set()

    @asynccontextmanager
    async def before(self, url):
        """Listen in front of the service at *url*; the value is the URL to go to instead."""
        place = urlsplit(url)

        async def serve(reader, writer):
            self._running.add(asyncio.current_task())
            try:
                # Cancelled, it is at its end as well: the relay is closed.
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await self._serve(reader, writer, place)
            finally:
                self._running.discard(asyncio.current_task())
                writer.close()

        self.lighten()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in list(self._running):
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader, writer, place):
        self.connections += 1
        back, forth = await asyncio.open_connection(place.hostname, place.port)
        is_cut = self.dice.random() < self.cut
        room = self.dice.randrange(self.most) if is_cut else self.most
        try:
            asking = asyncio.ensure_future(self._pump(reader, forth, None))
            answering = asyncio.ensure_future(self._pump(back, writer, room))
            leaving = asyncio.ensure_future(self._left_in_the_dark(reader))
            ends = [asking, answering, leaving]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and answering.exception() is None and answering.result() >= room:
                self.cuts += is_cut
                self.resets += not is_cut
                _reset(writer)
        finally:
            forth.close()
            for each in ends:
                each.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _pump(self, reader, writer, room):
        """Carry bytes until there are no more, or until *room* is used up; return how many it were."""
        done = 0
        while room is None or done < room:
            piece = await reader.read(_PIECE if room is None else min(_PIECE, room - done))
            if not piece:
                break
            await self._light.wait()
            await self._turn(len(piece))
            writer.write(piece)
            await writer.drain()
            done += len(piece)
        return done

    async def _left_in_the_dark(self, reader):
        """Wait until the client hangs up while nothing comes through; without an end otherwise."""
        while not (self.is_dark and (reader.at_eof() or reader.exception())):  # noqa: ASYNC110  # a stream tells nobody
            await asyncio.sleep(0.02)
        self.given_up += 1

    async def _turn(self, size):
        """Wait for the turn of so many bytes on the one line that all share."""
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + size / self.rate
        if self._free - now > 0.01:
            await asyncio.sleep(self._free - now)


def _reset(writer):
    """Send RST instead of an end."""
    line = writer.get_extra_info("socket")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
