"""A bare socket between a client and the emulator: true answers, until a script is told to spoil one.

    Wire        listens; every request goes on to the emulator, its answer back, or to a script
    Peer        one request as a script sees it, with the true answer to it
    Plan        which requests are spoiled, and how often the first of them was sent

All of it runs in the loop of the service, in a thread of its own: the loop under test holds nothing but
the client's doing. A script that returns true leaves the connection open.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import struct
from collections import Counter

import attrs

_HOP = {"content-length", "transfer-encoding", "connection"}
_TURNS = 5
_LAST = b"LAST\r\n\r\n"


@attrs.frozen
class Answer:
    """What the emulator said."""

    status: int
    reason: str
    headers: dict
    body: bytes


@attrs.define
class Plan:
    """Tells which requests are hit: those at a point, the first alone or all of them."""

    at: object
    script: tuple = ()
    lasting: bool = True
    first: str | None = None
    hits: int = 0
    seen: Counter = attrs.field(factory=Counter)

    def hit(self, target):
        """Count a request; return the script that spoils it, or None."""
        self.seen[target] += 1
        if not self.at(target):
            return None
        self.first = self.first or target
        self.hits += 1
        if len(self.script) > 1:
            return self.script[self.hits - 1] if self.hits <= len(self.script) else None
        return self.script[0] if self.script and (self.lasting or self.hits == 1) else None

    @property
    def attempts(self):
        """How often the server saw the first request that was hit."""
        return self.seen[self.first]


NOTHING = Plan(lambda _: False)


class Peer:
    """One request, and its connection."""

    def __init__(self, wire, reader, writer, target, headers, answer):
        self.wire, self.target, self.headers, self.answer = wire, target, headers, answer
        self._reader, self._writer = reader, writer

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def reply(self, body=None, *lines, status=None, chunked=False, bare=False):
        """Send an answer, by default the true one; *lines* are more headers."""
        body = self.answer.body if body is None else body
        await self.send(self.head(len(body), *lines, status=status, chunked=chunked, bare=bare))
        await self.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked and body else body)
        return True

    def head(self, length, *lines, status=None, chunked=False, bare=False):
        """Return a head that announces a length, chunks, or, *bare*, neither."""
        first = status or f"{self.answer.status} {self.answer.reason}"
        framing = [] if bare else [f"Content-Length: {length}"]
        if chunked:
            framing = ["Transfer-Encoding: chunked"]
        kept = [f"{key}: {value}" for key, value in self.answer.headers.items()]
        return "\r\n".join([f"HTTP/1.1 {first}", *kept, *framing, *lines, "", ""]).encode()

    async def read(self):
        """Wait until the client's loop has surely read what was sent."""
        await self.wire.turns()

    async def reset(self):
        """Send RST, once the client has read what was sent."""
        await self.read()
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()

    async def drip(self, data, each):
        for n in range(len(data)):
            await self.send(data[n : n + 1])
            await asyncio.sleep(each)
        await self.gone()

    async def gone(self):
        """Do nothing until the client hangs up."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(1 << 16):
                pass


class Wire:
    """The server; *ask* asks the emulator. It listens for all cells, for one after the other.

    A server that is closed just as somebody comes would leave a socket open.
    """

    def __init__(self, ask):
        self.ask, self.records = ask, []
        self.connections = set()
        self._servers = []
        self.begin(None)

    async def start(self):
        for host in ("127.0.0.1", "127.0.0.2"):
            self._servers.append(await asyncio.start_server(self._serve, host, 0))
        self.port, other = (server.sockets[0].getsockname()[1] for server in self._servers)
        self.url, self.elsewhere = f"http://127.0.0.1:{self.port}", f"http://127.0.0.2:{other}"

    def begin(self, loop, *, ranges=False, fresh=False):
        """Begin a cell, whose client lives in *loop*."""
        self._loop, self._ranges, self._fresh = loop, ranges, fresh
        self.plan, self.strangers, self.strays = NOTHING, [], 0

    async def left(self):
        """Wait until every client has hung up, also one that came and went before it was let in."""
        async with asyncio.timeout(20):
            for server in self._servers:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                # Connections are let in one after the other: those before this one are in by then.
                writer.write(_LAST)
                await reader.read()
                writer.close()
            while self.connections:  # each ends with its client
                await asyncio.wait(set(self.connections))

    async def cleared(self):
        """End whatever a cell that failed left behind."""
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    def close(self):
        for server in self._servers:
            server.close()

    async def turns(self):
        """Let the client's loop look at its sockets a few times; no task of it is made."""
        done = concurrent.futures.Future()

        def turn(left):
            if left:
                self._loop.call_soon(turn, left - 1)
            elif done.set_running_or_notify_cancel():
                done.set_result(None)

        self._loop.call_soon_threadsafe(turn, _TURNS)
        await asyncio.wrap_future(done)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the cell is over: asyncio would complain of a cancelled one
        finally:
            self.connections.discard(task)
            writer.close()

    async def _one(self, reader, writer):
        raw = await reader.readuntil(b"\r\n\r\n")
        if raw == _LAST:
            return False
        first, *lines = raw.decode("latin-1").rstrip().split("\r\n")
        _, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        is_stranger = writer.get_extra_info("sockname")[0] == "127.0.0.2"
        script = None if is_stranger else self.plan.hit(target)
        if is_stranger:
            # The address is what lets them in, as with one that is signed.
            self.strangers.append(headers)
            headers = headers | {"Authorization": self._token}
        self._token = headers["Authorization"]
        answer = await self.ask(target, headers)
        kept = {k: v for k, v in answer.headers.items() if self._keeps(k)}
        peer = Peer(self, reader, writer, target, headers, attrs.evolve(answer, headers=kept))
        if script:
            return await script(peer)
        await peer.reply(None, *(["Connection: close"] if self._fresh else []))
        return not self._fresh

    def _keeps(self, name):
        resumes = name.lower() in {"etag", "accept-ranges"}
        return name.lower() not in _HOP and (self._ranges or not resumes)
