"""Handlers that hang, kill or swallow, and bodies that come again or are too many."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from paragon_async.webhooks import Event, RecordDeleted, RecordUpdated, Router
from paragon_async.webhooks.inbox import Counts, Inbox, InboxFullError
from tests.fakes import FakeClock
from tests.webhooks.sending import event
from tests.webhooks.test_inbox import failing, served, until

POISONED = """
import asyncio, os, signal, sys
from paragon_async.webhooks import Event, Router
from paragon_async.webhooks.inbox import Inbox
router = Router()
@router.on(Event)
async def handle(event):
    print("begun", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
async def go():
    async with Inbox(sys.argv[1], attempts=2) as inbox:
        await inbox.drain(router)
asyncio.run(go())
"""


async def test_news_for_handlers_that_are_done(tmp_path):
    """A body whose like was tried already is stored anew, and comes to the handlers that were done."""
    router, seen, trouble, clock = Router(), [], [True], FakeClock()

    @router.on(Event)
    async def mirror(found):
        seen.append(found.record_id)

    @router.on(Event)
    async def other(found):
        if trouble:
            raise ValueError

    async with Inbox(tmp_path / "i", clock=clock) as inbox:
        assert await inbox.put(event())
        await inbox.drain(router)
        assert await inbox.put(event())
        assert not await inbox.put(event())
        trouble.clear()
        clock.now += 1000
        await inbox.drain(router)
        assert await inbox.counts() == Counts(0, 0, 2)
    assert seen == ["r1", "r1"]


async def test_poison(tmp_path):
    """An event whose handler kills the process is parked after its attempts; the next has its turn."""
    path = tmp_path / "i"
    async with Inbox(path) as inbox:
        await inbox.put(event())
        await inbox.put(event(n=2))
    command = [sys.executable, "-c", POISONED, str(path)]
    begun = []
    for _ in range(5):
        ran = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, check=False)
        begun.append((ran.returncode, ran.stdout.strip()))
    assert begun == [(-signal.SIGKILL, b"begun")] * 4 + [(0, b"")]
    async with Inbox(path) as inbox:
        assert await inbox.counts() == Counts(0, 2, 0)
        parked = await inbox.parked()
    assert [(p.body, p.attempts) for p in parked] == [(event(), 2), (event(n=2), 2)]
    assert "process ended" in parked[0].error


async def test_a_clean_stop_is_no_attempt(tmp_path):
    """However often serving is cancelled in a handler, or before its first step, no attempt is gone."""
    router, begun, calls = Router(), asyncio.Event(), []

    @router.on(Event)
    async def handle(found):
        calls.append(found)
        begun.set()
        await asyncio.Event().wait()

    other, again = failing({"r1": 1})
    async with Inbox(tmp_path / "i", attempts=2, first_wait=0) as inbox:
        await inbox.put(event())
        for _ in range(4):
            begun.clear()
            async with served(inbox, router):
                await begun.wait()
        for turns in range(12):
            task = asyncio.create_task(inbox.serve(router))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        while (await inbox.counts()).handled == 0:
            assert await inbox.drain(other)
        assert await inbox.counts() == Counts(0, 0, 1)
    assert len(calls) >= 4 and len(again) == 2


async def test_a_handler_that_hangs(tmp_path):
    """A handler that takes too long has failed, and the others of the event and its worker go on."""
    router, seen = Router(), []

    @router.on(RecordUpdated)
    async def hang(found):
        await asyncio.Event().wait()

    @router.on(RecordUpdated)
    async def swallow(found):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("swallowed")

    @router.on(Event)
    async def good(found):
        seen.append(found.record_id)

    options = {"attempts": 1, "workers": 1, "handler_timeout": 0.05}
    async with Inbox(tmp_path / "i", **options) as inbox:
        await inbox.put(event("a"))
        await inbox.put(event("b", "record_deleted"))
        await inbox.drain(router)
        assert await inbox.counts() == Counts(0, 1, 1)
        (parked,) = await inbox.parked()
    assert seen == ["swallowed", "a", "b"]
    assert parked.error.count("it took longer than 0.05 s") == 2


async def test_a_handler_that_cannot_be_stopped(tmp_path, caplog):
    """Who stops serving does not wait for ever for a handler that swallows its cancelling."""
    router, begun, door, handling = Router(), asyncio.Event(), asyncio.Event(), []

    @router.on(Event)
    async def stubborn(found):
        handling.append(asyncio.current_task())
        begun.set()
        while not door.is_set():
            try:
                await door.wait()
            except asyncio.CancelledError:
                continue

    calls, other = [], Router()

    @other.on(Event)
    async def handle(found):
        calls.append(found)

    async with Inbox(tmp_path / "i", stop_timeout=0.01) as inbox:
        await inbox.put(event())
        async with served(inbox, router):
            await begun.wait()
        assert "1 handlers go on" in caplog.text
        assert await inbox.drain(other) == 0
    async with Inbox(tmp_path / "i") as inbox:
        assert await inbox.drain(other) == 1
    async with inbox:
        door.set()
        await asyncio.wait(handling)
        assert await inbox.counts() == Counts(0, 0, 1)
    assert len(calls) == 1


async def test_no_exception_of_a_handler_ends_serving(tmp_path):
    """What a handler raises, also outside of Exception, is its failure, and others are served."""
    router, seen = Router(), []

    class Odd(BaseException):
        pass

    @router.on(RecordUpdated)
    async def odd(found):
        raise Odd

    @router.on(RecordDeleted)
    async def good(found):
        seen.append(found.record_id)

    async with Inbox(tmp_path / "i", attempts=1) as inbox, served(inbox, router) as task:
        await inbox.put(event())
        await until(inbox, parked=1)
        await inbox.put(event("b", "record_deleted"))
        await until(inbox, handled=1)
        assert not task.done()
    assert seen == ["b"]


def test_another_loop(tmp_path):
    """An inbox that was served in one loop is served in the next, and waits there in peace."""
    inbox, seen, router = Inbox(tmp_path / "i"), [], Router()

    @router.on(Event)
    async def keep(found):
        seen.append(found.record_id)

    async def once(name):
        async with inbox, served(inbox, router) as task:
            await asyncio.sleep(0.05)
            assert not task.done()
            await inbox.put(event(name))
            await until(inbox, waiting=0)

    for name in ("a", "b"):
        asyncio.run(once(name))
    assert seen == ["a", "b"]


async def test_a_wait_that_fails_ends_serving(tmp_path, router):
    """A clock that fails while serving waits is raised: swallowed, it would be asked for ever."""

    class Broken(FakeClock):
        async def sleep(self, seconds):
            raise RuntimeError("no clock")

    bad, _ = failing({"r1": 9})
    async with Inbox(tmp_path / "i", clock=Broken()) as inbox:
        await inbox.put(event())
        with pytest.raises(RuntimeError, match="no clock"):
            await inbox.serve(bad)


async def test_capacity_in_bytes(tmp_path, router):
    """Beyond so many bytes an event is refused, and there is room again when some were handled."""
    body = event("a", padding="x" * 1000)
    async with Inbox(tmp_path / "i", capacity_bytes=2 * len(body)) as inbox:
        await inbox.put(body)
        await inbox.put(event("b", padding="x" * 1000))
        with pytest.raises(InboxFullError, match=f"of {2 * len(body)} bytes"):
            await inbox.put(event("c"))
    async with Inbox(tmp_path / "i", capacity_bytes=2 * len(body)) as inbox:
        with pytest.raises(InboxFullError):
            await inbox.put(event("c"))
        await inbox.drain(router)
        assert await inbox.put(event("c"))


@pytest.mark.parametrize("options", [{"capacity": 6}, {"capacity_bytes": 8 * len(event("r0"))}])
async def test_parked_ones_never_fill_it(tmp_path, options, caplog):
    """Parked events beyond half of the room push out the oldest, with a word, and never a new one."""
    router, _ = failing(dict.fromkeys((f"r{n}" for n in range(9)), 1))
    async with Inbox(tmp_path / "i", attempts=1, **options) as inbox:
        for n in range(9):
            await inbox.put(event(f"r{n}"))
            await inbox.drain(router)
        kept = [p.body for p in await inbox.parked()]
        assert kept == [event(f"r{n}") for n in range(9)][-len(kept) :]
        assert len(kept) == (3 if "capacity" in options else 4)
        assert "1 parked events, the oldest, are discarded" in caplog.text
        assert await inbox.put(event("new"))


async def test_parked_ones_are_discarded(tmp_path):
    """Who discards the parked ones is told how many there were, and keeps what waits."""
    router, _ = failing({"a": 1, "b": 1})
    async with Inbox(tmp_path / "i", attempts=1) as inbox:
        await inbox.put(event("a"))
        await inbox.put(event("b"))
        await inbox.drain(router)
        await inbox.put(event("c"))
        assert await inbox.discard_parked() == 2
        assert await inbox.discard_parked() == 0
        assert await inbox.counts() == Counts(1, 0, 0)
        assert await inbox.unpark() == 0
