"""How soon it goes on when all is well again, in the time of a clock that does not wait.

The start of a mirror that knows a million records: `python -m tests.soak.million`. Source: failures.md R20.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from paragon_async import (
    ConnectionFailedError,
    CutShortError,
    File,
    FixedToken,
    NotFoundError,
    Paragon,
)
from paragon_async.ingest import Ingest
from tests.fakes import FakeClock, FakeResponse, FakeSession, answer, records
from tests.ingest.fakes import ingest, quick_user

BODY = bytes(range(256)) * 4_000


class Dice(FakeClock):
    """A clock whose chance differs from time to time, and can be repeated."""

    def __init__(self, seed):
        super().__init__()
        self._dice = random.Random(seed)  # noqa: S311  # chance that can be repeated

    def chance(self):
        return self._dice.random()


async def first_answer(clock, outage, folder):
    """Follow a service that refuses for so many seconds; return how much later it was asked again."""
    back, asked, attempts = clock.now + outage, asyncio.Event(), 0

    def serve(_):
        nonlocal attempts
        attempts += 1
        if clock.now < back:
            return ConnectionFailedError("refused", sent=False)
        asked.set()
        return answer(status=404)

    async with Paragon(
        tokens=FixedToken("t"),
        base_url="https://service.example.com",
        session=FakeSession(serve),
        clock=clock,
    ) as client:
        one = Ingest(client.user("u"), "s", folder, folder, clock=clock)
        following = asyncio.create_task(one.follow())
        await asked.wait()
        late = clock.now - back
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError, NotFoundError):
            await following
    return late, attempts


@pytest.mark.parametrize("outage", [3, 16, 30])
async def test_after_an_outage_it_is_asked_again_within_five_seconds(tmp_path, outage):
    """Of up to half a minute: whatever chance says, the first request comes within five seconds."""
    found = [await first_answer(Dice(seed), outage, tmp_path / f"{seed}") for seed in range(20)]
    assert max(late for late, _ in found) < 5
    assert max(attempts for _, attempts in found) < 12 + 4 * outage


async def test_after_an_hour_it_is_asked_again_within_minutes(tmp_path):
    """The longer it lasted, the less often it was asked, but at least every five minutes."""
    found = [await first_answer(Dice(seed), 3600, tmp_path / f"{seed}") for seed in range(5)]
    assert max(late for late, _ in found) <= 300
    assert max(attempts for _, attempts in found) < 400


async def test_a_pause_without_trouble_is_no_outage(emulator, sync_id, tmp_path):
    """The first failure after two good hours is tried again after *pause* seconds, not after minutes."""
    clock, heard, failed = FakeClock(), [], asyncio.Event()

    def passes(_):
        clock.now += 7_200
        emulator.fault(status=503, times=None)

    def fails(_, wait):
        heard.append(wait)
        failed.set()

    async with quick_user(emulator) as user:
        one = ingest(user, sync_id, tmp_path / "mirror", clock=clock)
        options = {"every": 0.02, "pause": 0.01, "on_report": passes, "on_error": fails}
        following = asyncio.create_task(one.follow(**options))
        await failed.wait()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    assert heard[0] == 0.01


async def test_after_a_reset_a_file_is_complete_within_a_second(tmp_path):
    """One reset in a body costs less than a second of waiting, and no byte twice."""
    ranged = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    half, size = len(BODY) // 2, len(BODY)
    broken = CutShortError("reset")
    first = FakeResponse(200, BODY[:half], ranged, broken=broken, length=size)
    rest = FakeResponse(
        206, BODY[half:], {"Content-Range": f"bytes {half}-{size - 1}/{size}"} | ranged
    )
    made, session = records(first, rest)
    file = File(id="r1", name="a.bin", mime_type="application/x-bin", size=size)
    saved = await made.download("s", file, tmp_path / "f")
    assert saved.path.read_bytes() == BODY
    assert len(session.requests) == 2
    slept = made._channel.clock.slept
    assert slept and sum(slept) < 1
