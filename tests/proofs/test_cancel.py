"""An ingest cancelled at every step of its event loop: nothing left behind, and the next completes.

The service runs in a thread of its own, so that the loop that is counted has no steps but those of the
engine and its client. Source: failures.md A.6 and R7.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from contextlib import contextmanager

import aiohttp
import anyio
import attrs
import pytest

from paragon_async import Paragon
from paragon_async.disk import SystemDisk
from paragon_async.emulator import Emulator
from paragon_async.ingest import FolderSink, Ingest, State
from tests.conftest import PROJECT
from tests.proofs import checker

pytestmark = [pytest.mark.proof, pytest.mark.timeout(180)]
POINTS = 150  # of each sweep; one with fewer steps has them all
FEW = 12
FILES = 6


class Loop(asyncio.SelectorEventLoop):
    """Does something at the k-th time that anything is given to it to be done soon."""

    steps = 0
    at = math.inf
    act = None

    def watch(self, at, act):
        self.steps, self.at, self.act = 0, at, act

    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        self.steps += 1
        if self.steps == self.at:
            super().call_soon(self.act)
        return handle


class Served:
    """An emulator in a thread and a loop of its own."""

    def __init__(self, source, key):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.emulator = Emulator(source, settle=0, rescan=0, project_id=PROJECT, signing_key=key)
        self.run(self.emulator.start())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self):
        self.run(self.emulator.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class CountingDisk:
    """The machine's disk; it knows which calls are under way, and which files are open."""

    def __init__(self):
        self.busy, self.open = 0, 0
        self._lock, self._disk = threading.Lock(), SystemDisk()

    def __getattr__(self, name):
        work = getattr(self._disk, name)

        def call(*args):
            with self._lock:
                self.busy += 1
                self.open -= name == "close"
            try:
                found = work(*args)
            finally:
                with self._lock:
                    self.busy -= 1
            with self._lock:
                self.open += name in {"create", "append"}
            return found

        return call


@attrs.define(eq=False)
class Bench:
    """One drive, one client with a session whose connections can be counted, and mirrors."""

    drive: checker.Drive
    session: aiohttp.ClientSession
    room: object
    served: Served
    durability: str
    complaints: list = attrs.field(factory=list)
    disk: CountingDisk = attrs.field(factory=CountingDisk)
    versions: checker.Versions = attrs.field(factory=checker.Versions)

    def ingest(self, mirror):
        return Ingest(
            self.drive.user,
            self.drive.sync_id,
            FolderSink(mirror, durability=self.durability, disk=self.disk),
            State(mirror, disk=self.disk),
            concurrency=2,
            page_size=4,
        )

    async def cancelled(self, at, mirror, way):
        """Run an ingest that is cancelled at its step *at*; tell whether it was."""
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(way(self.ingest(mirror).run(), at))
        async with asyncio.timeout(30):
            await asyncio.wait([task])
        loop.watch(math.inf, None)
        was_cancelled = task.result()
        self._nothing_left(mirror)
        return was_cancelled

    def _nothing_left(self, mirror):
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (self.disk.busy, self.disk.open) == (0, 0)
        assert not [t.name for t in threading.enumerate() if t.name == "paragon-state"]
        assert not self.session.connector._acquired
        assert not self.complaints, self.complaints
        # A content that was complete may lie there until the next run sweeps it; a part never.
        assert not list((mirror / ".paragon" / "tmp").glob(".paragon-*.part"))

    async def completed(self, mirror):
        """Run it once more, untouched: then the mirror is the source."""
        async with asyncio.timeout(30):
            assert (await self.ingest(mirror).run()).dead_letters == 0
        await checker.whole(self.drive, mirror)
        assert not self.complaints, self.complaints

    async def changed(self):
        source = self.drive.source
        (source / "file 0").write_bytes(b"longer than before")
        (source / "file 1").unlink()
        (source / "file 2").rename(source / "renamed")
        (source / "file 5").write_bytes(b"new" * 100_000)
        await self.looked()

    async def looked(self):
        self.served.run(self.served.emulator.refresh())
        await self.versions.note(self.drive)


async def by_cancel(work, at):
    """Cancel the task itself; what it was told it must not swallow."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    told = []
    loop.watch(at, lambda: told.append(task.cancel()))
    await asyncio.wait([task])
    assert task.cancelled() == (told == [True])
    if not task.cancelled():
        task.result()
    return task.cancelled()


async def by_timeout(work, at):
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            done = asyncio.ensure_future(work)
            # A limit that was left cannot be moved any more.
            loop.watch(at, lambda: done.done() or limit.reschedule(loop.time()))
            await done
    except TimeoutError:
        return True
    return False


async def by_scope(work, at):
    loop = asyncio.get_running_loop()
    with anyio.move_on_after(math.inf) as scope:
        loop.watch(at, scope.cancel)
        await work
    return scope.cancelled_caught


@contextmanager
def bench_of(tmp_path, key, durability):
    """Yield a bench and what runs a coroutine in the loop that counts."""
    source = tmp_path / "drive"
    source.mkdir()
    for number in range(FILES):
        (source / f"file {number}").write_bytes(bytes([number]) * number * number * 9_000)
    served = Served(source, key)
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:

            async def begin():
                session = aiohttp.ClientSession()
                client = Paragon(
                    project_id=PROJECT,
                    signing_key=key,
                    base_url=served.emulator.url,
                    session=session,
                )
                user = client.user("user-1")
                sync = await user.syncs.enable("googledrive", "files")
                await user.syncs.wait_until_idle(sync.id, timeout=10)
                drive = checker.Drive(source, served.emulator, user, sync.id)
                bench = Bench(drive, session, tmp_path, served, durability)
                loop = asyncio.get_running_loop()
                loop.set_exception_handler(lambda _, context: bench.complaints.append(context))
                await bench.looked()
                return bench

            bench = runner.run(begin())
            try:
                yield bench, runner
            finally:
                runner.run(bench.session.close())
    finally:
        served.close()


async def sweep(bench, base, way, points):
    """Cancel at *points* steps, evenly over a whole run; return how many of them were cancelled."""
    loop = asyncio.get_running_loop()
    mirror = bench.room / "mirror"

    def begin():
        shutil.rmtree(mirror, ignore_errors=True)
        if base is not None:
            shutil.copytree(base, mirror)

    begin()
    loop.watch(math.inf, None)
    await bench.ingest(mirror).run()
    total = loop.steps
    count = 0
    for at in range(1, total, max(1, total // points)):
        begin()
        if await bench.cancelled(at, mirror, way):
            count += 1
            # Two contents on their way, and with `batch` those of the page that is not committed.
            await checker.midway(bench.drive, mirror, bench.versions, in_flight=2 + 4)
        await bench.completed(mirror)
    return count, total


@pytest.mark.parametrize("durability", ["file", "batch"])
@pytest.mark.parametrize("kind", ["first", "update"])
def test_cancelled_at_any_step_nothing_is_left_and_the_next_run_completes(
    tmp_path, signing_key, durability, kind
):
    """Cancelled at the k-th step, for k over the whole run: no task, thread, file or connection is
    left, the cancellation is not swallowed, and what comes next completes the mirror.
    """
    with bench_of(tmp_path, signing_key, durability) as (bench, runner):
        base = None
        if kind == "update":
            base = tmp_path / "base"
            runner.run(bench.completed(base))
            runner.run(bench.changed())
        count, total = runner.run(sweep(bench, base, by_cancel, POINTS))
        assert total > 100
        # Runs differ by some steps: only the last ones may have come to their end.
        assert count > 0.8 * min(POINTS, total)


@pytest.mark.parametrize("way", [by_timeout, by_scope])
def test_whatever_cancels_nothing_is_left_and_the_next_run_completes(tmp_path, signing_key, way):
    """A timeout, and a scope of anyio, end a run as cleanly as its task's own cancellation."""
    with bench_of(tmp_path, signing_key, "file") as (bench, runner):
        count, _ = runner.run(sweep(bench, None, way, FEW))
        assert count > FEW // 2
