"""What is no ingest, cancelled step by step: a call, a pull, downloads, a webhook's event.

Of long ones, steps spread over the whole are taken, not each.
The ingest has its own sweep, in test_cancel. Source: failures.md A.6, F33, F123, R7.
"""

from __future__ import annotations

import asyncio
import gc
import math
import shutil
import sys
import threading
from pathlib import Path

import aiohttp
import attrs
import pytest

from paragon_async import File, Paragon
from paragon_async.webhooks import Event, Inbox, Router
from tests.conftest import PROJECT
from tests.proofs.served import Served
from tests.proofs.sweeping import CountingDisk, Loop, by_cancel, by_scope, by_timeout
from tests.webhooks.sending import event

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
POINTS = {by_cancel: 60, by_scope: 12, by_timeout: 12}
SIZES = (0, 1, 5_000, 700_000, 1_500_000)


@attrs.define(eq=False)
class Bench:
    """A drive of five files, a client whose connections can be counted, a disk that counts too."""

    user: object
    session: aiohttp.ClientSession
    sync_id: str
    room: Path
    bodies: dict
    files: list
    disk: CountingDisk = attrs.field(factory=CountingDisk)
    complaints: list = attrs.field(factory=list)

    def begin(self):
        shutil.rmtree(self.room, ignore_errors=True)
        self.room.mkdir()

    def nothing_left(self):
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (self.disk.busy, self.disk.open) == (0, 0)
        assert not [t.name for t in threading.enumerate() if t.name.startswith("paragon-")]
        assert not self.session.connector._acquired
        assert not self.complaints, self.complaints
        for path in self.room.glob("*.*"):
            if path.suffix == ".bin":
                # Named by number, and by the record too where a folder was given.
                number = path.name[0]
                assert path.read_bytes() == self.bodies[number], "half a file under its name"
        assert not list(self.room.glob("*.part"))


# What is done: each returns something that is the same whenever it comes to its end.


async def calls(bench):
    ask = bench.user.records
    found = await asyncio.gather(*(ask.get(bench.sync_id, file.id) for file in bench.files))
    return [record.id for record in found]


async def pull(bench):
    found = bench.user.records.pull(bench.sync_id, page_size=2, pages_ahead=2)
    return [record.id async for record in found]


async def download(bench):
    large = bench.files[-1]
    to = bench.room / large.name
    saved = await bench.user.records.download(bench.sync_id, large, to, disk=bench.disk)
    return saved.sha256


async def download_all(bench):
    source = bench.user.records.pull(bench.sync_id, File, page_size=2)
    found = bench.user.records.download_all(
        bench.sync_id, source, bench.room, concurrency=3, durability="batch", disk=bench.disk
    )
    return sorted([saved.sha256 async for saved in found])


async def stream(bench):
    return await bench.user.permissions.list_objects(bench.sync_id, user="reader@example.com")


WORK = [calls, pull, download, download_all, stream]


@pytest.fixture
def runner():
    """A loop that counts its steps, and what nobody could raise: there is to be none."""
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    with asyncio.Runner(loop_factory=Loop) as made:
        yield made
    sys.unraisablehook = hook
    assert not unraisable, unraisable


@pytest.fixture
def bench(runner, tmp_path, signing_key):
    source = tmp_path / "drive"
    source.mkdir()
    bodies = {str(n): bytes([n]) * size for n, size in enumerate(SIZES)}
    for number, body in bodies.items():
        (source / f"{number}.bin").write_bytes(body)
    served = Served(source, signing_key)
    served.emulator.grant("reader@example.com", "can_read")

    async def begin():
        session = aiohttp.ClientSession()
        where = {"base_url": served.emulator.url, "session": session}
        user = Paragon(project_id=PROJECT, signing_key=signing_key, **where).user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=120)
        files = [file async for file in user.records.pull(sync.id, File)]
        files = sorted((f for f in files if not f.is_folder), key=lambda file: file.name)
        made = Bench(user, session, sync.id, tmp_path / "room", bodies, files)
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: made.complaints.append(context)
        )
        return made

    made = runner.run(begin())
    yield made
    runner.run(made.session.close())
    served.close()


async def sweep(bench, work, way):
    """Cancel *work* at steps that are spread over the whole of it; return how many were."""
    loop = asyncio.get_running_loop()
    bench.begin()
    await work(bench)
    loop.watch(math.inf, None)
    expected = await work(bench)
    total, cancelled = loop.steps, 0
    for at in range(1, total + 1, max(1, total // POINTS[way])):
        bench.begin()
        task = asyncio.ensure_future(way(work(bench), at))
        async with asyncio.timeout(120):
            await asyncio.wait([task])
        loop.watch(math.inf, None)
        cancelled += task.result()
        bench.nothing_left()
        async with asyncio.timeout(120):
            assert await work(bench) == expected
    # What nobody heard of is told when its task is thrown away.
    gc.collect()
    bench.nothing_left()
    return cancelled, total


@pytest.mark.parametrize("way", POINTS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_cancelled_at_any_step_nothing_is_left(bench, runner, work, way):
    """Cancelled at the k-th step: no task, thread, connection or part file is left, the next succeeds."""
    cancelled, total = runner.run(sweep(bench, work, way))
    assert cancelled > 0.5 * min(POINTS[way], total)


class Taking:
    """Takes one event into an inbox and hands it over, and remembers what was said and done."""

    def __init__(self, path):
        self.path, self.stored, self.handled = path, False, 0

    async def work(self):
        async with Inbox(self.path) as inbox:
            self.stored = await inbox.put(event(f"r{self.path.stem}"))
            await self.drain(inbox)

    async def again(self):
        """What comes after: the inbox opens, is drained, and holds nothing."""
        async with Inbox(self.path) as inbox:
            await self.drain(inbox)
            counts = await inbox.counts()
        assert (counts.waiting, counts.parked) == (0, 0)

    async def drain(self, inbox):
        router = Router()

        @router.on(Event)
        async def note(_):
            await asyncio.sleep(0)
            self.handled += 1

        await inbox.drain(router)


async def sweep_inbox(room, way):
    loop = asyncio.get_running_loop()
    await Taking(room / "first.db").work()
    loop.watch(math.inf, None)
    await Taking(room / "second.db").work()
    total, stored, cancelled = loop.steps, 0, 0
    for at in range(1, total + 1):
        taking = Taking(room / f"{at}.db")
        cancelled += await way(taking.work(), at)
        loop.watch(math.inf, None)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not [t.name for t in threading.enumerate() if t.name.startswith("paragon-")]
        stored += taking.stored
        await taking.again()
        # What was interrupted in a handler comes again, and what was not told may be there or not.
        assert taking.handled >= taking.stored
        assert taking.handled <= 2
    return cancelled, stored, total


@pytest.mark.parametrize("way", POINTS, ids=lambda way: way.__name__)
def test_an_event_that_was_stored_outlives_any_cancellation(runner, tmp_path, way):
    """Cancelled at the k-th step of opening, storing and handling: nothing is left, no event is lost."""
    cancelled, stored, total = runner.run(sweep_inbox(tmp_path, way))
    assert cancelled > 0.5 * total
    assert 0 < stored < total
