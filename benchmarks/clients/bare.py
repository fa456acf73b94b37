"""The floor: sockets without a client, which neither check nor retry anything.

stream    each file after the other over one blocking connection, 256 KiB at a time
small     each file whole, written beside its place and renamed, over as many connections as asked
hash      SHA-256 of as many bytes, from memory: what a verified download cannot be faster than
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from benchmarks import corpus
from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.storing import place, put
from benchmarks.task import Figure, Item, Task

_PIECE = 256 * 1024
_END = b"\r\n\r\n"


def stream(task: Task) -> Figure:
    """Receive into one buffer, and write from it."""
    buffer = memoryview(bytearray(_PIECE))
    size = 0
    with socket.create_connection(_address(task)) as connection, Measure() as measure:
        for item in task.items:
            connection.sendall(_asking(task, item))
            with place(task, item).open("wb", buffering=0) as file:
                size += _copy(connection, buffer, file.fileno())
    return measure.figure(count=len(task.items), size=size)


def _copy(connection: socket.socket, buffer: memoryview, target: int) -> int:
    """Write the body of one answer; return its length."""
    head, come = -1, 0
    while head < 0:
        come += connection.recv_into(buffer[come:])
        head = bytes(buffer[:come]).find(_END)
    length = _length(bytes(buffer[:head]))
    left = length - os.write(target, buffer[head + len(_END) : come])
    while left:
        come = connection.recv_into(buffer)
        if not come:
            raise ConnectionError("the body is cut short")
        left -= os.write(target, buffer[:come])
    return length


async def small(task: Task) -> Figure:
    """Keep so many connections busy; each writes its file in the loop and asks for the next."""
    loop = asyncio.get_running_loop()
    # What a request is made of is known beforehand: there is nothing left but bytes.
    left = iter([(_asking(task, item), str(place(task, item))) for item in task.items])
    made = [
        await loop.create_connection(lambda: _Getter(left), *_address(task))
        for _ in range(task.concurrency)
    ]
    with Measure() as measure:
        for _, getter in made:
            getter.next()
        sizes = await asyncio.gather(*(getter.done for _, getter in made))
    for transport, _ in made:
        transport.close()
    return measure.figure(count=len(task.items), size=sum(sizes))


class _Getter(asyncio.Protocol):
    """One connection: it asks for files until none is left. *done* becomes the sum of their bytes."""

    def __init__(self, left: Iterator[tuple[bytes, str]]) -> None:
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._left = left
        self._size = 0
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._write: Callable[[bytes], None] = transport.write

    def next(self) -> None:
        """Ask for the next file."""
        request, self._path = next(self._left, (b"", ""))
        if request:
            self._write(request)
        else:
            self.done.set_result(self._size)

    def data_received(self, data: bytes) -> None:
        self._come += data
        if self._length is None:
            head = self._come.find(_END)
            if head < 0:
                return
            self._length = _length(bytes(self._come[:head]))
            del self._come[: head + len(_END)]
        if len(self._come) == self._length:
            self._size += put(self._path, self._come)
            self._begin()
            self.next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))

    def _begin(self) -> None:
        self._come = bytearray()
        self._length: int | None = None


def digest(task: Task) -> Figure:
    """Hash as many bytes, one MiB at a time, as a download hashes what it holds."""
    hasher, size = hashlib.sha256(), 0
    block = next(corpus.content(1, 1 << 20))
    with Measure() as measure:
        for item in task.items:
            for start in range(0, item.size, len(block)):
                hasher.update(block[: item.size - start])
            size += item.size
    return measure.figure(count=len(task.items), size=size)


def _address(task: Task) -> tuple[str, int]:
    parts = urlsplit(task.base_url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def _asking(task: Task, item: Item) -> bytes:
    parts = urlsplit(task.content_url(item))
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in task.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _length(head: bytes) -> int:
    """Read the announced length of the body: this client knows no other framing."""
    status, *fields = head.decode("latin-1").split("\r\n")
    if " 200 " not in status:
        raise ConnectionError(status)
    named = (field.partition(":") for field in fields)
    return next(int(value) for name, _, value in named if name.lower() == "content-length")


if __name__ == "__main__":
    perform({"stream": stream, "small": small, "hash": digest})
