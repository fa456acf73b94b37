"""The operations that a fault gets in the way of, and what must be true after each, however it ended.

    Pull        records and their order, no one twice
    Download    one content, or all of a pull: whole under its name or not there, and what verified it
    Mirror      an ingest: the judge R2, dead letters as declared, and a run without the fault makes it whole

`prepare` comes before the fault, `run` is what is tried, `look` judges without asking the service,
`judge` with it, and `mended` when the fault is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import aclosing

from paragon_async.ingest import FolderSink, Ingest, State
from tests.proofs import checker
from tests.proofs.matrix.disks import HastyDisk, SlowDisk, hasty
from tests.proofs.matrix.service import PAGE

CONCURRENCY = 2


class Operation:
    """What all have: a service, a fault and its point, a room and a user whose calls are hit."""

    name = ""

    def __init__(self, service, fault, point, room):
        self.service, self.fault, self.point, self.room = service, fault, point, room
        self.target = room / self.name
        self.user = self.wire = None
        self.unhurt = None
        self.disk = fault.disk() if fault.disk else None
        if fault.pause:
            self.disk = SlowDisk(fault.pause)

    async def prepare(self):
        if self.fault.plants:
            self.unhurt = self.fault.plants(self.room, self.target)

    def look(self, error):
        if self.unhurt:
            self.unhurt()

    async def mended(self, user, error):
        """Nothing: what is not kept cannot be completed."""

    def pages(self):
        after = self.service.cursor if self.fault.primed else None
        # Where something has to come while a connection idles, no page may be under way.
        return self.user.records.pull(
            self.service.sync_id,
            page_size=PAGE,
            after=after,
            pages_ahead=0 if self.fault.strays else 1,
        )

    async def met(self, strays):
        """Wait until so many answers have come that nobody asked for."""
        while self.wire.strays < strays:  # noqa: ASYNC110  # a wire tells nobody
            await asyncio.sleep(0.01)


class Pull(Operation):
    """A pull whose consumer writes, reads contents, idles or leaves, where a fault wants that."""

    name = "pulled"

    def __init__(self, *args):
        super().__init__(*args)
        self.got = []

    async def run(self):
        async with aclosing(self.pages()) as feed:
            async for record in feed:
                self.got.append(record.data)
                await self._use(record)
                if self.fault.leaves and len(self.got) > self.fault.leaves:
                    break

    async def _use(self, record):
        if self.fault.strays:
            await self.met((len(self.got) - 1) // PAGE + 1)
        if self.fault.pause and len(self.got) == 1:
            await asyncio.sleep(self.fault.pause)
        if self.fault.disk:
            file = self.disk.create(self.room / f"{record.id}.part")
            try:
                self.disk.write(file, b"x")
            finally:
                self.disk.close(file)
        if self.point == "content" and record.id == self.service.record.id:
            async with self.user.records.content(self.service.sync_id, record.id) as content:
                assert await content.read()

    async def judge(self, user, outcome, error):
        expected = [r.data async for r in user.records.pull(self.service.sync_id)]
        if self.fault.primed:
            assert not self.got
        elif outcome.word == "twice":
            latest = {}
            for data in self.got:
                latest.pop(data["id"], None)
                latest[data["id"]] = data
            assert list(latest.values()) == expected
            assert len(self.got) > len(expected)
        else:
            assert self.got == expected[: len(self.got)]
            is_all = len(self.got) == len(expected)
            assert error or is_all == (outcome.word != "short")


class Download(Operation):
    """One content to a file; where pages are hit, all contents of a pull to a folder."""

    name = "downloaded"

    def __init__(self, *args):
        super().__init__(*args)
        self.saved = []
        self.is_one = self.point != "page" and not self.fault.leaves

    async def prepare(self):
        if not self.is_one:
            self.target.mkdir()
        await super().prepare()

    async def run(self):
        records, sync = self.user.records, self.service.sync_id
        options = {"disk": self.disk} if self.disk else {}
        if self.is_one:
            record = self.service.record.id if self.fault.bare else self.service.record
            self.saved.append(await records.download(sync, record, self.target, **options))
            if self.fault.strays:
                await self.met(1)
                self.saved = [await records.download(sync, record, self.target, **options)]
            return
        made = records.download_all(
            sync, self.pages(), self.target, concurrency=CONCURRENCY, **options
        )
        async with aclosing(made) as done:
            async for saved in done:
                self.saved.append(saved)
                if self.fault.leaves:
                    break

    def look(self, error):
        super().look(error)
        parts = [p.name for p in self.room.rglob(".paragon-*.part")]
        assert set(parts) <= ({".paragon-dead.part"} if self.fault.plants else set())
        if self.is_one and error is not None:
            is_pipe = self.target.is_fifo()
            assert not os.path.lexists(self.target) or (self.fault.plants and is_pipe)

    async def judge(self, user, outcome, error):
        files = set(self.target.rglob("*")) if self.target.is_dir() else set()
        if not self.is_one and not self.fault.leaves:
            by_id = {saved.record_id: saved for saved in self.saved}
            told = {saved.path for saved in self.saved}
            assert told == files or (error and told <= files)
            if error is None and outcome.word != "short":
                assert by_id.keys() == self.service.bodies.keys()
        for saved in self.saved:
            self._is_right(saved, outcome)
        for path in files:
            assert path.read_bytes() in self.service.bodies.values()

    def _is_right(self, saved, outcome):
        assert saved.path.resolve().is_relative_to(self.room)
        assert not saved.path.is_symlink()
        body, found = self.service.bodies[saved.record_id], saved.path.read_bytes()
        assert saved.size == len(found)
        if outcome.word == "unverified":
            assert (saved.verified, body.startswith(found)) == (False, True)
            return
        assert found == body
        known = set() if self.fault.bare else {"size", "sha256"} if body else {"sha256"}
        assert set(saved.verified_by) - {"md5", "sha1"} <= known | {"length"}
        assert ("length" in saved.verified_by) == self.fault.framed


class Mirror(Operation):
    """An ingest into a mirror of its own."""

    name = "mirror"

    def _ingest(self, user, disk=None):
        disk = disk or HastyDisk()
        return Ingest(
            user,
            self.service.sync_id,
            FolderSink(self.target, disk=disk),
            State(self.target, disk=disk, connect=hasty),
            concurrency=CONCURRENCY,
            page_size=PAGE,
        )

    async def prepare(self):
        await super().prepare()
        if self.fault.primed:
            async with self.service.direct() as user:
                await self._ingest(user).run()

    async def run(self):
        await self._ingest(self.user, self.disk).run()

    async def judge(self, user, outcome, error):
        drive = self.service.drive(user)
        letters = checker.saved(self.target).dead
        if outcome.kind:
            kinds = {id_: letter["kind"] for id_, letter in letters.items()}
            assert outcome.kind in kinds.values()
            assert kinds.keys() == {self.service.record.id}
        elif error is None:
            assert not letters
        self.is_whole = error is None and outcome.word != "short"
        if self.is_whole:
            await checker.whole(drive, self.target, dead=letters)
        elif (self.target / "files").is_dir() and not self.unhurt:
            versions = checker.Versions()
            await versions.note(drive)
            await checker.midway(drive, self.target, versions, in_flight=CONCURRENCY + PAGE)

    async def mended(self, user, error):
        if self.unhurt and error:
            place = self.unhurt()
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        letters = checker.saved(self.target).dead
        if error is None and not letters and self.is_whole:
            return
        ingest = self._ingest(user)
        if letters:
            await ingest.retry()
        assert (await ingest.run()).dead_letters == 0
        await checker.whole(self.service.drive(user), self.target)


COLUMNS = {"pull": Pull, "download": Download, "page": Mirror, "content": Mirror}
