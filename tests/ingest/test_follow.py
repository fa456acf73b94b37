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
from tests.ingest.fakes import asked, contents, ingest, source

FEED = Feed(project="p", user="user-1", sync="s-1")


def event(name, record=None, *, sync="s-1", user="user-1"):
    body = {"event": name, "syncInstanceId": sync, "user": {"id": user}}
    if record:
        body["data"] = {"recordId": record, "model": "files"}
    return parse_event(json.dumps(body).encode())


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


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


async def test_a_hint_wakes_and_many_are_one():
    """Any number of events of the feed end one wait; the next one begins anew."""
    router = Router()
    hints = Hints(FEED, router)
    for number in range(50):
        await router.dispatch(event("record_updated", f"r{number}"))
    await hints.wait(30)
    assert hints.take(100) == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await hints.wait(30)


async def test_time_wakes_too():
    """Without any event the wait ends with its time."""
    hints = Hints(FEED, Router())
    async with asyncio.timeout(10):
        await hints.wait(0.01)


@pytest.mark.parametrize("other", [{"sync": "s-2"}, {"user": "user-2"}])
async def test_events_of_others_are_ignored(other):
    """An event of another sync or user neither wakes nor is remembered."""
    router = Router()
    hints = Hints(FEED, router)
    await router.dispatch(event("record_deleted", "r1", **other))
    assert hints.take(100) == []
    await router.dispatch(event("record_deleted", "r1"))
    assert hints.take(100) == ["r1"]


async def test_what_is_said_to_be_gone_is_bounded():
    """However many deletes are claimed, a bounded number is remembered."""
    router = Router()
    hints = Hints(FEED, router)
    for number in range(3000):
        await router.dispatch(event("record_deleted", f"r{number}"))
    assert len(hints.take(600)) == 600
    assert len(hints.take(600)) == 400


async def test_what_could_not_be_asked_for_is_not_forgotten():
    """Ids that are put back are first in line, each once."""
    router = Router()
    hints = Hints(FEED, router)
    for one in "abc":
        await router.dispatch(event("record_deleted", one))
    taken = hints.take(2)
    await router.dispatch(event("record_deleted", "a"))
    hints.put_back(taken)
    assert hints.take(9) == ["a", "b", "c"]


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
