"""Ten thousand events, a third of them twice, some of them lies, to a service that keeps being killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles

import aiohttp
import pytest

from paragon_async import Paragon
from paragon_async.emulator import Emulator
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.chaos_rumour import Rumour
from tests.webhooks.sending import SECRET

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
EVENTS = int(os.environ.get("PARAGON_EVENTS", "10000"))
ROUNDS = 40
KILLS = 5
AT_ONCE = 16
PAUSE = 0.25
CONCURRENCY = 4
PAGE = 997  # how the child's calls are told from those of this test
STANDING, MOVING = 100, 250
# Nobody listens there: the emulator's events wait in its queue, and this test is who sends them.
NOWHERE = "http://127.0.0.1:9/"


class Service:
    """The process that is killed and started again."""

    def __init__(self, home, drive):
        self.home, self._drive = home, drive
        self.up, self.url, self.starts = asyncio.Event(), "", 0
        self._process = None

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(Path(__file__).with_name("chaos_child.py"), self.home),
            *(self._drive.sync_id, str(PAUSE), str(CONCURRENCY), str(PAGE)),
            env=os.environ | self._drive.emulator.environ | {"SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
        )
        self.url = (await self._process.stdout.readline()).decode().strip()
        assert self.url.startswith("http://")
        self.starts += 1
        self.up.set()

    async def end(self, how):
        self.up.clear()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(how)
        return await self._process.wait()

    def check(self):
        """Assert that nobody but `end` ended it."""
        assert not self.up.is_set() or self._process.returncode is None, "it died by itself"

    async def aclose(self):
        if self._process is not None and self._process.returncode is None:
            await self.end(signal.SIGKILL)

    @property
    def handled(self):
        return set((self.home / "handled").read_text().split())


class Sender:
    """Sends, many at once, and again until there is an answer; keeps what was acknowledged."""

    def __init__(self, service, session):
        self._service, self._session = service, session
        self.acknowledged, self.seconds = set(), []
        self.answers, self.repeated = Counter(), 0
        self._news = asyncio.Event()

    async def send(self, posts):
        waiting = iter(posts)
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work(waiting))

    async def count(self, number):
        """Return once so many answers came."""
        while self.answers.total() < number:
            self._news.clear()
            await self._news.wait()

    async def _work(self, waiting):
        for post in waiting:
            while not await self._is_answered(post):
                self.repeated += 1
                await asyncio.sleep(0.01)

    async def _is_answered(self, post):
        await self._service.up.wait()
        started = time.perf_counter()
        try:
            async with self._session.post(self._service.url + post.path, data=post.body) as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError):
            self._service.check()
            return False
        assert answer.status == post.status, (answer.status, post)
        if answer.status == 200:
            self.seconds.append(time.perf_counter() - started)
            self.acknowledged.add(post.number)
        self.answers[answer.status] += 1
        self._news.set()
        return True


def fill(source, dice):
    """A hundred files that stay as they are, and some hundred that will not."""
    for number in range(STANDING + MOVING):
        kind = "standing" if number < STANDING else "moving"
        folder = source / kind / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.bin").write_bytes(dice.randbytes(dice.randrange(4_000)))


def change(source, dice):
    """Edit, rename, delete and add a few; none is ever seen half written."""
    moving = [path for path in (source / "moving").rglob("*") if path.is_file()]
    for path in dice.sample(sorted(moving), 12):
        fresh = source.with_name("beside")
        fresh.write_bytes(dice.randbytes(dice.randrange(4_000)))
        match dice.randrange(4):
            case 0:
                fresh.replace(path)
            case 1:
                path.rename(path.with_name(f"renamed {dice.getrandbits(60):x}"))
            case 2:
                path.unlink()
            case 3:
                fresh.replace(path.with_name(f"new {dice.getrandbits(60):x}"))


class Witness:
    """Looks at the mirror again and again, for anything that was taken from it on a mere word."""

    def __init__(self, drive, mirror):
        self._drive, self._mirror = drive, mirror
        self.versions, self.gone, self.deletes = checker.Versions(), set(), 0
        self._had, self._stamps = set(), None

    async def note(self):
        before = set(self.versions.now)
        await self.versions.note(self._drive)
        lost = before - self.versions.now.keys()
        self.gone |= lost
        self.deletes += len(lost)

    async def look(self):
        """Look at a mirror that was just left by a killed process."""
        self.check()
        rows = checker.saved(self._mirror).records.values()
        # What is doomed loses its content first and its receipt afterwards, all in one step.
        in_flight = CONCURRENCY + sum(row["doomed"] is not None for row in rows)
        await checker.midway(self._drive, self._mirror, self.versions, in_flight=in_flight)

    def check(self):
        """Look; nothing may write to the mirror meanwhile."""
        state = checker.saved(self._mirror)
        for id_, row in state.records.items():
            if row["deleted_at"] is not None or row["doomed"] is not None:
                assert id_ in self.gone, "a living record was deleted"
        has = {id_ for id_, row in state.records.items() if row["digest"] is not None}
        assert not (self._had & self.versions.now.keys()) - has
        self._had = has
        assert self._standing(state) == self._stamps, "an untouched file was removed or replaced"
        with contextlib.closing(sqlite3.connect(self._mirror / ".paragon" / "state.db")) as db:
            reports = [json.loads(report) for (report,) in db.execute("SELECT report FROM runs")]
        assert sum(report["deleted"] for report in reports) <= self.deletes

    def begin(self):
        self._stamps = self._standing(checker.saved(self._mirror))
        assert len(self._stamps) == STANDING

    def _standing(self, state):
        """Return who the files are that never change: one that was fetched again is another."""
        stamps = {}
        for id_, receipt in state.receipts.items():
            path = self._drive.path_of(id_)
            if path is not None and "standing" in path.parts:
                found = (self._mirror / receipt["path"]).stat()
                stamps[id_] = (found.st_ino, found.st_mtime_ns)
        return stamps


class Calls:
    """Counts what the child asked of the service."""

    def __init__(self, drive):
        self._drive, self.pages, self.single = drive, 0, 0

    def take(self):
        place = f"/syncs/{self._drive.sync_id}/records"
        for call in self._drive.emulator.requests:
            self.pages += call.path.endswith(place) and call.query.get("pageSize") == str(PAGE)
            self.single += place in call.path and not call.path.endswith(("/records", "/content"))
        self._drive.emulator.world.journal.clear()


@pytest.fixture
async def service(tmp_path, drive):
    async with contextlib.aclosing(Service(tmp_path, drive)) as made:
        yield made


@pytest.fixture
async def drive(tmp_path, signing_key):
    source = tmp_path / "drive"
    fill(source, random.Random(5))  # noqa: S311  # the same drive each time
    options = {"project_id": PROJECT, "signing_key": signing_key, "settle": 0, "rescan": 0}
    async with (
        Emulator(source, webhook=NOWHERE, **options) as emulator,
        Paragon(project_id=PROJECT, signing_key=signing_key, base_url=emulator.url) as client,
    ):
        emulator.world.hooks.configure(NOWHERE, disable_after=1_000_000)
        user = client.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=120)
        # Some contents are always on their way when the service is killed.
        emulator.fault(path="*/content", times=None, delay=0.01)
        yield checker.Drive(source, emulator, user, sync.id)


async def in_step(drive, mirror):
    """Return once the saved cursor stands at the feed's end, and nothing waits to be deleted."""
    state = f"file:{mirror / '.paragon' / 'state.db'}?mode=ro"
    async with asyncio.timeout(120):
        while True:
            rows = []
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(state, uri=True)) as db:  # fmt: skip
                rows = db.execute(
                    "SELECT cursor, (SELECT COUNT(*) FROM records WHERE doomed IS NOT NULL), "
                    "(SELECT COUNT(*) FROM dead) FROM feeds WHERE NOT running"
                ).fetchall()
            for cursor, doomed, dead in rows:
                if cursor and not doomed + dead and not await drive.pull(cursor):
                    return
            await asyncio.sleep(0.05)


async def lost(service, sender):
    """Return what was acknowledged and is not handled, when there was time enough for it."""
    deadline = time.monotonic() + 120
    while (missing := sender.acknowledged - service.handled) and time.monotonic() < deadline:
        service.check()
        await asyncio.sleep(0.05)
    return missing


async def test_neither_lies_nor_kills_part_a_mirror_from_its_source(drive, service, capsys):
    """Repeated, shuffled, forged, broken, and killed in the middle: in the end the mirror is the source.

    No accepted event is lost, nothing is deleted on a forged word at any moment, and however many
    events come, they cause a pull per pause.
    """
    seed = int(os.environ.get("PARAGON_SEED", time.time_ns() % 1_000_000))
    dice = random.Random(seed)  # noqa: S311  # chance that can be repeated
    print(f"seed {seed}")  # noqa: T201  # shown when it fails
    mirror = service.home / "mirror"
    rumour, witness, calls = Rumour(drive, dice), Witness(drive, mirror), Calls(drive)
    began = time.monotonic()
    await service.start()
    await in_step(drive, mirror)
    await witness.note()
    witness.begin()
    deadly = set(dice.sample(range(2, ROUNDS), KILLS))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        sender = Sender(service, session)
        for number in range(ROUNDS):
            change(drive.source, dice)
            await drive.emulator.refresh()
            await witness.note()
            posts = rumour.told(sorted(witness.versions.now), EVENTS // ROUNDS)
            sending = asyncio.create_task(sender.send(posts))
            if number in deadly:
                moment = sender.answers.total() + dice.randrange(len(posts) - AT_ONCE)
                counting = asyncio.create_task(sender.count(moment))
                await asyncio.wait([counting, sending], return_when=asyncio.FIRST_COMPLETED)
                assert await service.end(signal.SIGKILL) == -signal.SIGKILL
                await witness.look()
                await service.start()
            await sending
            calls.take()
        await sender.send(rumour.rest())
    assert not await lost(service, sender), "accepted events were lost"
    await in_step(drive, mirror)
    took = time.monotonic() - began
    assert await service.end(signal.SIGTERM) == 0
    calls.take()
    await checker.whole(drive, mirror)
    witness.check()
    assert not service.handled & rumour.refused, "an event with a wrong secret was handled"
    assert service.handled == rumour.acceptable, "what was handled is not what was accepted"
    assert sender.answers.keys() == {200, 400, 401, 413}
    assert rumour.events + rumour.lies + rumour.broken == EVENTS
    # A run is one page here, and after its first start at most one begins in each pause.
    assert calls.pages <= took / PAUSE + 2 * service.starts + 5
    assert calls.single <= 100 * calls.pages
    cut = quantiles(sender.seconds, n=100)
    with capsys.disabled():
        print(  # noqa: T201  # the figures are what is wanted
            f"\nseed {seed}: {EVENTS} events ({rumour.lies} lies, {rumour.broken} broken), "
            f"{rumour.twice} twice, answers {dict(sender.answers)}, {sender.repeated} tried again, "
            f"{service.starts - 1} kills, {witness.deletes} real deletes, {len(rumour.forged)} records "
            f"forged as deleted, {calls.pages} pages, {calls.single} single records in {took:.0f} s; "
            f"acknowledged in {cut[49] * 1000:.1f} ms (median), {cut[98] * 1000:.1f} ms (p99)"
        )
    if os.environ.get("PARAGON_STRICT") == "1":
        # A machine that others use too may be slow for reasons of its own.
        assert cut[98] < 0.05
