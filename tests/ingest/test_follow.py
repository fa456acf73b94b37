"""A mirror that follows: hints cause pulls, and nothing else is believed of them."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from paragon_async.ingest.hints import Hints
from paragon_async.ingest.values import Feed
from paragon_async.webhooks.events import parse_event
from paragon_async.webhooks.router import Router
from tests.ingest.fakes import asked, contents, ingest, quick_user, source

FEED = Feed(project="p", user="user-1", sync="s-1")


def event(name, record=None, *, sync="s-1", user="user-1"):
    body = {"event": name, "user": {"id": user}} | ({"syncInstanceId": sync} if sync else {})
    if record:
        body["data"] = {"recordId": record, "model": "files"}
    return parse_event(json.dumps(body).encode())


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
async def quick(emulator):
    async with quick_user(emulator) as user:
        yield user


@contextlib.asynccontextmanager
async def following(ingest, **options):
    """Follow while the body runs; the reports come in a queue."""
    reports = asyncio.Queue()
    task = asyncio.create_task(ingest.follow(on_report=reports.put_nowait, **options))
    try:
        yield reports
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def equal(mirror, folder):
    """Wait until the mirror is its source."""
    async with asyncio.timeout(30):
        while True:
            # A file may go while it is looked at.
            with contextlib.suppress(FileNotFoundError):
                if contents(mirror) == source(folder):
                    return
            await asyncio.sleep(0.02)


async def test_a_hint_wakes_and_many_are_one():
    """Any number of events of the feed end one wait; the next one begins anew."""
    router = Router()
    hints = Hints(FEED)
    hints.hear(router)
    for number in range(50):
        await router.dispatch(event("record_updated", f"r{number}"))
    await hints.wait(30)
    hints.begin_anew()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await hints.wait(30)


async def test_time_wakes_too():
    """Without any event the wait ends with its time."""
    hints = Hints(FEED)
    async with asyncio.timeout(10):
        await hints.wait(0.01)


@pytest.mark.parametrize(
    ("other", "wakes"),
    [
        ({"sync": "s-2"}, False),
        ({"user": "user-2"}, False),
        ({"sync": None, "user": "user-2"}, False),
        ({"sync": None}, True),
        ({}, True),
    ],
)
async def test_only_events_of_the_feed_wake(other, wakes):
    """An event of another sync or user is ignored; one that names no sync goes by its user."""
    router = Router()
    hints = Hints(FEED)
    hints.hear(router)
    await router.dispatch(event("record_updated", "r1", **other))
    woken = asyncio.create_task(hints.wait(30))
    await asyncio.sleep(0.02)
    assert woken.done() == wakes
    woken.cancel()


class Counting(Hints):
    """Hints that count what they are told."""

    told = 0

    async def note(self, event):
        self.told += 1


async def test_hearing_twice_is_hearing_once():
    """However often an ingest follows a router, it has one handler there."""
    router = Router()
    hints = Counting(FEED)
    for _ in range(3):
        hints.hear(router)
    await router.dispatch(event("record_updated", "r1"))
    assert hints.told == 1


async def test_an_event_brings_the_change_at_once(user, sync_id, mirror, folder, emulator):
    """With hours between two looks, an event makes the mirror follow now."""
    router = Router()
    async with following(
        ingest(user, sync_id, mirror), every=3600, pause=0.01, events=router
    ) as reports:
        assert (await reports.get()).files == len(source(folder))
        (folder / "hello.txt").write_text("changed")
        await emulator.refresh()
        await router.dispatch(event("record_updated", "x", sync=sync_id))
        assert (await reports.get()).updated == 1
        assert contents(mirror) == source(folder)


async def test_without_events_it_looks_now_and_then(user, sync_id, mirror, folder, emulator):
    """What no event tells of comes with the next look."""
    async with following(ingest(user, sync_id, mirror), every=0.02, pause=0.01) as reports:
        await reports.get()
        (folder / "new.txt").write_text("new")
        await emulator.refresh()
        while not (await reports.get()).created:
            pass
        assert contents(mirror) == source(folder)


async def test_a_flood_of_events_is_a_few_pulls(user, sync_id, mirror, emulator):
    """However many events come, there is a pause between two pulls."""
    router = Router()
    async with following(
        ingest(user, sync_id, mirror), every=3600, pause=0.3, events=router
    ) as reports:
        await reports.get()
        before = asked(emulator, "/records")
        for _ in range(100):
            await router.dispatch(event("record_updated", "x", sync=sync_id))
            await asyncio.sleep(0)
        await reports.get()
        assert asked(emulator, "/records") == before + 1


async def test_a_forged_delete_is_asked_for_and_not_believed(
    user, sync_id, mirror, folder, emulator
):
    """A record that is said to be gone and is not stays; the API is asked once."""
    router = Router()
    async with following(
        ingest(user, sync_id, mirror), every=3600, pause=0.01, events=router
    ) as reports:
        await reports.get()
        victim = next(iter((mirror / "files").iterdir())).name
        await router.dispatch(event("record_deleted", victim, sync=sync_id))
        await reports.get()
        await router.dispatch(event("record_updated", "x", sync=sync_id))
        await reports.get()
    assert contents(mirror) == source(folder)
    assert asked(emulator, f"/records/{victim}") == 1


async def test_many_deletes_are_all_asked_for(user, sync_id, mirror, folder, emulator):
    """More deletes than one run may ask for are asked for by the next ones, without more events."""
    for number in range(230):
        (folder / f"{number}.txt").write_text(str(number))
    await emulator.refresh()
    router = Router()
    working = ingest(user, sync_id, mirror, fuse=None)
    async with following(working, every=3600, pause=0.01, events=router) as reports:
        await reports.get()
        gone = [p.parent.name for p in (mirror / "files").glob("*/[0-9]*.txt")]
        for number in range(230):
            (folder / f"{number}.txt").unlink()
        emulator.fault(path="*/records", edit=_without_tombstones, times=None)
        await emulator.refresh()
        for one in gone:
            await router.dispatch(event("record_deleted", one, sync=sync_id))
        await equal(mirror, folder)


async def test_a_claim_outlives_the_process(user, sync_id, mirror, folder, emulator):
    """A delete whose event was taken is asked for by the next process, whatever ended the first."""
    router = Router()
    async with following(
        ingest(user, sync_id, mirror), every=3600, pause=3600, events=router
    ) as reports:
        await reports.get()
        victim = next(p.parent.name for p in (mirror / "files").glob("*/hello.txt"))
        emulator.fault(path="*/records", edit=_without_tombstones, times=None)
        (folder / "hello.txt").unlink()
        await emulator.refresh()
        await router.dispatch(event("record_deleted", victim, sync=sync_id))
    assert "hello.txt" in contents(mirror)
    async with following(ingest(user, sync_id, mirror), every=3600, pause=0.01):
        await equal(mirror, folder)


async def test_a_claim_without_an_answer_stops_nothing(quick, sync_id, mirror, folder, emulator):
    """A record for which the API has only 503 neither delays the mirror nor loses a report."""
    router = Router()
    async with following(
        ingest(quick, sync_id, mirror), every=3600, pause=0.01, events=router
    ) as reports:
        assert (await reports.get()).created == 7
        victim = next((mirror / "files").iterdir()).name
        emulator.fault(path=f"*/records/{victim}", status=503, times=None)
        (folder / "new.txt").write_text("new")
        await emulator.refresh()
        await router.dispatch(event("record_deleted", victim, sync=sync_id))
        assert (await reports.get()).created == 1
        (folder / "newer.txt").write_text("newer")
        await emulator.refresh()
        await router.dispatch(event("record_updated", "x", sync=sync_id))
        assert (await reports.get()).created == 1
    assert contents(mirror) == source(folder)


async def test_a_delete_that_the_api_confirms(user, sync_id, mirror, folder, emulator):
    """A record that the feed kept silent about goes when the API answers 404 for it."""
    router = Router()
    working = ingest(user, sync_id, mirror)
    async with following(working, every=3600, pause=0.01, events=router) as reports:
        await reports.get()
        victim = next(p.parent.name for p in (mirror / "files").glob("*/hello.txt"))
        (folder / "hello.txt").unlink()
        emulator.fault(path="*/records", edit=_without_tombstones, times=None)
        await emulator.refresh()
        await router.dispatch(event("record_deleted", victim, sync=sync_id))
        await reports.get()
        await router.dispatch(event("record_updated", "x", sync=sync_id))
        await reports.get()
    assert contents(mirror) == source(folder)


def _without_tombstones(page):
    page["data"] = [record for record in page["data"] if not record.get("deleted")]
    return page
