"""A rate limit for every user, by the emulator's clock."""

from __future__ import annotations

import pytest

from paragon_async.emulator import Emulator, EmulatorError
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.limiter import Limiter, parse_rate
from tests.conftest import PROJECT
from tests.emulator.asker import Client, token


def test_rates():
    """A rate is said by second, minute or hour; anything else names these forms."""
    assert [parse_rate(text) for text in ("20/s", "600/m", "3600/h")] == [20, 10, 1]
    for text in (
        "20",
        "0/s",
        "-1/s",
        "x/s",
        "1/d",
        "1.5/s",
        "",
        "9" * 400 + "/s",
        "9" * 5000 + "/s",
    ):
        with pytest.raises(EmulatorError, match="20/s"):
            parse_rate(text)


def test_a_frozen_clock_fills_nothing():
    """A burst is let through, then nothing until the clock moves on; users do not share."""
    clock = Clock()
    clock.freeze()
    limiter = Limiter(clock, rate=2.0, burst=3)
    assert [limiter.allow("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert limiter.allow("b") == 0
    clock.advance(0.5)
    assert [limiter.allow("a") for _ in range(2)] == [0, 0.5]
    clock.advance(100)
    assert sum(limiter.allow("a") == 0 for _ in range(9)) == 3


@pytest.mark.parametrize("rate", [3, 7, 20, 0.3, 1 / 60])
def test_a_wait_is_long_enough(rate):
    """Who waits as long as was said is let in, and nobody gets more than the rate by it."""
    clock = Clock()
    clock.freeze(1_790_000_000.123)
    limiter = Limiter(clock, rate, burst=1)
    begun = clock.now()
    assert limiter.allow("a") == 0
    for _ in range(300):
        clock.advance(limiter.allow("a"))
        assert limiter.allow("a") == 0
    assert clock.now() - begun == pytest.approx(300 / rate, rel=0.001)


def test_a_burst_is_one_at_least():
    """A limiter without a burst still lets calls through, one by one."""
    clock = Clock()
    clock.freeze()
    limiter = Limiter(clock, rate=1, burst=0)
    assert [limiter.allow("a") for _ in range(2)] == [0, 1]


def test_users_beyond_counting():
    """The buckets of those who were away longest are given up."""
    clock = Clock()
    clock.freeze()
    limiter = Limiter(clock, rate=1, burst=1)
    for number in range(10_001):
        limiter.allow(f"u{number}")
    assert limiter.allow("u10000") == 1
    assert limiter.allow("u0") == 0


async def test_a_limit_on_the_wire(signing_key, session):
    """Beyond the burst a call gets 429 with Retry-After; the admin's part is not limited."""
    options = {"rate": "1/m", "burst": 2, "project_id": PROJECT, "signing_key": signing_key}
    async with Emulator(**options) as emulator:
        client = Client(session, emulator.url, token(signing_key))
        statuses = [(await client.ask("GET", "/api/syncs"))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        _, _, headers = await client.ask("GET", "/api/syncs")
        assert 1 <= int(headers["Retry-After"]) <= 61
        for _ in range(5):
            await client.admin("GET", "health")
        await client.admin("PUT", "clock", {"advance": 60})
        assert (await client.ask("GET", "/api/syncs"))[0] == 200
