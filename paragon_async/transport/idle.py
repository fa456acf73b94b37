"""What came on a connection while nobody was asked anything. Source: failures.md finding 3."""

from __future__ import annotations

import asyncio
import select
import weakref

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

_used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()


class StrayError(Exception):
    """Stands for a connection that was given up before the request was written to it."""

    was_sent = False


def refuse_strays(connection: Connection) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return both ends of a connection that is fit for a request.

    One on which bytes came unasked is closed, with `StrayError`: they would answer the request.
    """
    protocol, transport = connection.protocol, connection.transport
    # What TLS says after its handshake waits on a new connection, and is no answer.
    waits = protocol in _used and has_come(transport)
    if protocol is None or transport is None or waits or protocol.should_close:
        connection.close()
        raise StrayError
    _used.add(protocol)
    return protocol, transport


def has_come(transport: asyncio.Transport | None) -> bool:
    """Tell whether the system holds bytes, or an end, that the loop had no time to look at yet.

    A caller that works between two requests without waiting for anything keeps the loop from it.
    Where the system has no way to ask, the answer is no.
    """
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))
