"""A server that answers canned bytes after a given latency: nginx cannot wait.

    python -m benchmarks.canned --ready FILE [--latency 0.02] [--records 100000] [--page-size 1000]
                                [--file-size 16384] [--vary]

It speaks just enough HTTP/1.1: GET, keep-alive, no pipelining, no ranges. Pages are those of `corpus`,
for any sync; those of `--page-size` are made beforehand, or, with `--vary` and for other sizes, at each
request. Every record's content is the same `--file-size` bytes. `GET /_canned/stats` tells how many
answers were under way at once, from the first request to the last answer, and begins anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks import corpus
from benchmarks.task import Item

_END = b"\r\n\r\n"


@contextlib.contextmanager
def canned(
    *,
    latency: float = 0.0,
    records: int = corpus.RECORDS,
    page_size: int = 1000,
    file_size: int = 0,
    vary: bool = False,
) -> Iterator[str]:
    """Run the server in a process of its own; yield its URL; end it by its process id.

    With *vary* pages are made as they are asked for, so that any number of records costs no memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        command = [sys.executable, "-m", "benchmarks.canned", "--ready", str(ready)]
        command += ["--latency", str(latency), "--records", str(records)]
        command += ["--page-size", str(page_size), "--file-size", str(file_size)]
        command += ["--vary"] if vary else []
        child = subprocess.Popen(  # noqa: S603  # ours
            command, cwd=Path(__file__).parent.parent
        )
        try:
            yield await_ready(ready, child)
        finally:
            child.terminate()
            child.wait(10)


def await_ready(ready: Path, child: subprocess.Popen[bytes]) -> str:
    """Wait until a server's ready file is there, and return what it says."""
    while not ready.exists():
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with {child.returncode} before it was ready")
        time.sleep(0.02)
    return ready.read_text()


def items(count: int, size: int) -> list[Item]:
    """Return *count* files as this server holds them."""
    ids = [corpus.record_id(number) for number in range(1, count + 1)]
    return [Item(id=identity, size=size, name=f"{identity}.bin") for identity in ids]


class _Canned:
    """What all connections share: the answers, and how many are under way."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.latency: float = chosen.latency
        self._records: int = chosen.records
        self._size: int = chosen.page_size
        self._file = _answer(b"".join(corpus.content(1, chosen.file_size)), "binary/octet-stream")
        self._pages: dict[str, bytes] = {}
        if not chosen.vary:
            for number in range(0, self._records, self._size):
                cursor = corpus.cursor_of(number) if number else ""
                self._pages[cursor] = self._page(cursor, self._size)
        self.requests = self._under_way = self._most = 0
        self._begun = self._last = self._area = 0.0

    def answer(self, target: str) -> bytes:
        if target.endswith("/content"):
            return self._file
        if target == "/_canned/stats":
            return _answer(json.dumps(self._stats()).encode(), "application/json")
        parts = urlsplit(target)
        if not parts.path.endswith("/records"):
            return _answer(b'{"message":"not here"}', "application/json", "404 Not Found")
        query = parse_qs(parts.query)
        cursor, size = query.get("cursor", [""])[0], int(query.get("pageSize", ["100"])[0])
        page = self._pages.get(cursor) if size == self._size else None
        return page or self._page(cursor, size)

    def begins(self) -> None:
        self._change(+1)
        self.requests += 1

    def ends(self) -> None:
        self._change(-1)

    def _change(self, step: int) -> None:
        now = time.perf_counter()
        self._begun = self._begun or now
        self._area += self._under_way * (now - (self._last or now))
        self._under_way += step
        self._most = max(self._most, self._under_way)
        self._last = now

    def _page(self, cursor: str, size: int) -> bytes:
        return _answer(corpus.page(cursor or None, size, self._records), "application/json")

    def _stats(self) -> dict[str, float]:
        span = self._last - self._begun
        told = {"requests": self.requests, "most": self._most, "span": span}
        told["mean"] = self._area / span if span else 0.0
        self.requests = self._under_way = self._most = 0
        self._begun = self._last = self._area = 0.0
        return told


class _Connection(asyncio.Protocol):
    """One client; it asks, waits, and asks again."""

    def __init__(self, shared: _Canned) -> None:
        self._shared = shared
        self._come = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._come += data
        if _END not in self._come:
            return
        head, _, self._come = self._come.partition(_END)
        target = head.split(b" ", 2)[1].decode()
        if target.startswith("/_canned/"):
            self._transport.write(self._shared.answer(target))
            return
        self._shared.begins()
        if self._shared.latency:
            self._loop.call_later(self._shared.latency, self._send, target)
        else:
            self._send(target)

    def _send(self, target: str) -> None:
        self._shared.ends()
        self._transport.write(self._shared.answer(target))


def _answer(body: bytes, kind: str, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _serve(chosen: argparse.Namespace) -> None:
    shared = _Canned(chosen)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(shared), "127.0.0.1", 0, backlog=1024)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    port = server.sockets[0].getsockname()[1]
    chosen.ready.with_suffix(".part").write_text(f"http://127.0.0.1:{port}")
    chosen.ready.with_suffix(".part").rename(chosen.ready)
    await stopped.wait()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canned", description=__doc__)
    parser.add_argument("--ready", type=Path, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--records", type=int, default=corpus.RECORDS)
    parser.add_argument("--page-size", type=int, default=1000)
    parser.add_argument("--file-size", type=int, default=0)
    parser.add_argument("--vary", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
