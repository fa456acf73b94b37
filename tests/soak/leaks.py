"""Steps that leak on purpose: a watch that does not find them proves nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

_KEPT = []


async def descriptor(_):
    """Leave a file open."""
    os.dup(1)


async def connection(_):
    """Leave a connection open."""
    _KEPT.append(socket.socketpair())


async def task(_):
    """Leave a task waiting."""
    _KEPT.append(asyncio.create_task(asyncio.Event().wait()))


async def thread(_):
    """Leave a thread waiting."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()


async def memory(_):
    """Keep a few megabytes, in one piece: what a buffer of an extension would be."""
    _KEPT.append(bytearray(os.urandom(1 << 20)) * 4)


async def objects(_):
    """Keep some small objects, such as an entry for each record."""
    _KEPT.append([object() for _ in range(300)])


LEAKS = {work.__name__: work for work in (descriptor, connection, task, thread, memory, objects)}
