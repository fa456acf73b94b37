"""An ingest that is killed, again and again, at any moment: nothing lost, nothing half, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from paragon_async import Paragon
from paragon_async.emulator import Emulator
from tests.conftest import PROJECT
from tests.proofs import checker

KILLS = int(os.environ.get("PARAGON_KILLS", "60"))
CASES = [("file", False), ("file", True), ("batch", False), ("batch", True)]
EACH = -(-KILLS // len(CASES))
pytestmark = [pytest.mark.proof, pytest.mark.timeout(300 + 6 * EACH)]
CONCURRENCY = 4
PAGE = 40
FILES = 400


def fill(source):
    """Four hundred files: many empty or small, some of one to three megabytes, namesakes among them."""
    dice = random.Random(7)  # noqa: S311  # the same drive each time
    for number in range(FILES):
        folder = source / f"folder {number % 9}"
        folder.mkdir(parents=True, exist_ok=True)
        size = 0 if number % 20 == 0 else dice.randrange(1, 6_000)
        size = dice.randrange(1 << 20, 3 << 20) if number % 67 == 1 else size
        (folder / f"file {number // 2}.bin").write_bytes(dice.randbytes(size))


def change(source, dice, most):
    """Edit, rename, move, delete and add a few files."""
    for path in dice.sample(sorted(p for p in source.rglob("*") if p.is_file()), most):
        match dice.randrange(5):
            case 0:
                path.write_bytes(dice.randbytes(dice.randrange(3_000)))
            case 1:
                path.rename(path.with_name(f"renamed {dice.getrandbits(60):x}"))
            case 2:
                path.rename(source / f"moved {dice.getrandbits(60):x}")
            case 3:
                path.unlink()
                (source / f"new {dice.getrandbits(60):x}").write_bytes(dice.randbytes(500))
            case 4:
                path.write_bytes(b"")


class Children:
    """Starts ingests and kills them."""

    def __init__(self, server, dice):
        self.server, self.dice = server, dice

    async def ask(self, mirror, durability):
        self.server.stdin.write(f"{durability} {mirror}\n".encode())
        await self.server.stdin.drain()
        word, pid = (await self.server.stdout.readline()).split()
        assert word == b"begin"
        return int(pid)

    async def run(self, mirror, durability, longest):
        """Run an ingest and kill it at a random moment; tell whether it came to its end first."""
        pid = await self.ask(mirror, durability)
        end = asyncio.ensure_future(self.server.stdout.readline())
        # Some very early, the others anywhere in the time that the work takes.
        is_early = longest < 1 and self.dice.random() < 0.15
        delay = self.dice.uniform(0, 0.01) if is_early else self.dice.uniform(0, longest)
        await asyncio.wait([end], timeout=delay)
        if not end.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        word, status = (await end).split()
        assert word == b"ended" and int(status) in {0, -signal.SIGKILL}
        return int(status) == 0


@pytest.fixture
async def drive(tmp_path, signing_key):
    source = tmp_path / "drive"
    fill(source)
    options = {"project_id": PROJECT, "signing_key": signing_key, "settle": 0, "rescan": 0}
    async with (
        Emulator(source, **options) as emulator,
        Paragon(project_id=PROJECT, signing_key=signing_key, base_url=emulator.url) as client,
    ):
        user = client.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=120)
        emulator.fault(path="*/content", times=None, delay=0.01)
        yield checker.Drive(source, emulator, user, sync.id)


@pytest.fixture
async def server(drive):
    emulator = drive.emulator
    program = Path(__file__).with_name("child.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(program, emulator.url, PROJECT, drive.sync_id, str(CONCURRENCY), str(PAGE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | emulator.environ,
    )
    yield process
    process.stdin.close()
    assert await process.wait() == 0


class Fetches:
    """Counts how often each version of each content was asked for."""

    def __init__(self):
        self.count = Counter()

    def take(self, emulator, versions):
        for call in emulator.requests:
            if call.path.endswith("/content"):
                id_ = call.path.split("/")[-2]
                self.count[id_, versions.now.get(id_)] += 1
        emulator.world.journal.clear()

    @property
    def twice(self):
        return sum(self.count.values()) - len(self.count)


@pytest.mark.parametrize(("durability", "moving"), CASES)
async def test_killed_again_and_again_a_mirror_ends_equal_to_its_source(
    drive, server, tmp_path, durability, moving
):
    """Killed at random moments and begun again, a mirror is never wrong, and in the end complete.

    At each kill: no partial file under a final name, receipts right, the cursor not ahead. Over all:
    no more is fetched twice than was in flight (in `batch` a page, and what was done behind it).
    """
    dice = random.Random(f"{durability} {moving}")  # noqa: S311  # chance that can be repeated
    children, versions = Children(server, dice), checker.Versions()
    kills = 0
    # With `batch` no receipt tells of a page's contents before the page is committed.
    in_flight = CONCURRENCY if durability == "file" else CONCURRENCY + 4 * PAGE
    await versions.note(drive)
    for number in itertools.count():
        mirror, fetches, before = tmp_path / f"mirror {number}", Fetches(), kills
        while not await children.run(mirror, durability, longest=0.6 if kills < EACH else 3_600):
            kills += 1
            await checker.midway(drive, mirror, versions, in_flight=in_flight)
            fetches.take(drive.emulator, versions)
            if moving and kills < EACH:
                change(drive.source, dice, dice.randrange(12))
                await drive.emulator.refresh()
                await versions.note(drive)
        await checker.whole(drive, mirror)
        fetches.take(drive.emulator, versions)
        at_most = CONCURRENCY if durability == "file" else PAGE
        assert fetches.twice <= (kills - before) * at_most
        shutil.rmtree(mirror)
        if kills >= EACH:
            break
