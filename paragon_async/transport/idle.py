"""What came on a connection while nobody was asked anything. Source: failures.md finding 3."""

from __future__ import annotations

import asyncio
import select


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
