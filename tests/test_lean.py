"""Contents asked for leanly: the same bytes, answers and errors as by aiohttp's own client."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback

import aiohttp
import pytest

from benchmarks import certificate
from paragon_async import ParagonError, Secret
from paragon_async.transport import lean
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Request
from tests.hostile import hostile
from tests.test_session import CANARY, CASES, QUICK, STREAM, TOKEN, framed

FIRST = framed(b"first")
RANGE = Request(
    method="GET",
    path="/c/%C3%A4%20b?x=1",
    reads=lambda value: value,
    streams=True,
    headers={"Range": "bytes=3-", "If-Range": '"tag"'},
)


async def fetched(session, request=STREAM, token=TOKEN):
    """Return status and body, or the class and words of the error, which hold no token."""
    try:
        async with session.open(request, token) as response:
            return response.status, dict(response.headers), await response.read(1 << 20)
    except ParagonError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert CANARY not in "".join(told.format()) + repr(error) + repr(error.__context__)
        return type(error), str(error), getattr(error, "sent", None)


async def both_ways(script, request=STREAM, token=TOKEN):
    """Play *script* after one good answer: to a session of our own, and to one that was given."""
    seen = []

    def second(peer):
        peer.request()
        peer.send(FIRST)
        script(peer)

    for is_lean in (True, False):
        given = None if is_lean else aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        with hostile(second) as server:
            session = AiohttpSession(server.url, QUICK, given)
            try:
                assert (await fetched(session))[-1] == b"first"
                # Only then is it known how the service is reached.
                assert (session._like is not None) is is_lean
                told = await fetched(session, request, token)
            finally:
                await session.aclose()
                if given:
                    await given.close()
            port = str(server.port)
            asked = [
                sorted(each.decode().replace(port, "PORT").split("\r\n"))
                for each in server.requests
            ]
            seen.append(([str(part).replace(port, "PORT") for part in told], asked))
    return seen


@pytest.mark.parametrize("name", CASES)
async def test_both_ways_end_alike(name):
    """Whatever a service does, both ways make one request, and it comes to the same."""
    lean, usual = await both_ways(CASES[name][0])
    assert lean == usual
    assert len(lean[1]) == 2


ANSWERS = {
    "range": b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nok",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrest",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "old": b"HTTP/1.0 200 OK\r\n\r\nold",
    "refused": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
    "cookies": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok",
    "long line": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 30_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "too long a line": b"HTTP/1.1 200 OK\r\nX: "
    + b"x" * 40_000
    + b"\r\nContent-Length: 2\r\n\r\nok",
    "too many lines": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"Content-Length: 2\r\n\r\nok",
    "another host": b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_both_ways_read_alike(name):
    """Any answer is read alike, with its status, headers and body; and asked for in the same words."""

    def script(peer):
        peer.request()
        peer.send(ANSWERS[name])

    lean, usual = await both_ways(script, RANGE)
    assert lean == usual


async def test_a_redirect_is_followed_by_the_usual_way():
    """An address from outside is given to aiohttp, which writes it as it has to be."""

    def script(peer):
        peer.request()
        peer.reply(b"", "302 Found", "Location: /other place?é")
        peer.request()
        peer.reply(b"there")

    lean, usual = await both_ways(script)
    assert lean == usual
    assert "b'there'" in lean[0]


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_a_line_break_is_never_sent(token):
    """A token or path that would break a line is refused before anything is written, both ways."""
    lean, usual = await both_ways(lambda peer: peer.request(), token=Secret(token))
    assert lean == usual
    assert len(lean[1]) == 1


async def test_the_connection_is_used_again():
    """Hundreds of contents one after the other need one connection."""
    connections = []

    def script(peer):
        connections.append(peer)
        while True:
            peer.request()
            peer.reply(b"x" * 100)

    with hostile(script) as server:
        session = AiohttpSession(server.url, QUICK)
        for _ in range(200):
            assert (await fetched(session))[-1] == b"x" * 100
        await session.aclose()
    assert len(connections) == 1


async def test_stray_bytes_are_no_answer():
    """What comes unasked after an answer is never taken for the next: a new connection is made."""

    def script(peer):
        peer.request()
        peer.deliver(FIRST)
        peer.request()
        peer.deliver(framed(b"second") + framed(b"stray"))
        peer.request()

    answers = []
    with hostile(script) as server:
        session = AiohttpSession(server.url, QUICK)
        for _ in range(3):
            answers.append((await fetched(session))[-1])
        await session.aclose()
    assert b"stray" not in answers
    assert answers[:2] == [b"first", b"second"]


async def test_a_service_that_is_gone_is_told_as_such():
    """No connection is the same error as by the usual way, and says that nothing was sent."""
    with hostile(
        lambda peer: (peer.request(), peer.send(framed(b"first", b"Connection: close\r\n")))
    ) as server:
        session = AiohttpSession(server.url, QUICK)
        assert (await fetched(session))[-1] == b"first"
    lean = await fetched(session)
    await session.aclose()
    fresh = AiohttpSession(server.url, QUICK)
    assert lean == await fetched(fresh)
    await fresh.aclose()


def test_this_aiohttp_has_what_is_used():
    """With the aiohttp that is installed contents go the lean way."""
    assert lean.is_possible()


PROGRAM = """
import asyncio, ssl, sys
from pathlib import Path
from tests.test_lean import QUICK, AiohttpSession, fetched, framed

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(framed(b"first", b"Connection: close\\r\\n"))
    await writer.drain()
    writer.close()

async def main(good, bad):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(good / "certificate.pem", good / "key.pem")
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    session = AiohttpSession(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUICK)
    for _ in range(3):
        print((await fetched(session))[-1])
    context.load_cert_chain(bad / "certificate.pem", bad / "key.pem")
    print((await fetched(session))[0].__name__, session._like is not None)
    await session.aclose()

asyncio.run(main(*map(Path, sys.argv[1:])))
"""


def test_a_certificate_is_looked_at_on_each_new_connection(tmp_path):
    """A connection that a content makes is checked as the first was: another certificate is refused."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
        certificate.make(folder)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(good), str(bad)],
        env=os.environ | {"SSL_CERT_FILE": str(good / "certificate.pem")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split("\n")[:4] == [*3 * ["b'first'"], "CertificateError True"], done.stderr
