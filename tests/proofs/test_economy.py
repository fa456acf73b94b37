"""What retrying costs a service, counted by the service itself: as much as was configured, exactly.

Source: failures.md findings 7 and 17, F26, F40, F48, F49, F125, R12.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import re
import threading
from contextlib import asynccontextmanager, suppress

import attrs
import pytest

from paragon_async import (
    ApiError,
    AuthenticationError,
    FixedToken,
    Limits,
    ParagonError,
    Retry,
    ServerError,
    SigningKey,
    Timeouts,
)
from paragon_async.api.records import Records
from paragon_async.transport.channel import Channel
from paragon_async.transport.gate import Gate
from paragon_async.transport.retry import RetryBudget
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Request
from tests.conftest import PROJECT
from tests.fakes import FakeClock
from tests.hostile import hostile

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
HEAD = b"HTTP/1.1 200 OK\r\n"
GET = Request(method="GET", path="/p", reads=lambda value: value)
POST = Request(method="POST", path="/p", body={}, reads=lambda value: value, repeatable=False)


def replies(status, *headers, body=b'{"message": "no"}'):
    """Answer every request of a connection in the same way."""

    def script(peer):
        while True:
            peer.request()
            peer.reply(body, status, *headers)

    return script


def sends(data, *, reset=False):
    """Send *data* after the first request, and end the connection."""

    def script(peer):
        peer.request()
        peer.send(data)
        if reset:
            peer.reset()

    return script


def silent(peer):
    peer.request()
    # Until the client hangs up.
    peer.socket.recv(1)


MAY_PASS = {
    "500": replies("500 Error"),
    "502": replies("502 Bad Gateway"),
    "503": replies("503 Unavailable"),
    "504": replies("504 Gateway Timeout"),
    "429": replies("429 Too Many Requests"),
    "429 with a time": replies("429 Too Many Requests", "Retry-After: 7"),
    "408": replies("408 Request Timeout"),
    "closed at once": sends(b""),
    "reset at once": sends(b"", reset=True),
    "half a status line": sends(b"HTTP/1."),
    "half the headers": sends(HEAD + b"Content-Le"),
    "no HTTP": sends(b"\x16\x03\x01 hello\r\n\r\n"),
    "two lengths": sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "never answers": silent,
}
BROKEN_BODIES = {
    "short body": sends(HEAD + b"Content-Length: 9\r\n\r\n{}"),
    "short body, reset": sends(HEAD + b"Content-Length: 9\r\n\r\n{}", reset=True),
    "cut between chunks": sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "gzip that is cut": sends(
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    ),
}
NO_JSON = {
    "a login page": replies("200 OK", "Content-Type: text/html", body=b"<html>sign in</html>"),
}
FINAL = {
    status: replies(f"{status} No") for status in (400, 401, 403, 404, 409, 410, 413, 422, 501)
}


@attrs.define(eq=False)
class Side:
    """The client's side: a channel on a real session, in time that passes by itself."""

    channel: Channel
    clock: object

    @property
    def records(self):
        return Records(self.channel, "u")


@asynccontextmanager
async def against(script, *, retry=None, clock=None, tokens=None):
    """Yield a client, and the server that counts what it is asked."""
    clock, retry = clock or FakeClock(), retry or Retry()
    timeouts = Timeouts(connect=30, headers=30, idle=0.3 if script is silent else 30)
    with hostile(script) as server:
        session = AiohttpSession(server.url, timeouts)
        try:
            channel = Channel(
                session=session,
                tokens=tokens or FixedToken("fixed-token"),
                gate=Gate(Limits(calls=64), clock),
                retry=retry,
                budget=RetryBudget(retry.budget),
                timeouts=timeouts,
                clock=clock,
            )
            yield Side(channel, clock), server
        finally:
            await session.aclose()


async def seen(server, expected):
    """Return how many requests came; one that was given up may still be on its way."""
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while len(server.requests) < expected:  # noqa: ASYNC110  # a thread tells nobody
                await asyncio.sleep(0.01)
    return len(server.requests)


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("kind", MAY_PASS | BROKEN_BODIES | NO_JSON)
async def test_a_call_is_sent_as_often_as_configured(kind, attempts):
    """Whatever may pass costs *attempts* requests: aiohttp sends none again by itself."""
    script = (MAY_PASS | BROKEN_BODIES | NO_JSON)[kind]
    async with against(script, retry=Retry(attempts=attempts)) as (side, server):
        with pytest.raises(ParagonError) as caught:
            await side.channel.call(GET, "u")
        assert await seen(server, attempts) == attempts
        if isinstance(caught.value, ApiError):
            assert caught.value.attempts == attempts


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("kind", MAY_PASS | BROKEN_BODIES)
async def test_a_download_is_sent_as_often_as_configured(tmp_path, kind, attempts):
    """A content costs what a call does, wherever its answers break; attempts do not multiply."""
    script = (MAY_PASS | BROKEN_BODIES)[kind]
    async with against(script, retry=Retry(attempts=attempts)) as (side, server):
        with pytest.raises(ParagonError):
            await side.records.download("s", "r", tmp_path / "content")
        assert await seen(server, attempts) == attempts
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", FINAL)
async def test_what_is_final_is_sent_once(tmp_path, status):
    """A refusal that repeating does not change costs one request, of a call and of a content."""
    async with against(FINAL[status]) as (side, server):
        with pytest.raises(ApiError):
            await side.channel.call(GET, "u")
        with pytest.raises(ApiError):
            await side.records.download("s", "r", tmp_path / "content")
        assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ["closed at once", "reset at once", "never answers", "503"])
async def test_what_must_not_happen_twice_is_sent_once(kind):
    """A call that may have been carried out is not sent again, by nobody."""
    async with against(MAY_PASS[kind]) as (side, server):
        with pytest.raises(ParagonError):
            await side.channel.call(POST, "u")
        assert await seen(server, 1) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("reset", [False, True])
async def test_nothing_is_sent_again_in_secret(method, reset):
    """A kept connection that ends on its second request costs that request: aiohttp would send two."""
    turns = itertools.count()

    def script(peer):
        peer.request()
        if not next(turns):
            peer.reply(b"{}")
            peer.request()
        if reset:
            peer.reset()

    request = attrs.evolve(GET, method=method, body=None if method == "GET" else {})
    async with against(script, retry=Retry(attempts=1)) as (side, server):
        assert await side.channel.call(request, "u") == {}
        with pytest.raises(ParagonError):
            await side.channel.call(request, "u")
        assert len(server.requests) == 2


async def test_a_service_that_is_down_is_not_hammered():
    """However many calls fail, all their retries together cost one budget, then a call is a request."""
    async with against(MAY_PASS["503"]) as (side, server):
        seen = []
        for _ in range(300):
            before = len(server.requests)
            with pytest.raises(ServerError):
                await side.channel.call(GET, "u")
            seen.append(len(server.requests) - before)
        assert sum(seen) == 300 + Retry().budget // 5
        assert seen == [5] * 25 + [1] * 275


async def test_a_service_that_is_half_down_is_spared():
    """Of answers that fail half the time, no more than a fifth of the successes are sent again."""
    turns = itertools.count()

    def script(peer):
        while True:
            peer.request()
            peer.reply(b"{}", "503 Unavailable" if next(turns) % 2 else "200 OK")

    async with against(script, retry=Retry(budget=50)) as (side, server):
        succeeded = 0
        for _ in range(600):
            with suppress(ServerError):
                await side.channel.call(GET, "u")
                succeeded += 1
        again = len(server.requests) - 600
        assert 0 < again <= 10 + succeeded // 5


class Hours(FakeClock):
    """Time that stands until it is moved."""

    def __init__(self):
        super().__init__()
        self.sleepers = []
        self._order = itertools.count()

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self.sleepers, (self.now + seconds, next(self._order), woken))
        await woken

    def pass_by(self, seconds):
        self.now += seconds
        while self.sleepers and self.sleepers[0][0] <= self.now:
            heapq.heappop(self.sleepers)[2].set_result(None)

    async def asleep(self, number):
        while len(self.sleepers) < number:  # noqa: ASYNC110  # what sleeps tells nobody
            await asyncio.sleep(0.001)


async def test_a_429_holds_everybody_to_the_moment():
    """After a 429 no request leaves before the time that it named, and 50 ms later all have."""
    turns = itertools.count()

    def script(peer):
        while True:
            peer.request()
            refused = not next(turns)
            status = "429 Too Many Requests" if refused else "200 OK"
            peer.reply(b"{}", status, *["Retry-After: 30"] * refused)

    clock = Hours()
    async with against(script, clock=clock) as (side, server):
        first = asyncio.create_task(side.channel.call(GET, "u"))
        await clock.asleep(1)
        others = [asyncio.create_task(side.channel.call(GET, f"u{n}")) for n in range(20)]
        await clock.asleep(21)
        clock.pass_by(29.99)
        await asyncio.sleep(0.05)
        assert len(server.requests) == 1
        clock.pass_by(0.05)
        assert await asyncio.gather(first, *others) == [{}] * 21
        assert len(server.requests) == 22


class Ticking(FakeClock):
    """Time that goes on whenever it is looked at, so that no two tokens are the same."""

    def wall(self):
        self.start += 1
        return super().wall()


def token_of(request):
    return re.search(rb"(?i)authorization: bearer (\S+)", request)[1]


@pytest.mark.parametrize("late", [0, 7])
async def test_twenty_refusals_cost_one_token(signing_key, late):
    """Twenty calls whose token is refused at once, some of them late, get one new token together."""
    tokens = SigningKey(PROJECT, signing_key, clock=Ticking())
    old = (await tokens.token("u")).reveal().encode()
    turns, renewed = itertools.count(), threading.Event()

    def script(peer):
        while True:
            if token_of(peer.request()) != old:
                renewed.set()
                peer.reply(b"{}")
                continue
            if next(turns) < late:
                renewed.wait(10)
            peer.reply(b"{}", "401 Unauthorized")

    async with against(script, tokens=tokens) as (side, server):
        answers = await asyncio.gather(*(side.channel.call(GET, "u") for _ in range(20)))
        assert answers == [{}] * 20
        seen = [token_of(request) for request in server.requests]
        assert seen.count(old) == 20
        assert len(seen) == 40 and len(set(seen)) == 2


async def test_a_second_refusal_is_final(signing_key):
    """A service that refuses the new token as well has seen two requests, and no more."""
    tokens = SigningKey(PROJECT, signing_key, clock=Ticking())
    async with against(replies("401 Unauthorized"), tokens=tokens) as (side, server):
        with pytest.raises(AuthenticationError):
            await side.channel.call(GET, "u")
        assert len({token_of(request) for request in server.requests}) == len(server.requests) == 2
