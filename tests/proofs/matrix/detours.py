"""Faults that come before any request: sessions that lead to where no service is.

Each is a context manager over a `Place` that gives an `AiohttpSession`; requests at the point that is
hit go through it, all others through the true one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, closing

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver

from paragon_async.transport.session import AiohttpSession
from tests.proofs.matrix import tls


@attrs.frozen
class Place:
    """Where a detour is made: a folder, a wire, the loop of the service, and deadlines."""

    room: object
    wire: object
    served: object
    timeouts: object


class Detour:
    """A session in front of two."""

    def __init__(self, true, other, plan):
        self._true, self._other, self._plan = true, other, plan

    def open(self, request, token):
        query = f"?cursor={request.query.get('cursor')}" if "cursor" in request.query else "?"
        hit = self._plan.hit(request.path + ("" if request.streams else query.rstrip("?")))
        return (self._true if hit is None else self._other).open(request, token)

    async def aclose(self):
        """Nothing: both are closed by who made them."""


@asynccontextmanager
async def _session(place, url, **connector):
    made = None
    if connector:
        made = aiohttp.ClientSession(connector=aiohttp.TCPConnector(**connector))
    session = AiohttpSession(url, place.timeouts, made)
    try:
        yield session
    finally:
        await session.aclose()
        if made:
            await made.close()


@asynccontextmanager
async def refused(place):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    async with _session(place, f"http://127.0.0.1:{port}") as session:
        yield session


class Names(AbstractResolver):
    """A name server that does what it is told."""

    def __init__(self, answer):
        self._answer = answer

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return await self._answer(host, port)

    async def close(self):
        """Nothing is open."""


@asynccontextmanager
async def unknown_name(place):
    async def unknown(host, port):
        raise OSError(socket.EAI_NONAME, "Name or service not known")

    async with _session(place, "http://nowhere.invalid", resolver=Names(unknown)) as session:
        yield session


@asynccontextmanager
async def stalled_name(place):
    async def stalls(host, port):
        await asyncio.Event().wait()

    async with _session(place, "http://nowhere.invalid", resolver=Names(stalls)) as session:
        yield session


@asynccontextmanager
async def public(place):
    """The same service under a public name, from which nothing leads into a private network."""

    async def here(host, port):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET,
                 "proto": 0, "flags": socket.AI_NUMERICHOST}]  # fmt: skip

    url = f"http://api.example.com:{place.wire.port}"
    async with _session(place, url, resolver=Names(here)) as session:
        yield session


@asynccontextmanager
async def _listening(place, says=b"", **options):
    """A server that says one thing and no more, in the loop of the service."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            while await reader.read(1 << 16):
                writer.write(says)
        except (OSError, ssl.SSLError):
            pass  # whoever came has gone
        finally:
            writer.close()
            tasks.discard(asyncio.current_task())

    async def stop(server):
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = place.served.run(asyncio.start_server(serve, "127.0.0.1", 0, **options))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(stop(server), place.served.loop))


@asynccontextmanager
async def no_tls(place):
    async with (
        _listening(place) as port,
        _session(place, f"https://127.0.0.1:{port}") as session,
    ):
        yield session


@asynccontextmanager
async def old_tls(place):
    """What a server says that knows no TLS of today: an alert, protocol version."""
    async with (
        _listening(place, says=b"\x15\x03\x01\x00\x02\x02\x46") as port,
        _session(place, f"https://127.0.0.1:{port}") as session,
    ):
        yield session


def _certified(*, trusted=False, host="localhost", days=9):
    @asynccontextmanager
    async def detour(place):
        path = tls.write(place.room, host=host, days=days)
        trust = {"ssl": ssl.create_default_context(cafile=path)} if trusted else {}
        async with (
            _listening(place, ssl=tls.server(path)) as port,
            _session(place, f"https://localhost:{port}", **trust) as session,
        ):
            yield session

    return detour


CERTIFICATES = (
    _certified(),
    _certified(trusted=True, host="elsewhere.test"),
    _certified(trusted=True, days=1),
)
