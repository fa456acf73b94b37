"""Power cuts for those who are not root: a disk that keeps what was not flushed apart, and forgets it.

The engine's own cuts on this disk are the simulation's (`tests/simulation`), thousands of them. Here are
the plain downloads, and that a disk which does not flush is found out. On a real file system:
`test_power`. Source: failures.md R4, finding 5.
"""

from __future__ import annotations

import random
import threading
from contextlib import aclosing, suppress

import pytest

from paragon_async import DestinationError, File
from tests.proofs import checker
from tests.simulation.disk import SimDisk
from tests.simulation.world import World
from tests.simulation.wrong import LyingDisk, NamelessDisk

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
FILES = 40
CUTS = 40
AT_MOST = 20
WORKS = [("one by one", "file"), ("many", "file"), ("many", "batch")]


class LazyDisk(SimDisk):
    """Says that everything is flushed, and flushes nothing."""

    def sync_all(self, path):
        self._event("sync all", path)


WRONG = [
    (LyingDisk, "one by one", "file"),
    (LyingDisk, "many", "file"),
    (NamelessDisk, "one by one", "file"),
    (NamelessDisk, "many", "file"),
    (LazyDisk, "many", "batch"),
]


def locked(kind):
    """Return a disk that threads can share: the simulation has none."""

    class Locked(kind):
        def __init__(self, *args):
            super().__init__(*args)
            self._lock = threading.Lock()

    def guarded(name):
        work = getattr(kind, name)

        def call(self, *args):
            with self._lock:
                return work(self, *args)

        return call

    for name in ("create", "append", "write", "truncate", "sync", "close", "replace", "unlink"):
        setattr(Locked, name, guarded(name))
    for name in ("make_folder", "remove_folder", "names", "sync_folder", "sync_all"):
        setattr(Locked, name, guarded(name))
    return Locked


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "drive"
    root.mkdir()
    dice = random.Random(4)  # noqa: S311  # the same drive each time
    for number in range(FILES):
        size = 0 if number % 9 == 0 else dice.randrange(1, 20_000)
        (root / f"{number}.bin").write_bytes(dice.randbytes(size))
    return root


@pytest.fixture
async def drive(folder, emulator, user, sync_id):
    return checker.Drive(folder, emulator, user, sync_id)


async def saved_by(drive, work, durability, place, disk):
    """Yield what is reported as saved; ends where the power is lost."""
    files = drive.user.records.pull(drive.sync_id, File)
    if work == "many":
        options = {"concurrency": 4, "durability": durability, "disk": disk}
        many = drive.user.records.download_all(drive.sync_id, files, place, **options)
        async with aclosing(many):
            async for saved in many:
                yield saved
        return
    async with aclosing(files):
        async for file in files:
            if not file.is_folder:
                yield await drive.user.records.download(drive.sync_id, file, place, disk=disk)


async def cut(drive, kind, work, durability, seed, room):
    """Download until the power is lost at some operation; return what was reported, and what is wrong."""
    place = room / f"{seed}"
    place.mkdir()
    world = World(seed)
    disk = locked(kind)(world, place)

    def die():
        world.dead = "power"

    world.arrange(world.dice("cut").randrange(6 * FILES), die)
    reported = []
    with suppress(DestinationError):
        async for saved in saved_by(drive, work, durability, place, disk):
            # What comes after the end of the power is said to nobody.
            if not world.dead:
                reported.append(saved)
    assert world.dead or len(reported) == FILES
    disk.restore(power=True)
    wrong = [
        saved
        for saved in reported
        if not saved.path.is_file() or checker.sha256_of(saved.path) != saved.sha256
    ]
    if durability == "file":
        wanted = {checker.sha256_of(path) for path in drive.source.iterdir()}
        finals = [path for path in place.iterdir() if not path.name.startswith(".paragon-")]
        wrong += [path for path in finals if checker.sha256_of(path) not in wanted]
    return reported, wrong


@pytest.mark.parametrize(("work", "durability"), WORKS)
async def test_what_was_reported_as_saved_survives(drive, tmp_path, work, durability):
    """Whichever operation the power is lost at, what was reported is whole under its name."""
    told, some = 0, 0
    for seed in range(CUTS):
        reported, wrong = await cut(drive, SimDisk, work, durability, seed, tmp_path)
        assert not wrong, seed
        told += len(reported)
        some += 0 < len(reported) < FILES
    assert told > FILES
    assert some > CUTS // 8


@pytest.mark.parametrize(("kind", "work", "durability"), WRONG)
async def test_a_disk_that_does_not_flush_is_found_out(drive, tmp_path, kind, work, durability):
    """Bytes or names that are not flushed: after some cut, something that was reported is not there."""
    for seed in range(AT_MOST):
        _, wrong = await cut(drive, kind, work, durability, seed, tmp_path)
        if wrong:
            return
    pytest.fail(f"{AT_MOST} power cuts found nothing wrong")
