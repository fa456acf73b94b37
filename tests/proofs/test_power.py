"""The machine loses its power, again and again, at any moment: what was said to be saved is there, whole.

On a file system of its own, which forgets all that was not flushed. A disk that only says it has flushed
must be found out: else these cuts would prove nothing. Without root, `test_power_double` is what is left.

    PARAGON_CUTS=500 pytest -m proof -s tests/proofs/test_power.py      before a release

Source: failures.md R4, A.4, findings 5 and 6.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import attrs
import pytest

from paragon_async import Paragon
from paragon_async.disk import SystemDisk
from paragon_async.emulator import Emulator
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.test_kill import change, fill
from tests.proofs.volume import mounted, refusal

CUTS = int(os.environ.get("PARAGON_CUTS", "20"))
INGESTS = ["file", "batch"]
DOWNLOADS = [("one_by_one", "file"), ("many", "file"), ("many", "batch")]
EACH = max(2, CUTS // (len(INGESTS) * 2 + len(DOWNLOADS)))
# Cuts in which a disk that does not flush must be found out; the first one does it as a rule.
AT_MOST = 6
pytestmark = [pytest.mark.proof, pytest.mark.timeout(300 + 20 * CUTS)]
CONCURRENCY = 4
PAGE = 40
FILES = 400


@attrs.define(eq=False)
class Machine:
    """Starts works on a volume, and cuts its power."""

    server: object
    volume: object
    drive: checker.Drive
    dice: random.Random
    cuts: int = 0
    pid: int = 0
    saved: list = attrs.field(factory=list)

    async def run(self, wish, most):
        """Run *wish* and cut once up to *most* contents were asked for; tell whether it was done first.

        What it said is saved stands in `saved`.
        """
        self.drive.emulator.world.journal.clear()
        self.saved = []
        self.server.stdin.write(json.dumps(wish).encode() + b"\n")
        end = asyncio.ensure_future(self._listen())
        after = self.dice.randrange(most)
        while not end.done() and self._asked < after:
            await asyncio.wait([end], timeout=0.005)
        await asyncio.wait([end], timeout=self.dice.uniform(0, 0.03))
        is_done = end.done()
        self.volume.cut()
        self.cuts += 1
        if not is_done:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        status, why = await end
        self.volume.restore()
        assert not (is_done and status), why
        return is_done

    @property
    def _asked(self):
        return sum(call.path.endswith("/content") for call in self.drive.emulator.requests)

    async def _listen(self):
        why = ""
        while True:
            word, rest = (await self.server.stdout.readline()).decode().rstrip().split(" ", 1)
            match word:
                case "begin":
                    self.pid = int(rest)
                case "saved":
                    self.saved.append(json.loads(rest))
                case "failed":
                    why = rest
                case "ended":
                    return int(rest), why

    def wrong(self):
        """Return the contents that are said to be saved, and are not there whole."""
        found = []
        for saved in self.saved:
            path, source = Path(saved["path"]), self.drive.path_of(saved["id"])
            if not path.is_file() or path.read_bytes() != source.read_bytes():
                found.append(path.name)
        return found

    def halves(self, folder):
        """Return what stands under a final name and is no content of the drive."""
        known = {checker.sha256_of(path) for path in self.drive.source.rglob("*") if path.is_file()}
        finals = [path for path in folder.iterdir() if not path.name.startswith(".paragon-")]
        return [path.name for path in finals if checker.sha256_of(path) not in known]


@pytest.fixture(scope="module")
def _possible(tmp_path_factory):
    if why := refusal(tmp_path_factory.mktemp("try")):
        pytest.skip(why)


@pytest.fixture
def volume(_possible, tmp_path):
    with mounted(tmp_path) as made:
        yield made


@pytest.fixture
async def machine(volume, tmp_path, signing_key, request):
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
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            *(Path(__file__).with_name("power_child.py"), emulator.url, PROJECT, sync.id),
            *(str(CONCURRENCY), str(PAGE)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | emulator.environ,
        )
        drive = checker.Drive(source, emulator, user, sync.id)
        dice = random.Random(request.node.name)  # noqa: S311  # chance that can be repeated
        yield Machine(server, volume, drive, dice)
        server.stdin.close()
        assert await server.wait() == 0


def forgiven(mirror, versions):
    """Let be broken what `batch` says can be: contents of the page in flight, which no receipt promises."""
    state = checker.saved(mirror)
    promised = {receipt["path"] for receipt in state.receipts.values()}
    ever = {id_: set(known) for id_, known in versions.ever.items()}
    for location, sha256 in checker.files_of(mirror).items():
        id_ = Path(location).parts[1]
        if id_ in state.intents or location not in promised:
            ever.setdefault(id_, set()).add(sha256)
    found = checker.Versions()
    found.now = versions.now
    found.ever.update(ever)
    return found


async def judged(machine, mirror, versions, durability):
    """Hold what a power cut left of a mirror against its source."""
    if durability == "file":
        await checker.midway(machine.drive, mirror, versions, in_flight=CONCURRENCY)
    else:
        let = forgiven(mirror, versions)
        await checker.midway(machine.drive, mirror, let, in_flight=CONCURRENCY + 4 * PAGE)


@pytest.mark.parametrize("durability", INGESTS)
async def test_after_any_power_cut_a_mirror_is_true_and_ends_equal_to_its_source(
    machine, durability, capsys
):
    """Cut at random moments, no receipt, row or cursor is ahead of the disk; a run that is done lasts."""
    versions, done = checker.Versions(), 0
    await versions.note(machine.drive)
    for number in itertools.count():
        mirror = machine.volume.root / f"mirror {number}"
        wish = {"work": "ingest", "durability": durability, "honest": True, "folder": str(mirror)}
        # The last one of each mirror is cut when its run says it is done, and no sooner.
        while not await machine.run(wish, FILES // 4 if machine.cuts < 2 * EACH else 1 << 30):
            if mirror.exists():
                await judged(machine, mirror, versions, durability)
            change(machine.drive.source, machine.dice, machine.dice.randrange(12))
            await machine.drive.emulator.refresh()
            await versions.note(machine.drive)
        done += 1
        # What it swept last can be back: only that is not promised.
        await checker.whole(machine.drive, mirror, swept=False)
        shutil.rmtree(mirror)
        if machine.cuts >= 2 * EACH:
            break
    tell(capsys, f"ingest, {durability}: {machine.cuts} power cuts, {done} mirrors, no violation")


@pytest.mark.parametrize(("work", "durability"), DOWNLOADS)
async def test_what_was_reported_as_saved_is_there_after_a_power_cut(
    machine, work, durability, capsys
):
    """Each content that was reported is whole under its name; with `file` nothing else is anything less."""
    reported = 0
    for number in range(EACH):
        folder = machine.volume.root / f"downloads {number}"
        folder.mkdir()
        SystemDisk().sync_folder(folder.parent)
        wish = {"work": work, "durability": durability, "honest": True, "folder": str(folder)}
        await machine.run(wish, FILES // 2)
        assert not machine.wrong()
        assert durability == "batch" or not machine.halves(folder)
        reported += len(machine.saved)
    assert reported
    tell(
        capsys, f"{work}, {durability}: {machine.cuts} power cuts, {reported} reported, none wrong"
    )


@pytest.mark.parametrize("durability", INGESTS)
async def test_a_mirror_on_a_disk_that_does_not_flush_is_found_out(machine, durability, capsys):
    """Flushes that do nothing leave empty contents and receipts that are wrong: the judge says so."""
    versions, found = checker.Versions(), 0
    await versions.note(machine.drive)
    while not found and machine.cuts < AT_MOST:
        mirror = machine.volume.root / f"mirror {machine.cuts}"
        wish = {"work": "ingest", "durability": durability, "honest": False, "folder": str(mirror)}
        await machine.run(wish, FILES)
        with contextlib.suppress(FileNotFoundError):
            found = len(unkept(mirror))
        if found:
            with pytest.raises(AssertionError):
                await judged(machine, mirror, versions, durability)
    assert found
    tell(
        capsys, f"ingest, {durability}, no flush: {found} receipts wrong after {machine.cuts} cuts"
    )


@pytest.mark.parametrize(("work", "durability"), DOWNLOADS)
async def test_downloads_to_a_disk_that_does_not_flush_are_found_out(
    machine, work, durability, capsys
):
    """Flushes that do nothing leave less than was reported."""
    found = 0
    while not found and machine.cuts < AT_MOST:
        folder = machine.volume.root / f"downloads {machine.cuts}"
        folder.mkdir()
        SystemDisk().sync_folder(folder.parent)
        wish = {"work": work, "durability": durability, "honest": False, "folder": str(folder)}
        await machine.run(wish, FILES)
        found = len(machine.wrong())
    assert found
    tell(capsys, f"{work}, {durability}, no flush: {found} wrong after {machine.cuts} cuts")


def unkept(mirror):
    """Return the receipts whose content is not there as they say."""
    files = checker.files_of(mirror)
    receipts = checker.saved(mirror).receipts.values()
    return [each["path"] for each in receipts if files.get(each["path"]) != each["sha256"]]


def tell(capsys, text):
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201  # the figures are what is wanted
