"""The session against a socket that misbehaves, and with aioresponses where that is enough."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
import subprocess
import sys
import threading
import time
import traceback
from unittest.mock import Mock

import aiohttp
import aioresponses
import aioresponses.core
import pytest

from paragon_async import (
    CertificateError,
    ConfigurationError,
    ConnectionFailedError,
    CutShortError,
    DecodeError,
    MalformedAnswerError,
    ParagonError,
    RedirectRefusedError,
    Secret,
    TimedOutError,
    Timeouts,
)
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Request
from tests.hostile import hostile

CANARY = "canary-token-5f3a"
TOKEN = Secret(CANARY)
ASK = Request(method="GET", path="/p", reads=lambda value: value)
POST = Request(method="POST", path="/p", reads=lambda value: value, body={"a": 1})
STREAM = Request(method="GET", path="/c", reads=lambda value: value, streams=True)
QUICK = Timeouts(connect=2, headers=0.3, idle=0.4, slowest=100, window=0.5)


async def fetch(url, request=ASK, timeouts=QUICK, limit=1 << 20):
    session = AiohttpSession(url, timeouts)
    try:
        async with session.open(request, TOKEN) as response:
            return response.status, await response.read(limit)
    finally:
        await session.aclose()


async def outcome(script, request=ASK, timeouts=QUICK):
    """Run one exchange against a script; return what came of it and the requests that were seen."""
    with hostile(script) as server:
        try:
            result = await fetch(server.url, request, timeouts)
        except ParagonError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown = "".join(told.format()) + repr(error)
            assert CANARY not in shown
            assert CANARY not in repr(error.__context__)
            result = type(error)
        return result, server.requests


def sends(data):
    def script(peer):
        peer.request()
        peer.send(data)

    return script


def sends_then(data, act):
    def script(peer):
        peer.request()
        peer.send(data)
        act(peer)

    return script


def drips(data, each):
    def script(peer):
        peer.request()
        for n in range(len(data)):
            if peer.server.over.wait(each):
                return
            peer.send(data[n : n + 1])

    return script


HEAD = b"HTTP/1.1 200 OK\r\n"
ZIPPED = gzip.compress(b"x" * 1000)


def framed(body, *headers):
    lines = [HEAD, f"Content-Length: {len(body)}\r\n".encode(), *headers, b"\r\n", body]
    return b"".join(lines)


CASES = {
    "ordinary": (sends(framed(b"ok")), (200, b"ok")),
    "chunked": (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), (200, b"ok")),
    "to the end": (sends(HEAD + b"\r\nok"), (200, b"ok")),
    "gzip": (sends(framed(ZIPPED, b"Content-Encoding: gzip\r\n")), (200, b"x" * 1000)),
    "line feeds only": (sends(framed(b"ok").replace(b"\r\n", b"\n")), (200, b"ok")),
    "many early hints": (sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50 + framed(b"ok")), (200, b"ok")),
    "closed at once": (lambda peer: peer.request(), ConnectionFailedError),
    "reset at once": (lambda peer: (peer.request(), peer.reset()), ConnectionFailedError),
    "half a status": (sends(b"HTTP/1."), ConnectionFailedError),
    "half the headers": (sends(HEAD + b"Content-Le"), ConnectionFailedError),
    "short body": (sends(framed(b"x" * 100)[:-50]), CutShortError),
    "short body, reset": (sends_then(framed(b"x" * 100)[:-50], lambda p: p.reset()), CutShortError),
    "unmarked body, reset": (sends_then(HEAD + b"\r\nhalf", lambda p: p.reset()), CutShortError),
    "cut between chunks": (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), CutShortError),
    "cut in a chunk": (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nok"), CutShortError),
    "truncated gzip": (sends(framed(ZIPPED[:-9], b"Content-Encoding: gzip\r\n")), CutShortError),
    "gzip that is not": (sends(framed(b"plain", b"Content-Encoding: gzip\r\n")), MalformedAnswerError),
    "unknown encoding": (sends(framed(b"x", b"Content-Encoding: br\r\n")), MalformedAnswerError),
    "bad status line": (sends(b"HTTP/1.1 banana\r\n\r\n"), MalformedAnswerError),
    "not HTTP": (sends(b"\x16\x03\x01\x02 hello there\r\n\r\n"), MalformedAnswerError),
    "two lengths": (sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), MalformedAnswerError),
    "length of letters": (sends(HEAD + b"Content-Length: abc\r\n\r\nok"), MalformedAnswerError),
    "header with NUL": (sends(HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n"), MalformedAnswerError),
    "never answers": (lambda peer: (peer.request(), peer.wait()), TimedOutError),
    "endless hints": (lambda p: (p.request(), [p.send(b"HTTP/1.1 103 E\r\n\r\n") or time.sleep(0.01) for _ in range(500)]), TimedOutError),
    "dripping headers": (drips(framed(b"ok"), 0.15), TimedOutError),
    "stalled body": (sends_then(framed(b"x" * 100)[:-50], lambda p: p.wait()), TimedOutError),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_what_becomes_of_it(name):
    """Each misbehaviour has its one error, which holds no secret; the request is sent just once."""
    script, expected = CASES[name]
    timeouts = Timeouts(connect=0.5, headers=0.5, idle=0.4, slowest=100, window=0.5)
    result, seen = await outcome(script, timeouts=timeouts)
    assert result == expected
    assert len(seen) == 1


async def test_dripping_body():
    """A body of single bytes is given up, though no read ever times out."""
    result, _ = await outcome(sends_then(HEAD + b"Content-Length: 999\r\n\r\n", lambda p: [
        p.send(b"x") or p.server.over.wait(0.05) for _ in range(100)
    ]))  # fmt: skip
    assert result is TimedOutError


async def test_a_slow_consumer_is_not_a_slow_service():
    """Time that the caller takes for itself is not held against the service."""
    script = sends(framed(b"x" * 4_000_000))
    with hostile(script) as server:
        session = AiohttpSession(server.url, Timeouts(idle=0.3, slowest=1e6, window=0.2))
        async with session.open(STREAM, TOKEN) as response:
            size = 0
            while chunk := await response.next_chunk():
                size += len(chunk)
                if size < 1_000_000:
                    await asyncio.sleep(0.2)
        await session.aclose()
    assert size == 4_000_000


async def test_nobody_listens():
    """A refused connection is named, with the host, and was never sent."""
    with pytest.raises(
        ConnectionFailedError,
        match=r"cannot connect to 127\.0\.0\.1:9: Connection refused; check the base URL, and the network$",
    ) as caught:
        await fetch("http://127.0.0.1:9")
    assert caught.value.sent is False


async def test_no_such_host():
    """A name that does not resolve is a failed connection."""
    with pytest.raises((ConnectionFailedError, TimedOutError)):
        await fetch("http://no-such-host.invalid", timeouts=Timeouts(connect=1, headers=1))


async def test_too_large_an_answer():
    """An answer beyond the limit is not kept in memory."""
    with (
        hostile(sends(framed(b"x" * 5000))) as server,
        pytest.raises(DecodeError, match="larger than 100"),
    ):
        await fetch(server.url, limit=100)


async def test_a_bomb_does_not_hold_the_loop():
    """However much one read decodes to, others get their turn after a piece or two of it."""
    bomb = gzip.compress(bytes(64 << 20), 1)
    with hostile(sends(framed(bomb, b"Content-Encoding: gzip\r\n"))) as server:
        session = AiohttpSession(server.url, QUICK)
        turns, most, size = 0, 0, 0

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        waiting = asyncio.create_task(others())
        async with session.open(STREAM, TOKEN) as response:
            before = turns
            while chunk := await response.next_chunk():
                size = len(chunk) if turns != before else size + len(chunk)
                before, most = turns, max(most, size)
        waiting.cancel()
        await session.aclose()
    assert 0 < most <= 1 << 20


async def test_what_is_sent():
    """A request carries the token, our name, JSON where there is a body, and no cookie."""
    _, seen = await outcome(sends(framed(b"{}", b"Set-Cookie: a=b\r\n")), POST)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /p http/1.1"
    assert b"authorization: bearer " + CANARY.encode() in lines
    assert b"content-type: application/json" in lines
    assert b"accept-encoding: gzip" in lines
    assert any(line.startswith(b"user-agent: paragon-async/") for line in lines)
    assert body == b'{"a":1}'
    _, seen = await outcome(sends(framed(b"")), STREAM)
    assert b"accept-encoding: identity" in seen[0].lower()


async def test_stray_answers_never_shift_the_others():
    """An answer that nobody asked for is thrown away with its connection."""

    def script(peer):
        while True:
            path = peer.request().split()[1]
            peer.reply(path)
            if path == b"/1":
                peer.send(framed(b"stray"))

    with hostile(script) as server:
        session = AiohttpSession(server.url, QUICK)
        got = []
        for n in range(1, 5):
            request = Request(method="GET", path=f"/{n}", reads=lambda value: value)
            try:
                async with session.open(request, TOKEN) as response:
                    got.append(await response.read(100))
            except ConnectionFailedError:
                got.append(None)
            await asyncio.sleep(0.05)
        await session.aclose()
    assert all(body in {None, f"/{n}".encode()} for n, body in enumerate(got, 1))
    assert got[2:] == [b"/3", b"/4"]


async def test_a_stray_that_the_loop_did_not_see():
    """An answer that came while the caller computed is thrown away; what was kept back was not sent."""
    computed, sent = threading.Event(), threading.Event()

    def script(peer):
        while True:
            path = peer.request().split()[1]
            peer.reply(path)
            if path == b"/1":
                computed.wait(20)
                peer.deliver(framed(b"stray"))
                sent.set()

    with hostile(script) as server:
        session = AiohttpSession(server.url, Timeouts())

        async def ask(path):
            request = Request(method="POST", path=path, reads=lambda value: value, body={})
            async with session.open(request, TOKEN) as response:
                return await response.read(100)

        assert await ask("/1") == b"/1"
        computed.set()
        assert sent.wait(20)
        with pytest.raises(ConnectionFailedError) as caught:
            await ask("/2")
        assert not caught.value.sent
        assert [await ask("/3"), await ask("/4")] == [b"/3", b"/4"]
        await session.aclose()


async def test_redirects_and_the_token():
    """A redirect is followed; the token goes to the same origin only and never beyond."""
    with hostile(lambda peer: (peer.request(), peer.reply(b"file"))) as store:

        def script(peer):
            path = peer.request().split()[1]
            where = {b"/c": "/next", b"/next": f"http://localhost:{store.port}/signed?sig=secret"}
            peer.reply(
                b"", "307 Temporary Redirect", f"Location: {where[path]}", "Connection: close"
            )

        result, seen = await outcome(script, STREAM)
        assert result == (200, b"file")
        assert [CANARY.encode() in request for request in seen] == [True, True]
        assert [CANARY.encode() in request for request in store.requests] == [False]
        assert store.requests[0].startswith(b"GET /signed?sig=secret ")


@pytest.mark.parametrize(
    ("request_", "location", "error"),
    [
        (STREAM, "/c", RedirectRefusedError),
        (STREAM, "file:///etc/passwd", RedirectRefusedError),
        (STREAM, "", MalformedAnswerError),
        (POST, "/elsewhere", RedirectRefusedError),
    ],
)
async def test_refused_redirects(request_, location, error):
    """Circles, other schemes, places unnamed, and any redirect of a POST are refused."""

    def script(peer):
        peer.request()
        peer.reply(b"", "302 Found", f"Location: {location}", "Connection: close")

    result, seen = await outcome(script, request_)
    assert result is error
    assert len(seen) == (6 if location == "/c" else 1)


async def test_plain_port_for_https():
    """TLS with a partner that speaks none is a failure within the deadline."""
    with hostile(lambda peer: peer.send(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises((CertificateError, ConnectionFailedError)):
            await fetch(url)


async def test_untrusted_certificate(tmp_path):
    """A certificate that nobody vouches for is final."""
    key, certificate = tmp_path / "k.pem", tmp_path / "c.pem"
    make_certificate(key, certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(CertificateError) as caught:
        await fetch(f"https://127.0.0.1:{port}")
    assert not caught.value.retryable
    server.close()


def make_certificate(key_path, certificate_path):
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(key.public_key()).not_valid_before(now)
    made = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    certificate_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


async def test_cancelling_closes_the_connection():
    """A cancelled exchange leaves no connection in the pool."""
    with hostile(lambda peer: (peer.request(), peer.wait())) as server:
        session = AiohttpSession(server.url, Timeouts())

        async def ask():
            async with session.open(ASK, TOKEN):
                raise AssertionError

        task = asyncio.create_task(ask())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(session._session.connector._acquired) == 0
        await session.aclose()


async def test_an_unread_answer_frees_its_connection():
    """Leaving the block with a body unread gives the place back and never reuses the connection."""
    with hostile(lambda peer: (peer.request(), peer.send(framed(b"x" * 9_000_000)))) as server:
        session = AiohttpSession(server.url, QUICK)
        for _ in range(3):
            async with session.open(STREAM, TOKEN) as response:
                assert response.status == 200
        assert len(session._session.connector._acquired) == 0
        await session.aclose()
    assert len(server.requests) == 3


async def test_a_closed_session():
    """Once closed, a session says so; closing again is harmless."""
    session = AiohttpSession("http://127.0.0.1:9", QUICK)
    await session.aclose()
    await session.aclose()
    with pytest.raises(ConfigurationError, match="is closed"):
        async with session.open(ASK, TOKEN):
            raise AssertionError


def test_one_loop_only():
    """A client that is used in a second loop says what to do instead."""
    session = AiohttpSession("http://127.0.0.1:9", QUICK)

    async def use(*, close=False):
        try:
            async with session.open(ASK, TOKEN):
                raise AssertionError
        finally:
            if close:
                await session._session.close()

    with pytest.raises(ConnectionFailedError):
        asyncio.run(use(close=True))
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(use())


async def test_a_given_session_that_is_closed():
    """A session that its owner has closed is a mistake that is named."""
    given = aiohttp.ClientSession()
    await given.close()
    session = AiohttpSession("http://127.0.0.1:9", QUICK, given)
    with pytest.raises(ConfigurationError, match="is it closed"):
        async with session.open(ASK, TOKEN):
            raise AssertionError


async def test_a_given_session_is_not_closed():
    """What the caller made, the caller closes."""
    async with aiohttp.ClientSession() as given:
        session = AiohttpSession("http://127.0.0.1:9", QUICK, given)
        with pytest.raises(ConnectionFailedError):
            async with session.open(ASK, TOKEN):
                raise AssertionError
        await session.aclose()
        assert not given.closed


class _Answer(aiohttp.ClientResponse):
    """aioresponses 0.7.9 does not know the argument that aiohttp 3.14 wants."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_statuses_pass_through(monkeypatch, status):
    """The session judges no status: it hands over whatever the service says."""
    monkeypatch.setattr(aioresponses.core, "ClientResponse", _Answer)
    with aioresponses.aioresponses() as mocked:
        mocked.get("http://127.0.0.1:1/p", status=status, body=b'{"a":1}')
        assert await fetch("http://127.0.0.1:1") == (status, b'{"a":1}')


def test_proxies_of_the_environment_are_not_used():
    """Variables that point to a proxy do not send a token there."""
    program = (
        "import asyncio; from paragon_async import *\n"
        "async def main():\n"
        "    async with Paragon(token='t', base_url='http://127.0.0.1:9', retry=Retry(attempts=1)) as p:\n"
        "        try: await p.user().syncs.list()\n"
        "        except ConnectionFailedError as error: print(error)\n"
        "asyncio.run(main())"
    )
    environ = os.environ | {"HTTP_PROXY": "http://127.0.0.1:8", "http_proxy": "http://127.0.0.1:8"}
    run = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert "127.0.0.1:9" in run.stdout
