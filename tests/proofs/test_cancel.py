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
import attrs
import pytest

from paragon_async import Paragon
from paragon_async.ingest import FolderSink, Ingest, State
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.served import Served
from tests.proofs.sweeping import CountingDisk, Loop, by_cancel, by_scope, by_timeout

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
POINTS = 150  # of each sweep; one with fewer steps has them all
FEW = 12
FILES = 6


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
        async with asyncio.timeout(120):
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
        async with asyncio.timeout(120):
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
                await user.syncs.wait_until_idle(sync.id, timeout=120)
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
