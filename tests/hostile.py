"""A server on a bare socket that does just what its script says: HTTP at its worst."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

if sys.platform == "linux":
    import fcntl
    import termios


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket, server: Hostile) -> None:
        self.socket = connection
        self.server = server

    def request(self) -> bytes:
        """Read one request with its body, and keep it."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += self.socket.recv(65536)
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return head

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def deliver(self, data: bytes) -> None:
        """Send, and return when the system of the other side has it: a busy one delivers it later."""
        # Else a second small answer waits for the first to be acknowledged.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(data)
        if sys.platform == "linux":
            for _ in range(1000):
                # SIOCOUTQ, by its other name: how much is not yet acknowledged.
                left = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
                if not int.from_bytes(left, sys.byteorder):
                    break
                time.sleep(0.001)

    def reply(self, body: bytes = b"{}", status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Send RST, once the other side has read what was sent."""
        time.sleep(0.1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait(self, seconds: float = 5.0) -> None:
        """Do nothing until the test is over."""
        self.server.over.wait(seconds)


class Hostile:
    """Runs *script* for every connection, in a thread of its own."""

    def __init__(self, script: Callable[[Peer], None]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.script(Peer(connection, self))
        connection.close()


@contextmanager
def hostile(script: Callable[[Peer], None]) -> Iterator[Hostile]:
    server = Hostile(script)
    server.start()
    try:
        yield server
    finally:
        server.stop()
