"""The n-th operation fails, for every n: an error of ours or a completed run, never a lie or a hang."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import shutil
import sqlite3
import threading
import traceback
from contextlib import AsyncExitStack, suppress

import attrs
import pytest

from paragon_async import Paragon, ParagonError, Retry
from paragon_async.disk import SystemDisk
from paragon_async.emulator import Emulator
from paragon_async.ingest import FolderSink, Ingest, State
from tests.conftest import PROJECT
from tests.proofs import checker

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
CONCURRENCY = 2
FILES = {"both": b"both", "edited": b"old", "goes": b"goes", "named": b"named", "stays": b""}


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


def told(error):
    """Say what was wrong: of an assertion, its line."""
    return repr(error), traceback.extract_tb(error.__traceback__)[-1].line


@attrs.frozen(eq=False)
class Trouble:
    """What goes wrong in one run, and how one sees whether it did."""

    nth: Nth
    disk: object = None
    connect: object = None

    def end(self):
        return self.nth.failed


@attrs.define(eq=False)
class Scene:
    """A source of five files that can be as it was, or edited, renamed and thinned."""

    drive: checker.Drive
    room: object
    durability: str = "file"
    versions: checker.Versions = attrs.field(factory=checker.Versions)

    async def before(self):
        self._shelf.mkdir()
        for name, body in FILES.items():
            (self._shelf / name).write_bytes(body)
        await self._looked()

    async def after(self):
        (self._shelf / "both").rename(self.drive.source / "both, renamed")
        # A file that is renamed and edited between two looks would be taken for another one.
        await self.drive.emulator.refresh()
        (self.drive.source / "both, renamed").write_bytes(b"other")
        (self._shelf / "edited").write_bytes(b"newer" * 3_000)
        (self._shelf / "goes").unlink()
        (self._shelf / "named").rename(self.drive.source / "renamed")
        await self._looked()

    async def undone(self):
        """Take everything back, as far as a disk allows."""
        (self.drive.source / "both, renamed").rename(self._shelf / "both")
        await self.drive.emulator.refresh()
        for name in ("both", "edited", "goes"):
            (self._shelf / name).write_bytes(FILES[name])
        (self.drive.source / "renamed").rename(self._shelf / "named")
        await self._looked()

    @property
    def _shelf(self):
        return self.drive.source / "shelf"

    async def _looked(self):
        await self.drive.emulator.refresh()
        await self.versions.note(self.drive)

    async def run(self, mirror, trouble=None):
        connect = {"connect": trouble.connect} if trouble and trouble.connect else {}
        disk = trouble.disk if trouble else None
        ingest = Ingest(
            self.drive.user,
            self.drive.sync_id,
            FolderSink(mirror, durability=self.durability, disk=disk),
            State(mirror, disk=disk, **connect),
            concurrency=CONCURRENCY,
            page_size=3,
            fuse=None,
        )
        async with asyncio.timeout(120):
            return await ingest.run()

    async def broken(self, mirror, trouble):
        """Run while something fails: an error of ours, or a report that is the truth.

        Returns what failed, and whether the run was as good as any.
        """
        report = None
        with suppress(ParagonError):
            report = await self.run(mirror, trouble)
        failed = trouble.end()
        if report is None:
            # A page of contents at most is ahead of its receipts, and it has three.
            await checker.midway(self.drive, mirror, self.versions, in_flight=CONCURRENCY + 3)
            return failed, False
        letters = set(checker.saved(mirror).dead)
        assert report.dead_letters == len(letters)
        await checker.whole(self.drive, mirror, swept=False, dead=letters)
        return failed, not letters

    async def mended(self, mirror):
        """Run with nothing in the way: then the mirror is the source."""
        report = await self.run(mirror)
        assert report.dead_letters == 0
        await checker.whole(self.drive, mirror)


@pytest.fixture
async def make_scene(tmp_path, signing_key):
    """Return what makes a scene for a client of a given patience."""
    async with AsyncExitStack() as stack:

        async def make(durability="file", attempts=2):
            source = tmp_path / "drive"
            source.mkdir()
            identity = {"project_id": PROJECT, "signing_key": signing_key}
            emulator = await stack.enter_async_context(
                Emulator(source, settle=0, rescan=0, **identity)
            )
            retry = Retry(attempts=attempts, first_wait=0.0)
            client = Paragon(base_url=emulator.url, retry=retry, **identity)
            user = (await stack.enter_async_context(client)).user("user-1")
            sync = await user.syncs.enable("googledrive", "files")
            await user.syncs.wait_until_idle(sync.id, timeout=120)
            scene = Scene(checker.Drive(source, emulator, user, sync.id), tmp_path, durability)
            await scene.before()
            return scene

        yield make


async def sweep(scene, make):
    """Let the n-th operation fail for every n: of a first run, of an update, of one then undone.

    *make* gives the trouble for n. Returns every n that left something wrong, how many there were,
    and how many of them a run survived unharmed.
    """
    wrong, count, healed, halves = [], 0, 0, []
    base = scene.room / "base"
    await scene.mended(base)
    for phase in ("first", "update"):
        if phase == "update":
            await scene.after()
        for n in itertools.count(1):
            mirror, failed = scene.room / f"{phase} {n}", ["?"]
            if phase == "update":
                shutil.copytree(base, mirror)
            try:
                failed, is_good = await scene.broken(mirror, make(n))
                if not failed:
                    break
                count, healed = count + 1, healed + is_good
                if phase == "update":
                    shutil.copytree(mirror, scene.room / f"half {n}")
                    halves.append((n, failed[0], scene.room / f"half {n}"))
                await scene.mended(mirror)
            except Exception as error:  # noqa: BLE001  # all of them are shown, not the first alone
                wrong.append((phase, n, failed[0], told(error)))
            shutil.rmtree(mirror)
    # What was left half-way must not be taken for what is there again.
    await scene.undone()
    for n, what, mirror in halves:
        try:
            await scene.mended(mirror)
        except Exception as error:  # noqa: BLE001  # as above
            wrong.append(("undone", n, what, told(error)))
    return wrong, count, healed


DISK = {
    "once EIO, file": (errno.EIO, False, "file"),
    "once EACCES, batch": (errno.EACCES, False, "batch"),
    "lasting ENOSPC, batch": (errno.ENOSPC, True, "batch"),
}


@pytest.mark.parametrize("case", DISK)
async def test_whichever_disk_operation_fails_the_next_run_completes(make_scene, case):
    """The n-th operation on the disk fails: the run stops with an error of ours or tells the truth."""
    number, lasting, durability = DISK[case]

    def make(n):
        nth = Nth(n, lambda: OSError(number, os.strerror(number)), lasting=lasting)
        return Trouble(nth, disk=BreakingDisk(nth))

    wrong, count, _ = await sweep(await make_scene(durability), make)
    assert not wrong, "\n".join(map(str, wrong))
    assert count > 50


SQLITE = {
    "once full, file": ("database or disk is full", "SQLITE_FULL", False, "file"),
    "once busy, batch": ("database is locked", "SQLITE_BUSY", False, "batch"),
    "lasting broken, batch": ("disk I/O error", "SQLITE_IOERR_WRITE", True, "batch"),
}


@pytest.mark.parametrize("case", SQLITE)
async def test_whichever_statement_fails_the_next_run_completes(make_scene, case):
    """The n-th statement of the state fails: nothing is forgotten, nothing promised too much."""
    text, name, lasting, durability = SQLITE[case]

    def error():
        made = sqlite3.OperationalError(text)
        made.sqlite_errorname = name
        return made

    def make(n):
        nth = Nth(n, error, lasting=lasting)
        return Trouble(nth, connect=breaking_connect(nth))

    wrong, count, _ = await sweep(await make_scene(durability), make)
    assert not wrong, "\n".join(map(str, wrong))
    assert count > 50


WIRE = {
    "500": {"status": 500},
    "reset": {"cut_after": 0, "reset": True},
    "cut": {"cut_after": 2},
}


class WireTrouble:
    """A call that fails at the emulator; the judge asks when it is taken back."""

    disk = connect = None

    def __init__(self, emulator, n, rule):
        self.emulator = emulator
        emulator.fault(skip=n - 1, times=1, **rule)

    def end(self):
        rule = self.emulator.faults.listed()[0]
        self.emulator.faults.clear()
        return ["a call"] * rule["hits"]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("case", WIRE)
async def test_whichever_call_fails_the_next_run_completes(make_scene, case, attempts):
    """The n-th call of the service fails: tried again it heals; not tried again it is said."""
    scene = await make_scene(attempts=attempts)
    emulator = scene.drive.emulator
    wrong, count, healed = await sweep(scene, lambda n: WireTrouble(emulator, n, WIRE[case]))
    assert not wrong, "\n".join(map(str, wrong))
    assert count >= 8
    # A cut that is no cut, of an empty file, harms nobody.
    assert healed == count if attempts > 1 else healed <= 2
