from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

import pytest

from paragon_async.ingest.room import Room


async def ticks(count=5):
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that hold room until they are let go, in the order in which they came in."""

    def __init__(self, room):
        self.room = room
        self.inside = []
        self.doors = {}
        self.tasks = {}

    def comes(self, name, key="u", size=0):
        self.doors[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, key, size))

    async def _stay(self, name, key, size):
        async with self.room.hold(key, size):
            self.inside.append(name)
            try:
                await self.doors[name].wait()
            finally:
                self.inside.remove(name)

    async def goes(self, *names):
        for name in names:
            self.doors[name].set()
        await ticks()

    async def ends(self):
        for door in self.doors.values():
            door.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks.values(), return_exceptions=True), 1)


@asynccontextmanager
async def crowd(number, size=100):
    made = Crowd(Room(number, size))
    try:
        yield made
    finally:
        await made.ends()
    assert_empty(made.room, number, size)


def assert_empty(room, number, size):
    assert (room._free_number, room._free_size) == (number, size)
    assert not room._held and not room._waiting


async def test_bounded_in_number():
    """No more contents than the number are held at once, however small."""
    async with crowd(2) as people:
        for name in "abc":
            people.comes(name)
        await ticks()
        assert people.inside == ["a", "b"]
        await people.goes("a")
        assert people.inside == ["b", "c"]


async def test_bounded_in_bytes():
    """Contents together never have more bytes than the room; a full room keeps the next waiting."""
    async with crowd(10, 100) as people:
        people.comes("a", size=60)
        people.comes("b", size=40)
        people.comes("c", size=1)
        await ticks()
        assert people.inside == ["a", "b"]
        await people.goes("b")
        assert people.inside == ["a", "c"]


async def test_one_that_is_too_large_is_alone():
    """A content larger than the whole room waits until it is empty, and then has it alone."""
    async with crowd(10, 100) as people:
        people.comes("small", size=1)
        people.comes("giant", size=10_000)
        people.comes("next", size=1)
        await ticks()
        assert people.inside == ["small"]
        await people.goes("small")
        assert people.inside == ["giant"]
        await people.goes("giant")
        assert people.inside == ["next"]


async def test_first_come_first_served():
    """Of one key, the large one at the head is not overtaken by small ones that would fit."""
    async with crowd(10, 100) as people:
        people.comes("a", size=50)
        people.comes("large", size=80)
        people.comes("small", size=1)
        await ticks()
        assert people.inside == ["a"]
        await people.goes("a")
        assert people.inside == ["large", "small"]


async def test_fair_between_keys():
    """One with a single wish gets the next room, before all of one with a hundred."""
    async with crowd(2) as people:
        for number in range(100):
            people.comes(f"many-{number}", key="many")
        people.comes("one", key="one")
        await ticks()
        await people.goes("many-0")
        assert "one" in people.inside


async def test_equals_take_turns():
    """Keys that hold equally much are served in turns."""
    async with crowd(1) as people:
        for number in range(3):
            people.comes(f"a{number}", key="a")
        for number in range(3):
            people.comes(f"b{number}", key="b")
        order = []
        for _ in range(6):
            await ticks()
            order += people.inside
            await people.goes(*people.inside)
        assert [name for name in order if name != "a0"] == ["a1", "b0", "a2", "b1", "b2"]


async def test_who_is_cancelled_waiting_gives_way():
    """A cancelled wish at the head no longer holds up those behind it."""
    async with crowd(10, 100) as people:
        people.comes("a", size=50)
        people.comes("large", size=80)
        people.comes("small", size=1)
        await ticks()
        people.tasks["large"].cancel()
        await ticks()
        assert people.inside == ["a", "small"]


async def test_cancelled_inside_gives_back():
    """A holder that is cancelled gives its number and its bytes back."""
    async with crowd(1, 100) as people:
        people.comes("a", size=100)
        people.comes("b", size=100)
        await ticks()
        people.tasks["a"].cancel()
        await ticks()
        assert people.inside == ["b"]


async def test_cancelled_in_the_tick_after_its_grant():
    """A wish that was granted, and whose task is cancelled before it hears of it, gives back."""
    async with crowd(1) as people:
        async with people.room.hold("u", 0):
            people.comes("a")
            people.comes("b")
            await ticks()
        people.tasks["a"].cancel()
        await ticks()
        assert people.inside == ["b"]


async def test_cancelled_in_the_tick_before_its_grant():
    """A wish whose task is cancelled in the same tick, before room comes free, is passed over."""
    async with crowd(1) as people:
        async with people.room.hold("u", 0):
            people.comes("a")
            people.comes("b")
            await ticks()
            people.tasks["a"].cancel()
        await ticks()
        assert people.inside == ["b"]


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_leaks_under_random_cancelling(seed):
    """After any mix of holding, leaving and cancelling the bounds held, and all room is free again."""
    dice = random.Random(seed)  # noqa: S311  # chance that can be repeated
    number, size = dice.randint(1, 4), dice.randint(1, 50)
    room = Room(number, size)
    held = []

    async def stay(key, wanted, length):
        async with room.hold(key, wanted):
            held.append(min(wanted, size))
            assert len(held) <= number and sum(held) <= size
            try:
                await ticks(length)
            finally:
                held.remove(min(wanted, size))

    tasks = []
    for _ in range(80):
        stays = stay(dice.choice("abc"), dice.randint(0, 70), dice.randint(0, 6))
        tasks.append(asyncio.create_task(stays))
        if dice.random() < 0.5:
            dice.choice(tasks).cancel()
        if dice.random() < 0.5:
            await ticks(dice.randint(1, 3))
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)
    assert [o for o in outcomes if o and not isinstance(o, asyncio.CancelledError)] == []
    assert_empty(room, number, size)
