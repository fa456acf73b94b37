"""A mirror equals its source after any changes, with faults on the way and runs that were stopped."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paragon_async import Paragon, ParagonError, Retry
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from paragon_async.ingest import Ingest
from tests.conftest import PROJECT
from tests.ingest.fakes import StoppingSink
from tests.proofs.checker import Drive, whole

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
KEY = new_signing_key()
FILES = st.sampled_from(["a", "b.txt", "d/c", "d/Ü.pdf", "e/f/g"])
FAULTS = [
    {"path": "*/content", "status": 503},
    {"path": "*/content", "status": 403},
    {"path": "*/content", "cut_after": 3},
    {"path": "*/content", "cut_after": 3, "reset": True},
    {"path": "*/content", "corrupt_at": 1},
    {"path": "*/content", "length_off": 2},
    {"path": "*/content", "status": 429, "retry_after": 0.01},
    {"path": "*/content", "status": 401},
    {"path": "*/records", "status": 500},
    {"path": "*/records", "cut_after": 40},
    {"path": "*/records", "page": "duplicates"},
    {"path": "*/records", "page": "repeat_cursor"},
    {"path": "*/records", "page": "null_cursor"},
    {"path": "*/records", "html": True, "status": 200},
]
STEP = st.one_of(
    st.tuples(st.just("write"), FILES, st.sampled_from([b"", b"one", b"two", b"three" * 9])),
    st.tuples(st.just("remove"), FILES),
    st.tuples(st.just("rename"), FILES, FILES),
    st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.integers(1, 3), st.integers(0, 3)),
    st.tuples(st.just("run"), st.integers(1, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.sampled_from(["reconcile", "retry", "verify"])),
    st.tuples(st.just("stop"), st.sampled_from(["run", "reconcile", "retry"]), FILES),
)


class World:
    """A source, its emulator, and a mirror of it."""

    def __init__(self, room, emulator, user, sync_id, durability):
        self.drive, self.mirror = room / "drive", room / "mirror"
        self.emulator, self.user, self.sync_id = emulator, user, sync_id
        self.durability = durability

    def ingest(self, concurrency=3, stops=()):
        sink = StoppingSink(self.mirror, set(stops), durability=self.durability)
        return Ingest(
            self.user,
            self.sync_id,
            sink,
            self.mirror,
            concurrency=concurrency,
            page_size=3,
            fuse=None,
        )

    async def play(self, step):
        match step:
            case ("write", name, data):
                self._place(name).write_bytes(data)
            case ("remove", name):
                (self.drive / name).unlink(missing_ok=True)
            case ("rename", name, other) if (self.drive / name).exists():
                (self.drive / name).replace(self._place(other))
            case ("fault", fault, times, skip):
                self.emulator.fault(**fault, times=times, skip=skip)
            case ("run", concurrency):
                await self._tried(self.ingest(concurrency).run())
            case ("reconcile" | "retry" | "verify" as kind,):
                await self._tried(getattr(self.ingest(), kind)())
            case ("stop", kind, name):
                # As a kill would, right behind a content that has come into its place.
                await self._tried(getattr(self.ingest(stops=[Path(name).name]), kind)())
            case ("cancel", ticks):
                running = asyncio.ensure_future(self.ingest().run())
                for _ in range(ticks):
                    await asyncio.sleep(0)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError, ParagonError):
                    await running

    async def settle(self):
        """Without faults, all that is owed comes."""
        self.emulator.faults.clear()
        await self.emulator.refresh()
        await self.ingest().run()
        report = await self.ingest().retry()
        assert report.dead_letters == 0

    def _place(self, name):
        path = self.drive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    async def _tried(self, work):
        await self.emulator.refresh()
        with contextlib.suppress(ParagonError):
            await work


async def play(steps, durability):
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        (room / "drive").mkdir()
        (room / "drive" / "first").write_text("first")
        options = {"settle": 0, "rescan": 0, "project_id": PROJECT, "signing_key": KEY}
        async with (
            Emulator(room / "drive", **options) as emulator,
            Paragon(
                project_id=PROJECT,
                signing_key=KEY,
                base_url=emulator.url,
                retry=Retry(attempts=2, first_wait=0.001, longest_wait=0.01),
            ) as paragon,
        ):
            user = paragon.user("user-1")
            sync = await user.syncs.enable("googledrive", "files")
            await user.syncs.wait_until_idle(sync.id, timeout=10)
            world = World(room, emulator, user, sync.id, durability)
            for step in steps:
                await world.play(step)
            await world.settle()
            await whole(Drive(world.drive, emulator, user, sync.id), world.mirror)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEP, min_size=4, max_size=20), durability=st.sampled_from(["file", "batch"]))
def test_the_mirror_equals_the_source(steps, durability):
    """Whatever changed and failed in between: afterwards files, rows and receipts are the source's."""
    asyncio.run(play(steps, durability))
