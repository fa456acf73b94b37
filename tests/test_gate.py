from __future__ import annotations

import asyncio

import pytest

from paragon_async import ConfigurationError, Limits
from paragon_async.transport.gate import Gate
from tests.fakes import FakeClock


async def test_counts_calls_and_downloads_apart():
    """No more run at once than allowed; downloads never keep a call waiting."""
    gate = Gate(Limits(calls=2, downloads=1), FakeClock())
    running = {True: 0, False: 0}
    most = {True: 0, False: 0}

    async def one(download):
        async with gate.slot(download=download):
            running[download] += 1
            most[download] = max(most[download], running[download])
            await asyncio.sleep(0.001)
            running[download] -= 1

    await asyncio.gather(*(one(n % 2 == 0) for n in range(20)))
    assert most == {True: 1, False: 2}


async def test_rate():
    """Starts are spread over time, for both kinds together."""
    clock = FakeClock()
    gate = Gate(Limits(per_second=10), clock)
    starts = []
    for n in range(5):
        async with gate.slot(download=bool(n % 2)):
            starts.append(round(clock.now - 1000, 6))
    assert starts == [0.0, 0.1, 0.2, 0.3, 0.4]


async def test_pause_is_for_all():
    """After a pause was called nobody starts before its end; a shorter one changes nothing."""
    clock = FakeClock()
    gate = Gate(Limits(per_second=10), clock)
    gate.pause(30)
    gate.pause(5)
    async with gate.slot(download=False):
        assert clock.now == 1030
    async with gate.slot(download=False):
        assert clock.now == pytest.approx(1030.1)


async def test_pause_while_waiting_for_a_turn():
    """A pause also holds those who had already booked their start."""
    clock = FakeClock()
    gate = Gate(Limits(per_second=1), clock)
    async with gate.slot(download=False):
        pass
    waiting = asyncio.create_task(_passed(gate, clock))
    await asyncio.sleep(0)
    gate.pause(60)
    assert await waiting >= 1060


async def _passed(gate, clock):
    async with gate.slot(download=False):
        return clock.now


async def test_cancelled_waiters_give_their_place_back():
    """Whoever is cancelled in the gate leaves it as it was."""
    gate = Gate(Limits(calls=1), FakeClock())
    async with gate.slot(download=False):
        waiter = asyncio.create_task(_passed(gate, FakeClock()))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
    async with asyncio.timeout(1), gate.slot(download=False):
        assert waiter.cancelled()


@pytest.mark.parametrize("bad", [{"calls": 0}, {"downloads": 0}, {"per_second": 0}])
def test_bad_limits(bad):
    """A limit that lets nothing through is refused."""
    with pytest.raises(ValueError, match="must be"):
        Limits(**bad)


def test_another_loop_is_told_at_once():
    """Who comes from another event loop hears so, and does not wait for a place that is held in the first."""
    gate = Gate(Limits(downloads=1), FakeClock())
    asyncio.run(gate.enter(download=True))

    async def other():
        async with asyncio.timeout(5):
            await gate.enter(download=True)

    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(other())
