"""The n-th operation fails, for every n: an error of ours or a completed run, never a lie or a hang."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from contextlib import asynccontextmanager

import attrs
import pytest

from paragon_async import Paragon, ParagonError, Retry
from paragon_async.disk import SystemDisk
from paragon_async.emulator import Emulator
from paragon_async.ingest import FolderSink, Ingest, State
from tests.conftest import PROJECT
from tests.proofs import checker

pytestmark = [pytest.mark.proof, pytest.mark.timeout(180)]
CONCURRENCY = 2
_NEVER = 1 << 30


class Nth:
    """Counts operations of all threads; the *at*-th fails, or with *lasting* all from there on."""

    def __init__(self, at, error, *, lasting=False):
        self.at, self.error, self.lasting = at, error, lasting
        self.count = 0
        self.failed = []
        self._lock = threading.Lock()

    def step(self, name):
        with self._lock:
            self.count += 1
            if self.count == self.at or (self.lasting and self.count > self.at):
                self.failed.append(name)
                raise self.error()


class BreakingDisk:
    """The machine's disk, until it refuses; what is closed is closed even then, as by the system."""

    def __init__(self, nth):
        self._nth, self._disk = nth, SystemDisk()

    def __getattr__(self, name):
        work = getattr(self._disk, name)

        def call(*args):
            if name == "close":
                work(*args)
                return self._nth.step(name)
            self._nth.step(name)
            return work(*args)

        return call


def breaking_connect(nth):
    """Return what connects to a SQLite whose statements fail."""

    class Connection(sqlite3.Connection):
        def execute(self, text, *args):
            nth.step(text)
            return super().execute(text, *args)

        def executemany(self, text, *args):
            nth.step(text)
            return super().executemany(text, *args)

        def executescript(self, text):
            nth.step(text)
            return super().executescript(text)

    def connect(path):
        return sqlite3.connect(path, isolation_level=None, uri=True, timeout=5, factory=Connection)

    return connect


def refusal(number):
    return lambda: OSError(number, os.strerror(number))


def sql(text, name):
    def make():
        error = sqlite3.OperationalError(text)
        error.sqlite_errorname = name
        return error

    return make


@attrs.define
class Scene:
    """A source of four files that can be as it was (`before`), or edited, renamed and thinned."""

    source: object
    emulator: Emulator
    user: object
    sync_id: str
    room: object
    versions: checker.Versions = attrs.field(factory=checker.Versions)

    async def before(self):
        shutil.rmtree(self.source / "shelf", ignore_errors=True)
        (self.source / "shelf").mkdir()
        for name, body in (("edited", b"old"), ("goes", b"goes"), ("stays", b""), ("named", b"n")):
            (self.source / "shelf" / name).write_bytes(body)
        await self._looked()

    async def after(self):
        (self.source / "shelf" / "edited").write_bytes(b"newer" * 3_000)
        (self.source / "shelf" / "goes").unlink()
        (self.source / "shelf" / "named").rename(self.source / "renamed")
        await self._looked()

    async def undone(self):
        """Take everything back, the same files with the same ids as far as a disk allows."""
        (self.source / "shelf" / "edited").write_bytes(b"old")
        (self.source / "shelf" / "goes").write_bytes(b"goes")
        (self.source / "renamed").rename(self.source / "shelf" / "named")
        await self._looked()

    async def _looked(self):
        await self.emulator.refresh()
        await self.versions.note(self.emulator, self.sync_id)

    def ingest(self, mirror, durability, disk=None, connect=None):
        given = {} if connect is None else {"connect": connect}
        return Ingest(
            self.user,
            self.sync_id,
            FolderSink(mirror, durability=durability, disk=disk),
            State(mirror, disk=disk, **given),
            concurrency=CONCURRENCY,
            page_size=3,
            fuse=None,
        )

    async def broken(self, mirror, ingest):
        """Run while something fails: an error of ours, or a report that is the truth."""
        try:
            async with asyncio.timeout(30):
                report = await ingest.run()
        except ParagonError:
            # A page of contents at most is ahead of its receipts, and it has three.
            await checker.midway(
                self.emulator, self.sync_id, mirror, self.versions, in_flight=CONCURRENCY + 3
            )
            return
        letters = set(checker.saved(mirror).dead)
        assert report.dead_letters == len(letters)
        await self.equal(mirror, swept=False, dead=letters)

    async def mended(self, mirror, durability):
        """Run with nothing in the way: then the mirror is the source."""
        async with asyncio.timeout(30):
            report = await self.ingest(mirror, durability).run()
        assert report.dead_letters == 0
        await self.equal(mirror)

    async def equal(self, mirror, **options):
        await checker.whole(self.source, self.emulator, self.sync_id, mirror, **options)


@asynccontextmanager
async def scene_of(tmp_path, signing_key, retry):
    source = tmp_path / "drive"
    source.mkdir()
    options = {"project_id": PROJECT, "signing_key": signing_key, "settle": 0, "rescan": 0}
    async with (
        Emulator(source, **options) as emulator,
        Paragon(
            project_id=PROJECT, signing_key=signing_key, base_url=emulator.url, retry=retry
        ) as client,
    ):
        user = client.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=10)
        scene = Scene(source, emulator, user, sync.id, tmp_path)
        await scene.before()
        yield scene


@pytest.fixture
async def scene(tmp_path, signing_key):
    async with scene_of(tmp_path, signing_key, Retry(attempts=2, first_wait=0.0)) as found:
        yield found


async def sweep(scene, durability, make):
    """Let the n-th operation fail for every n: of a first run, of an update, of one then undone.

    *make* gives disk, connect and the counter for n. Returns how many places failed.
    """
    base = scene.room / "base"
    await scene.mended(base, durability)
    broken, total = [], 0
    for phase in ("first", "update"):
        if phase == "update":
            await scene.after()
        for n in range(1, _NEVER):
            mirror = scene.room / f"{phase} {n}"
            if phase == "update":
                shutil.copytree(base, mirror)
            nth, given = make(n)
            await scene.broken(mirror, scene.ingest(mirror, durability, **given))
            if phase == "update":
                broken.append(scene.room / f"undone {n}")
                shutil.copytree(mirror, broken[-1])
            await scene.mended(mirror, durability)
            shutil.rmtree(mirror)
            if not nth.failed:
                break
            total += 1
    # What was left half-way must not be taken for what is there again.
    await scene.undone()
    for mirror in broken:
        await scene.mended(mirror, durability)
    return total


DISK = {
    "once EIO, file": (errno.EIO, False, "file"),
    "once EACCES, batch": (errno.EACCES, False, "batch"),
    "lasting ENOSPC, file": (errno.ENOSPC, True, "file"),
    "lasting ENOSPC, batch": (errno.ENOSPC, True, "batch"),
}


@pytest.mark.parametrize("case", DISK)
async def test_whichever_disk_operation_fails_the_next_run_completes(scene, case):
    """The n-th operation on the disk fails: the run stops with an error of ours or tells the truth."""
    number, lasting, durability = DISK[case]

    def make(n):
        nth = Nth(n, refusal(number), lasting=lasting)
        return nth, {"disk": BreakingDisk(nth)}

    assert await sweep(scene, durability, make) > 50


SQLITE = {
    "once full, file": ("database or disk is full", "SQLITE_FULL", False, "file"),
    "once broken, batch": ("disk I/O error", "SQLITE_IOERR_WRITE", False, "batch"),
    "lasting full, file": ("database or disk is full", "SQLITE_FULL", True, "file"),
    "lasting broken, batch": ("disk I/O error", "SQLITE_IOERR_WRITE", True, "batch"),
}


@pytest.mark.parametrize("case", SQLITE)
async def test_whichever_statement_fails_the_next_run_completes(scene, case):
    """The n-th statement of the state fails: nothing is forgotten, nothing promised too much."""
    text, name, lasting, durability = SQLITE[case]

    def make(n):
        nth = Nth(n, sql(text, name), lasting=lasting)
        return nth, {"connect": breaking_connect(nth)}

    assert await sweep(scene, durability, make) > 50


WIRE = {"500": {"status": 500}, "reset": {"reset": True}, "cut": {"cut_after": 10}}


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("case", WIRE)
async def test_whichever_call_fails_the_next_run_completes(tmp_path, signing_key, case, attempts):
    """The n-th call of the service fails: tried again it heals; not tried again it is said."""
    async with scene_of(tmp_path, signing_key, Retry(attempts=attempts, first_wait=0.0)) as scene:

        class Hits:
            @property
            def failed(self):
                hits = scene.emulator.faults.listed()[0]["hits"]
                scene.emulator.faults.clear()
                return hits

        def make(n):
            scene.emulator.fault(skip=n - 1, times=1, **WIRE[case])
            return Hits(), {}

        # The judge's own calls would meet the fault, so it is asked after the sweep took it back.
        assert await sweep_calls(scene, make, attempts) >= 8


async def sweep_calls(scene, make, attempts):
    base = scene.room / "base"
    await scene.mended(base, "file")
    total = 0
    for phase in ("first", "update"):
        if phase == "update":
            await scene.after()
        for n in range(1, _NEVER):
            mirror = scene.room / f"{phase} {n}"
            if phase == "update":
                shutil.copytree(base, mirror)
            hits, _ = make(n)
            report, error = None, None
            try:
                async with asyncio.timeout(30):
                    report = await scene.ingest(mirror, "file").run()
            except ParagonError as raised:
                error = raised
            was_hit = hits.failed
            if report is not None:
                letters = set(checker.saved(mirror).dead)
                assert report.dead_letters == len(letters)
                await scene.equal(mirror, swept=False, dead=letters)
            # What is tried again heals, and only that.
            healed = error is None and not report.dead_letters
            assert healed == (attempts > 1 or not was_hit), (phase, n, report, error)
            await scene.mended(mirror, "file")
            if not was_hit:
                break
            total += 1
    return total
