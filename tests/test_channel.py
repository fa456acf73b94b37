from __future__ import annotations

import asyncio
import logging

import pytest

from paragon_async import (
    ApiError,
    AuthenticationError,
    ConnectionFailedError,
    CutShortError,
    Limits,
    NotFoundError,
    RateLimitError,
    Retry,
    Secret,
    ServerError,
    SigningKey,
    TimedOutError,
    Timeouts,
)
from paragon_async.transport.wire import Request
from tests.conftest import PROJECT
from tests.fakes import FakeClock, FakeResponse, answer, channel

ASK = Request(method="GET", path="/p", reads=lambda value: value)
GET_CONTENT = Request(
    method="GET", path="/c", reads=lambda value: value, streams=True, download=True
)


async def test_answer():
    """A call returns what its request reads from the answer."""
    made = channel(answer({"a": 1}))
    assert await made.call(ASK, "u") == {"a": 1}
    assert made.session.tokens == ["fixed-token"]
    assert made.session.open_now == 0


async def test_retries_until_it_works():
    """What may pass is tried again, each time after a longer wait, and counted in the error."""
    made = channel(ConnectionFailedError("x"), answer(status=503), answer({"a": 1}))
    assert await made.call(ASK, "u") == {"a": 1}
    assert made.clock.slept == [0.25, 0.5]


async def test_gives_up_after_the_attempts():
    """The error of the last attempt is raised and says how many there were."""
    made = channel(answer(status=503), retry=Retry(attempts=3))
    with pytest.raises(ServerError) as caught:
        await made.call(ASK, "u")
    assert caught.value.attempts == 3
    assert len(made.session.requests) == 3


async def test_a_final_answer_is_final():
    """A 404 is not asked for twice."""
    made = channel(answer({"message": "no"}, 404))
    with pytest.raises(NotFoundError):
        await made.call(ASK, "u")
    assert len(made.session.requests) == 1


async def test_unrepeatable_calls():
    """A call that must not happen twice is not sent again once it may have arrived."""
    request = Request(method="POST", path="/p", reads=lambda v: v, repeatable=False)
    made = channel(ConnectionFailedError("x", sent=False), CutShortError("x"), answer({}))
    with pytest.raises(CutShortError):
        await made.call(request, "u")
    assert len(made.session.requests) == 2


async def test_a_rate_limit_pauses_everybody():
    """A 429 holds all calls of the client for the time that the service names."""
    made = channel(answer(status=429, Retry_After="30"), answer({}))
    first = asyncio.create_task(made.call(ASK, "u"))
    await asyncio.sleep(0)
    await first
    assert made.clock.now >= 1030
    started = made.clock.now
    made.gate.pause(10)
    await made.call(ASK, "other")
    assert made.clock.now == started + 10


async def test_a_rate_limit_that_is_too_long_is_raised():
    """A wait beyond the limit is the caller's to plan."""
    made = channel(answer(status=429, Retry_After="4000"))
    with pytest.raises(RateLimitError) as caught:
        await made.call(ASK, "u")
    assert caught.value.retry_after == 4000
    assert made.clock.slept == []
    made.session.script = [answer({})]
    await made.call(ASK, "other")
    assert made.clock.now == 1000 + made.retry.longest_retry_after


async def test_budget():
    """When the budget is spent, failures are final at once."""
    made = channel(answer(status=503), retry=Retry(attempts=9, budget=10))
    with pytest.raises(ServerError):
        await made.call(ASK, "u")
    assert len(made.session.requests) == 3
    with pytest.raises(ServerError):
        await made.call(ASK, "u")
    assert len(made.session.requests) == 4


async def test_a_refused_token_is_replaced_once(signing_key):
    """A 401 costs one new token and no attempt; the second 401 is raised."""
    clock = FakeClock()
    tokens = SigningKey(PROJECT, signing_key, clock=clock)
    await tokens.token("u")
    clock.now += 5
    made = channel(answer(status=401), answer({"a": 1}), clock=clock, tokens=tokens)
    assert await made.call(ASK, "u") == {"a": 1}
    assert clock.slept == [0.0]
    made = channel(answer(status=401), clock=clock, tokens=tokens, retry=Retry(attempts=1))
    clock.now += 1
    with pytest.raises(AuthenticationError) as caught:
        await made.call(ASK, "u")
    assert len(set(made.session.tokens)) == len(made.session.tokens) == 2
    assert caught.value.attempts == 1


async def test_a_fixed_token_is_not_tried_twice():
    """With no other token to offer, a 401 is final, and a wrong clock is named as a cause."""
    made = channel(answer(status=401, Date="Tue, 14 Nov 2023 21:13:20 GMT"))
    with pytest.raises(AuthenticationError, match="3600 seconds ahead of the service"):
        await made.call(ASK, "u")
    assert len(made.session.requests) == 1
    made = channel(answer(status=401, Date="Tue, 14 Nov 2023 23:13:20 GMT"))
    with pytest.raises(AuthenticationError, match="seconds behind the service"):
        await made.call(ASK, "u")


async def test_a_fresh_token_is_replaced_within_its_second(signing_key):
    """A token that is refused in the second of its minting is replaced by another all the same."""
    clock = FakeClock()
    tokens = SigningKey(PROJECT, signing_key, clock=clock)
    made = channel(answer(status=401), answer({}), clock=clock, tokens=tokens)
    assert await made.call(ASK, "u") == {}
    assert len(set(made.session.tokens)) == 2


async def test_a_source_is_told_once():
    """After a 401 a source is asked once for another token, which serves the attempts that follow."""
    asked = []

    class Source:
        async def token(self, user, *, rejected=None):
            asked.append(rejected is not None)
            return Secret(f"t{len(asked)}")

    made = channel(answer(status=401), answer(status=503), answer({}), tokens=Source())
    assert await made.call(ASK, "u") == {}
    assert asked == [False, True, False]
    assert made.session.tokens == ["t1", "t2", "t3"]


@pytest.mark.parametrize("status", [503, 401, 404, 429])
async def test_a_refusal_with_a_large_or_broken_body(status):
    """However long a refusal's body is, or however it breaks, the status is the answer."""
    for body in (
        FakeResponse(status, b"x" * 900_000),
        FakeResponse(status, b"x", broken=CutShortError("cut")),
    ):
        made = channel(body, retry=Retry(attempts=2))
        with pytest.raises(ApiError) as caught:
            await made.call(ASK, "u")
        assert caught.value.status == status
        assert len(made.session.requests) == (2 if status in {503, 429} else 1)


async def test_total_deadline():
    """A JSON call that does not end is given up as a whole."""

    class Endless(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(0.001)
            return b" "

    made = channel(Endless(), timeouts=Timeouts(total=0.02), retry=Retry(attempts=1))
    with pytest.raises(TimedOutError, match=r"0.02 seconds"):
        await made.call(ASK, "u")
    assert made.session.open_now == 0


async def test_open_retries_up_to_the_headers():
    """Opening retries refusals, then hands out the body; the place in the gate is held meanwhile."""
    made = channel(answer(status=503), FakeResponse(200, b"content"), limits=Limits(downloads=1))
    async with made.open(GET_CONTENT, "u") as response:
        assert await response.read(100) == b"content"
        assert made.session.open_now == 1
        late = asyncio.create_task(_opened(made))
        await asyncio.sleep(0.01)
        assert not late.done()
    assert await late == 200
    assert made.session.open_now == 0


async def _opened(made):
    async with made.open(GET_CONTENT, "u") as response:
        return response.status


async def test_open_leaves_the_callers_errors_alone():
    """What the caller raises inside comes out as it is, and the answer is closed."""
    made = channel(FakeResponse(200, b"x"))
    with pytest.raises(ZeroDivisionError):
        async with made.open(GET_CONTENT, "u"):
            raise ZeroDivisionError
    assert made.session.open_now == 0
    with pytest.raises(NotFoundError):
        async with channel(answer(status=404)).open(GET_CONTENT, "u"):
            raise AssertionError


async def test_quoted_tokens_are_struck_out():
    """A service that quotes our token in its refusal does not get it into the error."""
    made = channel(answer({"message": "bad token fixed-token!"}, 400))
    with pytest.raises(Exception, match="bad token …!"):
        await made.call(ASK, "u")


async def test_observer(caplog):
    """An observer sees every attempt; one that fails is logged and disturbs nothing."""
    seen = []
    made = channel(answer(status=503), answer({}), observe=seen.append)
    await made.call(ASK, "u")
    assert [(e.attempt, e.status, e.error, e.wait) for e in seen] == [
        (1, 503, "ServerError", 0.25),
        (2, 200, None, None),
    ]

    def broken(_):
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR):
        assert await channel(answer({}), observe=broken).call(ASK, "u") == {}
    assert "observer failed" in caplog.text


async def test_cancelling_leaves_nothing(nothing_left):
    """A cancelled call closes its answer and frees its place."""

    class Never(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(60)
            return b""

    made = channel(Never(), limits=Limits(calls=1))
    call = asyncio.create_task(made.call(ASK, "u"))
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert made.session.open_now == 0
    made.session.script = [answer({})]
    assert await made.call(ASK, "u") == {}


async def test_no_secret_in_logs(caplog):
    """At the loudest level the log holds no token."""
    with caplog.at_level(logging.DEBUG):
        await channel(answer({})).call(ASK, "u")
    assert "fixed-token" not in caplog.text
    assert "/p" in caplog.text
    assert "fixed" not in repr(Secret("fixed"))
