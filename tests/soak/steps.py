"""What is done in each round: everything a user does, to its end, left half-way, and cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from contextlib import aclosing
from pathlib import Path

import aiohttp
import attrs

from paragon_async import ConnectedUser, File
from paragon_async.ingest import FolderSink, Ingest
from paragon_async.webhooks import Inbox, RecordUpdated, Router, receiver, serving
from tests.webhooks.sending import SECRET, event

_EVENTS = 20


@attrs.frozen(eq=False)
class Scene:
    """Who does it, with which sync, where, and in which round."""

    user: ConnectedUser
    sync_id: str
    room: Path
    number: int

    def fresh(self):
        """Make an empty folder for one step."""
        folder = self.room / "fresh"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    @property
    def durability(self):
        return ("file", "batch")[self.number % 2]

    def files(self):
        return self.user.records.pull(self.sync_id, File)

    def ingest(self, folder):
        sink = FolderSink(folder, durability=self.durability)
        return Ingest(self.user, self.sync_id, sink, folder, concurrency=6, page_size=30)


async def pulled(scene):
    """Pull everything."""
    found = [record.id async for record in scene.files()]
    assert len(set(found)) == len(found) > 0


async def left(scene):
    """Leave a pull and a content before their ends, politely and not."""
    async for _ in scene.files():
        break
    async with aclosing(scene.files()) as files:
        async for file in files:
            if not file.is_folder:
                async with scene.user.records.content(scene.sync_id, file.id):
                    break


async def downloaded(scene):
    """Download many, and one by one."""
    folder, files = scene.fresh(), []
    many = scene.user.records.download_all(
        scene.sync_id, scene.files(), folder, concurrency=8, durability=scene.durability
    )
    async for saved in many:
        assert saved.path.stat().st_size == saved.size
        files.append(saved.record_id)
    for id_ in files[:3]:
        await scene.user.records.download(scene.sync_id, id_, folder)


async def cancelled(scene):
    """Cancel a download of many, and an ingest, in their midst."""
    folder, some = scene.fresh(), asyncio.Event()

    async def many():
        made = scene.user.records.download_all(scene.sync_id, scene.files(), folder, concurrency=8)
        async with aclosing(made):
            async for _ in made:
                some.set()

    task = asyncio.create_task(many())
    await _either(task, some)
    some.clear()
    ingest = scene.ingest(scene.fresh())
    task = asyncio.create_task(ingest.run())
    while not task.done() and ingest.progress.report.files < 5:  # noqa: ASYNC110  # a count, no event
        await asyncio.sleep(0.002)
    await _cancelled(task)


async def ingested(scene):
    """Mirror everything anew."""
    report = await scene.ingest(scene.fresh()).run()
    assert not report.dead_letters, report


async def standing(scene):
    """Bring the mirror up to date that stays."""
    report = await scene.ingest(scene.room / "standing").run()
    assert not report.dead_letters, report


async def received(scene):
    """Receive webhooks, and handle them."""
    router, handled, all_of_them = Router(), set(), asyncio.Event()

    @router.on(RecordUpdated)
    async def note(told: RecordUpdated) -> None:
        handled.add(told.record_id)
        if len(handled) == _EVENTS:
            all_of_them.set()

    inbox = Inbox(scene.fresh() / "inbox.db")
    async with (
        serving(receiver(router, inbox=inbox, secrets=[SECRET])) as url,
        aiohttp.ClientSession() as session,
    ):
        for number in range(_EVENTS):
            body = event(record=f"r{number}")
            async with session.post(f"{url}/webhook/{SECRET}", data=body) as answer:
                assert answer.status == 200
        await all_of_them.wait()


async def _either(task, event_):
    waiting = asyncio.create_task(event_.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await _cancelled(task)


async def _cancelled(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


STEPS = (pulled, left, downloaded, cancelled, ingested, standing, received)
