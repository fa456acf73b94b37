from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.errors import ConfigurationError, WebhookError
from paragon_async.sqlitefile import connect
from paragon_async.webhooks import Event, RecordUpdated, Router
from paragon_async.webhooks.inbox import (
    Counts,
    Inbox,
    InboxError,
    InboxFullError,
    wait_after,
)
from tests.fakes import FakeClock
from tests.webhooks.sending import NONSENSE, PROBE, Refusing, event, small_disk

CHILD = """
import asyncio, sys
from paragon_async.webhooks import Event, Router
from paragon_async.webhooks.inbox import Inbox
router = Router()
@router.on(Event)
async def handle(event):
    print("handling", flush=True)
    await asyncio.sleep(60)
async def go():
    async with Inbox(sys.argv[1]) as inbox:
        for body in sys.argv[3:]:
            assert await inbox.put(body.encode())
        print("stored", flush=True)
        if sys.argv[2] == "serve":
            await inbox.serve(router)
        sys.stdin.read()
asyncio.run(go())
"""


@contextmanager
def another_process(path, *bodies, until="stored", serve=False):
    """Put bodies into an inbox in a child, and keep it open there."""
    words = [str(path), "serve" if serve else "", *(body.decode() for body in bodies)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        while child.stdout.readline().decode().strip() != until:
            assert child.poll() is None
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


@asynccontextmanager
async def served(inbox, router):
    task = asyncio.create_task(inbox.serve(router))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(inbox, **wanted):
    """Ask for the counts until they are these; every question takes a turn of the inbox's thread."""
    while not wanted.items() <= attrs.asdict(await inbox.counts()).items():
        pass


def failing(times, clock=None):
    """A router whose handler fails a number of times for each record, and what it was called with."""
    router, calls, left = Router(), [], {}

    @router.on(RecordUpdated)
    async def handle(found):
        calls.append((found.record_id, None if clock is None else clock.now))
        left.setdefault(found.record_id, times.get(found.record_id, 0))
        if left[found.record_id]:
            left[found.record_id] -= 1
            raise ZeroDivisionError("no")

    return router, calls


async def test_stored_then_handled(inbox, router, seen):
    """What is put waits; draining hands it out once, and it is counted and gone."""
    assert await inbox.put(event("a"))
    assert await inbox.put(event("b", "record_deleted"))
    assert await inbox.counts() == Counts(waiting=2, parked=0, handled=0)
    assert seen == []
    assert await inbox.drain(router) == 2
    assert {e.record_id for e in seen} == {"a", "b"}
    assert await inbox.drain(router) == 0
    assert await inbox.counts() == Counts(waiting=0, parked=0, handled=2)


async def test_duplicates_collapse_only_while_waiting(inbox, router, seen):
    """The same body is stored once while it waits, and anew after it was handled."""
    assert [await inbox.put(event()) for _ in range(3)] == [True, False, False]
    await inbox.drain(router)
    assert await inbox.put(event())
    await inbox.drain(router)
    assert len(seen) == 2


async def test_what_is_in_hand_absorbs_nothing(inbox):
    """A body that comes while its like is being handled is handled afterwards: it may tell news."""
    router, begun, door, calls = Router(), asyncio.Event(), asyncio.Event(), []

    @router.on(Event)
    async def handle(found):
        calls.append(found)
        begun.set()
        await door.wait()

    await inbox.put(event())
    async with served(inbox, router):
        await begun.wait()
        assert await inbox.put(event())
        assert not await inbox.put(event())
        assert len(calls) == 1
        door.set()
        await until(inbox, handled=2)
    assert len(calls) == 2


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_not_stored(inbox, body):
    """A body that is no event is a WebhookError, not one of the inbox, and leaves nothing."""
    with pytest.raises(WebhookError) as caught:
        await inbox.put(body)
    assert not isinstance(caught.value, InboxError)
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_limit(inbox):
    """A body longer than the limit is refused, one of just that length is not."""
    body = event(padding="x" * 100)
    with pytest.raises(WebhookError, match="more than"):
        await inbox.put(body, limit=len(body) - 1)
    assert await inbox.put(body, limit=len(body))


async def test_a_probe_is_not_stored(inbox):
    """The probe of a new URL asks for an answer, and for nothing afterwards."""
    assert not await inbox.put(PROBE)
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_capacity(tmp_path):
    """At capacity, parked ones aside, an event is refused; there is room when one was handled."""
    router, _ = failing({"bad": 1})
    async with Inbox(tmp_path / "i", capacity=2, attempts=1) as inbox:
        await inbox.put(event("bad"))
        await inbox.drain(router)
        await inbox.put(event("a"))
        await inbox.put(event("b"))
        with pytest.raises(InboxFullError, match="2 events wait"):
            await inbox.put(event("c"))
        assert not await inbox.put(event("b"))
        await inbox.drain(router)
        assert await inbox.put(event("c"))


def test_killed_after_put(tmp_path):
    """After kill -9 of a process that was told that its events are stored, they are there."""
    path, bodies = tmp_path / "i", [event(f"r{n}") for n in range(20)]
    with another_process(path, *bodies) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    router, calls = failing({})

    async def again():
        async with Inbox(path) as inbox:
            assert await inbox.drain(router) == 20

    asyncio.run(again())
    assert sorted(record for record, _ in calls) == sorted(f"r{n}" for n in range(20))


async def test_killed_while_handling(tmp_path):
    """After kill -9 in the middle of a handler the event is handled again."""
    path = tmp_path / "i"
    with another_process(path, event("a"), until="handling", serve=True) as child:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    router, calls = failing({})
    async with Inbox(path) as inbox:
        assert await inbox.counts() == Counts(1, 0, 0)
        await inbox.drain(router)
    assert len(calls) == 1


async def test_one_process_at_a_time(tmp_path):
    """A second process, or a second inbox in this one, is refused by name, and may follow later."""
    path = tmp_path / "i"
    with (
        another_process(path) as child,
        pytest.raises(InboxError, match=f"in use by process {child.pid}"),
    ):
        await Inbox(path).__aenter__()
    async with Inbox(path) as inbox:
        with pytest.raises(InboxError, match=f"in use by process {os.getpid()}"):
            await Inbox(path).__aenter__()
        with pytest.raises(InboxError, match="open already"):
            await inbox.__aenter__()
        assert await inbox.put(event())


def changed(path, change):
    with sqlite3.connect(path) as db:
        change(db)
    db.close()


def newer(path):
    changed(path, lambda db: db.execute("PRAGMA user_version = 2"))


def another(path):
    changed(path, lambda db: db.execute("PRAGMA application_id = 7"))


def torn(path):
    path.write_bytes(path.read_bytes()[:-4096])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xa5" * 4096
    path.write_bytes(data)


WRONG = {
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "text": (lambda path: path.write_text("hello" * 100), "no database"),
    "newer": (newer, "newer version"),
    "another": (another, "no inbox"),
    "torn": (torn, "damaged"),
    "flipped": (flipped, "damaged"),
}


@pytest.mark.parametrize(("spoil", "words"), WRONG.values(), ids=WRONG)
async def test_a_wrong_file(tmp_path, spoil, words):
    """A damaged, foreign or newer file is an InboxError that says so, and stays as it is."""
    path = tmp_path / "i"
    async with Inbox(path) as inbox:
        await inbox.put(event())
    spoil(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(InboxError, match=words):
            await Inbox(path).__aenter__()
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"i", "i.lock"}


async def test_no_place_for_a_file(tmp_path):
    """An inbox whose folder is missing, or that is a folder, is an InboxError."""
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "missing" / "i", tmp_path / "folder"):
        with pytest.raises(InboxError, match="cannot use the inbox"):
            await Inbox(path).__aenter__()


async def test_nobody_else_reads_it(tmp_path):
    """The file and its companions are the owner's alone, whatever the umask."""
    before = os.umask(0)
    try:
        async with Inbox(tmp_path / "i") as inbox:
            await inbox.put(event())
            modes = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) == {"i", "i-wal", "i-shm", "i.lock"} and set(modes.values()) == {0o600}


@pytest.mark.parametrize("seed", range(6))
async def test_order_of_a_record(tmp_path, seed):
    """However handlers fail, a record's events succeed in the order they came, never two at once."""
    chance, router, clock = random.Random(seed), Router(), FakeClock()  # noqa: S311  # a test that repeats, no secret
    done, busy, most = {}, set(), 0

    @router.on(RecordUpdated)
    async def handle(found):
        nonlocal most
        assert found.record_id not in busy
        busy.add(found.record_id)
        most = max(most, len(busy))
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        busy.remove(found.record_id)
        if chance.random() < 0.4:
            raise ValueError("not now")
        done.setdefault(found.record_id, []).append(found.raw["n"])

    sent = {}
    async with Inbox(tmp_path / "i", attempts=60, clock=clock, workers=4) as inbox:
        async with served(inbox, router) as serving:
            for n in range(150):
                record = f"r{chance.randrange(12)}"
                sent.setdefault(record, []).append(n)
                await inbox.put(event(record, n=n))
            await until(inbox, waiting=0)
            assert not serving.done()
        assert await inbox.counts() == Counts(0, 0, 150)
    assert done == sent
    assert 1 < most <= 4


async def test_back_off_and_parking(tmp_path):
    """A failed event comes again after waits that double to a bound, and is parked after the last."""
    clock = FakeClock(chance=1.0)
    router, calls = failing({"bad": 99}, clock)
    options = {"attempts": 5, "first_wait": 2.0, "longest_wait": 10.0, "clock": clock}
    async with Inbox(tmp_path / "i", **options) as inbox:
        await inbox.put(event("bad"))
        await inbox.put(event("bad", n=2))
        async with served(inbox, router):
            await until(inbox, parked=2)
        times = [at - 1000.0 for _, at in calls]
        assert times == [0.0, 2.0, 6.0, 14.0, 24.0, 24.0, 26.0, 30.0, 38.0, 48.0]
        parked = await inbox.parked()
        assert [p.body for p in parked] == [event("bad"), event("bad", n=2)]
        assert {p.attempts for p in parked} == {5}
        assert "handle ZeroDivisionError: no" in parked[0].error
        assert len(await inbox.parked(1)) == 1


async def test_others_do_not_wait(tmp_path):
    """While one record's event waits to be tried again, its next one waits, other records do not."""
    clock = FakeClock()
    router, calls = failing({"bad": 1})
    async with Inbox(tmp_path / "i", clock=clock) as inbox:
        for body in (event("bad"), event("bad", n=2), event("good")):
            await inbox.put(body)
        assert await inbox.drain(router) == 2
        assert sorted(record for record, _ in calls) == ["bad", "good"]
        assert await inbox.drain(router) == 0
        clock.now += 1.0
        assert await inbox.drain(router) == 2
        assert await inbox.counts() == Counts(0, 0, 3)


async def test_unpark(tmp_path):
    """Parked events come again with all their attempts, in their order, behind what waits."""
    router, calls = failing({"bad": 2, "other": 1})
    async with Inbox(tmp_path / "i", attempts=1) as inbox:
        for n in range(2):
            await inbox.put(event("bad", n=n))
        await inbox.put(event("other"))
        await inbox.drain(router)
        assert await inbox.counts() == Counts(0, 3, 0)
        calls.clear()
        await inbox.put(event("bad", n=1))
        assert await inbox.unpark() == 3
        assert await inbox.parked() == []
        assert await inbox.counts() == Counts(3, 0, 0)
        await inbox.drain(router)
        assert await inbox.counts() == Counts(0, 0, 3)
        assert await inbox.unpark() == 0


async def test_only_what_failed_runs_again(tmp_path):
    """Of several handlers those that failed run again, and all of them after a restart."""
    router, calls, clock = Router(), [], FakeClock()

    @router.on(Event)
    async def good(found):
        calls.append("good")

    @router.on(Event)
    async def bad(found):
        calls.append("bad")
        raise ValueError

    async with Inbox(tmp_path / "i", clock=clock) as inbox:
        await inbox.put(event())
        for _ in range(3):
            await inbox.drain(router)
            clock.now += 1000
    assert calls == ["good", "bad", "bad", "bad"]
    async with Inbox(tmp_path / "i", clock=clock) as inbox:
        await inbox.drain(router)
    assert calls[4:] == ["good", "bad"]


async def test_a_restart_waits_for_nothing(tmp_path):
    """What waited to be tried again is due at once in a new process, its attempts remembered."""
    router, calls = failing({"bad": 99})
    for _ in range(3):
        async with Inbox(tmp_path / "i", first_wait=300, attempts=3) as inbox:
            if not calls:
                await inbox.put(event("bad"))
            await inbox.drain(router)
            counts = await inbox.counts()
    assert counts == Counts(0, 1, 0)
    assert len(calls) == 3


async def test_workers(tmp_path):
    """No more than *workers* events are handled at once, and as many are."""
    router, door, now, most = Router(), asyncio.Event(), set(), []

    @router.on(RecordUpdated)
    async def handle(found):
        now.add(found.record_id)
        most.append(len(now))
        if len(now) == 3:
            door.set()
        await door.wait()
        now.remove(found.record_id)

    async with Inbox(tmp_path / "i", workers=3) as inbox:
        for n in range(20):
            await inbox.put(event(f"r{n}"))
        assert await inbox.drain(router) == 20
    assert max(most) == 3


async def test_cancelled_in_a_handler(tmp_path, nothing_left):
    """Who stops serving stops the handlers; their event comes again; nothing is left running."""
    router, begun, calls = Router(), asyncio.Event(), []

    @router.on(Event)
    async def handle(found):
        calls.append("begun")
        begun.set()
        await asyncio.sleep(60)
        calls.append("ended")

    async with Inbox(tmp_path / "i") as inbox:
        await inbox.put(event())
        async with served(inbox, router) as task:
            await begun.wait()
        assert task.cancelled()
        assert await inbox.counts() == Counts(1, 0, 0)
        other, again = failing({})
        await inbox.drain(other)
        assert calls == ["begun"] and len(again) == 1


async def test_served_once(inbox, router):
    """Only one at a time serves an inbox; when it ended, another may."""
    async with served(inbox, router):
        await asyncio.sleep(0)
        for again in (inbox.serve, inbox.drain):
            with pytest.raises(ConfigurationError, match="served already"):
                await again(router)
    assert await inbox.drain(router) == 0


async def test_full_disk(tmp_path, router, seen):
    """A full disk refuses what is new, keeps what it has, and takes more when there is room."""
    async with Inbox(tmp_path / "i", connect=small_disk) as inbox:
        stored = 0
        with pytest.raises(InboxError, match="the disk is full") as caught:
            for n in range(100):
                await inbox.put(event(f"r{n}", padding="x" * 2000))
                stored += 1
        assert type(caught.value) is InboxError
        assert 0 < stored < 100
        assert await inbox.drain(router) == stored
        assert await inbox.put(event("late"))
    assert [e.record_id for e in seen] == [f"r{n}" for n in range(stored)]


async def test_a_disk_that_refuses_for_a_while(tmp_path):
    """What was handled while the disk refuses is noted when it no longer does, without a rerun."""
    disk, clock = Refusing(), FakeClock()
    router, calls = failing({})
    async with Inbox(tmp_path / "i", connect=disk, clock=clock) as inbox:
        await inbox.put(event())
        disk.is_on = True
        async with served(inbox, router):
            await asyncio.to_thread(disk.repeated.wait, 10)
            with pytest.raises(InboxError, match="disk I/O error"):
                await inbox.put(event("b"))
            disk.is_on = False
            await until(inbox, handled=1)
        assert len(calls) == 1
        disk.is_on = True
        with pytest.raises(InboxError, match="disk I/O error"):
            await inbox.drain(router)
        disk.is_on = False


async def test_a_group_shares_a_commit(tmp_path):
    """Events that come together are made durable together; one that is refused is refused alone."""
    commits = []

    def tracing(path):
        made = connect(path)
        made.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        return made

    async with Inbox(tmp_path / "i", connect=tracing, capacity=150) as inbox:
        await inbox.counts()
        before = len(commits)
        puts = [inbox.put(event(f"r{n}")) for n in range(200)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert len(commits) - before < 20
        assert results[:150] == [True] * 150
        assert {type(refused) for refused in results[150:]} == {InboxFullError}
        assert (await inbox.counts()).waiting == 150


async def test_cancelled_put(inbox):
    """Who is cancelled in `put` waits for its end: the event is stored or not, never half."""
    task = asyncio.create_task(inbox.put(event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await inbox.counts()).waiting == 1


async def test_closed(tmp_path, router):
    """A closed inbox refuses everything as an InboxError; who serves it is told so too."""
    inbox = Inbox(tmp_path / "i")
    for call in (inbox.put(event()), inbox.counts(), inbox.parked(), inbox.unpark()):
        with pytest.raises(InboxError, match="not open"):
            await call
    with pytest.raises(InboxError, match="not open"):
        await inbox.serve(router)
    async with inbox:
        assert await inbox.put(event())
    with pytest.raises(InboxError, match="not open"):
        await inbox.put(event("b"))


OPTIONS = [
    {"capacity": 0}, {"capacity_bytes": 0}, {"handler_timeout": 0}, {"stop_timeout": -1.0},
    {"handler_timeout": float("inf")}, {"attempts": 0}, {"workers": 0}, {"first_wait": -1.0},
    {"first_wait": 10.0, "longest_wait": 5.0}, {"longest_wait": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_options(tmp_path, options):
    """An option that cannot be is a ConfigurationError that names it."""
    with pytest.raises(ConfigurationError, match=next(iter(options)).split("_")[-1]):
        Inbox(tmp_path / "i", **options)


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 1000), st.floats(0, 1))
def test_waits_are_bounded(attempts, first, longest, chance):
    """A wait is never longer than the longest, never negative, and at least half of what it may be."""
    wait = wait_after(attempts, first, longest, chance)
    assert min(first, longest) / 2 <= wait <= longest
