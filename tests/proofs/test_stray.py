"""Answers that nobody asked for: they never become the answer to the next question (R13).

What can be known, and what cannot:

- Bytes that came while the connection was idle are seen before the next request is written, also when
  the loop had no time to look: the request goes out on another connection.
- Half an answer that came then and never goes on is nothing; where it goes on, the rest is no HTTP.
- A whole answer that crosses the request on the wire is the answer, as far as HTTP/1.1 can tell.
  Evidence of the record still finds it, and the true answer is found as a stray when it comes before
  the next request is written. Where it comes later than that, again nobody can tell.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from paragon_async import (
    ConnectionFailedError,
    DownloadError,
    File,
    ParagonError,
    Retry,
    Secret,
    Timeouts,
)
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Request
from tests.hostile import hostile
from tests.proofs.framings import with_length
from tests.proofs.memory import records_of

pytestmark = [pytest.mark.proof, pytest.mark.timeout(120)]
TOKEN = Secret("canary")
STRAY = with_length(b"stray")
WRONG = b"stray"


class Line:
    """A script that answers each path with itself; the stray goes out behind `/1` when it is told to."""

    def __init__(self, stray):
        self.stray = stray
        self.go = threading.Event()
        self.sent = threading.Event()
        self.lines = 0

    def __call__(self, peer):
        self.lines += 1
        while True:
            path = peer.request().split()[1]
            self.answer(peer, path)
            if path == b"/1":
                assert self.go.wait(30)
                peer.deliver(self.stray)
                self.sent.set()

    def answer(self, peer, path):
        peer.reply(path)

    def let_go(self):
        """Block until the stray has left, as a caller that computes would: the loop sees nothing."""
        self.go.set()
        assert self.sent.wait(30)


@asynccontextmanager
async def asking(url):
    """Give what asks for a path; an error that may be tried again is tried again, once."""
    session = AiohttpSession(url, Timeouts(connect=20, headers=20, idle=20))

    async def ask(path, method="GET"):
        request = Request(method=method, path=path, reads=lambda value: value)
        async with session.open(request, TOKEN) as response:
            return await response.read(1000)

    try:
        yield ask
    finally:
        await session.aclose()


async def again(ask, path):
    """Ask until there is an answer, and return it with the errors before it."""
    errors = []
    while True:
        try:
            return await ask(path), errors
        except ParagonError as error:
            assert error.retryable and len(errors) < 3
            errors.append(error)


@contextmanager
def serving(line):
    def script(peer):
        # Else a second small answer waits for the first to be acknowledged, and "sent" says nothing.
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line(peer)

    with hostile(script) as server:
        try:
            yield server
        finally:
            line.go.set()


STRAYS = {
    "one": STRAY,
    "several": STRAY * 3,
    "a refusal": STRAY.replace(b"200 OK", b"500 Oops"),
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "to the end": b"HTTP/1.1 200 OK\r\n\r\nstray",
    "one and a half": STRAY + STRAY[:20],
    "half": STRAY[:20],
    "no HTTP": b"\x00\x01stray",
    "a line": b"\r\n",
}


@pytest.mark.parametrize("stray", STRAYS)
async def test_while_the_loop_is_busy(stray):
    """Whatever comes while the caller computes, the next request does not go out behind it."""
    line = Line(STRAYS[stray])
    with serving(line) as server:
        async with asking(server.url) as ask:
            assert await ask("/1") == b"/1"
            line.let_go()
            got, errors = await again(ask, "/2")
            assert (got, line.lines) == (b"/2", 2)
            assert [type(error) for error in errors] == [ConnectionFailedError]
            assert not errors[0].sent
            assert [await ask(f"/{n}") for n in range(3, 9)] == [b"/%d" % n for n in range(3, 9)]
        asked = [request.split()[1] for request in server.requests]
    assert asked == [b"/%d" % n for n in range(1, 9)]


@pytest.mark.parametrize("stray", STRAYS)
async def test_while_the_loop_looks(stray):
    """What came on an idle line, and was read, answers nothing that is asked afterwards."""
    line = Line(STRAYS[stray])
    with serving(line) as server:
        async with asking(server.url) as ask:
            assert await ask("/1") == b"/1"
            line.go.set()
            await asyncio.to_thread(line.sent.wait, 30)
            await asyncio.sleep(0.02)
            for n in range(2, 9):
                got, _ = await again(ask, f"/{n}")
                assert got == b"/%d" % n


async def test_a_call_that_must_not_happen_twice_is_made():
    """A request that was kept back was never sent, so even a POST is safe to try again."""
    line = Line(STRAY)
    with serving(line) as server:
        async with asking(server.url) as ask:
            await ask("/1")
            line.let_go()
            with pytest.raises(ConnectionFailedError) as caught:
                await ask("/2", "POST")
            assert (
                Retry().wait_after(caught.value, attempt=1, chance=0.5, repeatable=False)
                is not None
            )
            assert await ask("/3", "POST") == b"/3"


@pytest.mark.parametrize("end", ["FIN", "RST"])
async def test_a_line_that_was_closed_meanwhile(end):
    """A line that the service gave up while the loop was busy is not written to."""

    class Closing(Line):
        def __call__(self, peer):
            self.lines += 1
            self.answer(peer, peer.request().split()[1])
            if self.lines == 1:
                assert self.go.wait(30)
                peer.reset() if end == "RST" else peer.socket.close()
                self.sent.set()

    line = Closing(b"")
    with serving(line) as server:
        async with asking(server.url) as ask:
            await ask("/1")
            line.let_go()
            got, errors = await again(ask, "/2")
            assert got == b"/2" and not errors[0].sent
        assert len(server.requests) == 2


async def test_every_half_of_a_stray():
    """Cut anywhere, one half on the idle line and one behind the request, it shifts nothing."""
    both = STRAY + STRAY
    for cut in range(1, len(both)):

        class Halves(Line):
            def answer(self, peer, path, rest=both[cut:]):
                peer.send((rest if path == b"/2" and self.lines == 1 else b"") + with_length(path))

        line = Halves(both[:cut])
        with serving(line) as server:
            async with asking(server.url) as ask:
                await ask("/1")
                line.go.set()
                await asyncio.to_thread(line.sent.wait, 30)
                for n in range(2, 5):
                    got, _ = await again(ask, f"/{n}")
                    assert got == b"/%d" % n, cut


class Crossing(Line):
    """Sends the stray while the request for `/2` is on its way, and its answer behind it."""

    def __call__(self, peer):
        self.lines += 1
        while True:
            path = peer.request().split()[1]
            peer.send((self.stray if b"2" in path and self.lines == 1 else b"") + with_length(path))


async def test_one_that_crosses_the_request():
    """It answers that one request, as nobody can tell; it is the last, for the true answer is a stray."""
    line = Crossing(STRAY)
    with serving(line) as server:
        async with asking(server.url) as ask:
            assert await ask("/1") == b"/1"
            assert await ask("/2") == WRONG
            assert [await ask(f"/{n}") for n in range(3, 9)] == [b"/%d" % n for n in range(3, 9)]
        assert line.lines == 2


async def test_an_answer_that_comes_late():
    """The true answer, late behind one that crossed, is what came on an idle line: it shifts nothing."""

    class Late(Line):
        def __call__(self, peer):
            self.lines += 1
            while True:
                path = peer.request().split()[1]
                late = path == b"/2" and self.lines == 1
                if late:
                    peer.send(self.stray)
                    assert self.go.wait(30)
                peer.deliver(with_length(path))
                if late:
                    self.sent.set()

    line = Late(STRAY)
    with serving(line) as server:
        async with asking(server.url) as ask:
            await ask("/1")
            assert await ask("/2") == WRONG
            line.let_go()
            assert [(await again(ask, f"/{n}"))[0] for n in (3, 4, 5)] == [b"/3", b"/4", b"/5"]


async def test_one_that_crosses_a_download(tmp_path):
    """As the content of a file it is found by the record, and never stored under its name."""
    line = Crossing(STRAY)
    with serving(line) as server:
        async with records_of(url=server.url) as records:
            for n in "12345":
                name = f"/api/syncs/s/records/r{n}/content"
                record = File(id=f"r{n}", name=n, mime_type="a/b", size=len(name))
                if n == "2":
                    with pytest.raises(DownloadError, match="the record promises"):
                        await records.download("s", record, tmp_path / n)
                else:
                    saved = await records.download("s", record, tmp_path / n)
                    assert saved.path.read_text() == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "3", "4", "5"]
