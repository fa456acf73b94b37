"""Many ingests in one process."""

from __future__ import annotations

import asyncio

import pytest

from paragon_async import ConfigurationError, NotFoundError, Paragon
from paragon_async.ingest import FolderSink, Ingest, IngestMany, State
from tests.ingest.fakes import contents, rows, source


async def synced(user, name="default"):
    sync = await user.syncs.enable("googledrive", "files", configuration_name=name)
    await user.syncs.wait_until_idle(sync.id, timeout=10)
    return sync.id


async def test_each_mirror_equals_its_source(paragon, tmp_path, folder):
    """Syncs of several users share one state and have one report each, in the order given."""
    async with State(tmp_path / "all") as state:
        ingests = []
        for name in ("ann", "ben", "cem"):
            user = paragon.user(name)
            to = tmp_path / "all" / name
            ingests.append(Ingest(user, await synced(user), FolderSink(to), state))
        outcomes = await IngestMany(ingests, at_once=2).run()
    assert [o.ingest for o in outcomes] == ingests
    assert [o.error for o in outcomes] == [None] * 3
    for name in ("ann", "ben", "cem"):
        assert contents(tmp_path / "all" / name) == source(folder)
        assert len(rows(tmp_path / "all" / name)) == outcomes[0].report.records


async def test_one_that_fails_stops_no_other(paragon, tmp_path, folder):
    """An error is the outcome of its own ingest; the others come to their end."""
    user = paragon.user("ann")
    good = await synced(user)
    heard = []
    outcomes = await IngestMany(
        [
            Ingest(
                user,
                "00000000-0000-0000-0000-000000000000",
                FolderSink(tmp_path / "a"),
                tmp_path / "a",
            ),
            Ingest(user, good, FolderSink(tmp_path / "b"), tmp_path / "b"),
        ],
        on_outcome=heard.append,
    ).run()
    assert isinstance(outcomes[0].error, NotFoundError) and outcomes[1].error is None
    assert contents(tmp_path / "b") == source(folder)
    assert set(map(id, heard)) == set(map(id, outcomes))


@pytest.mark.parametrize("at_once", [1, 2])
async def test_turns_are_taken_between_users(paragon, tmp_path, at_once):
    """A user with many syncs does not keep another one waiting until all of them are done."""
    ingests = []
    for name, count in (("many", 5), ("one", 1)):
        user = paragon.user(name)
        for number in range(count):
            to = tmp_path / f"{name}-{number}"
            sync = await synced(user, f"account {number}")
            ingests.append(Ingest(user, sync, FolderSink(to), to))
    order = []
    await IngestMany(
        ingests, at_once=at_once, on_outcome=lambda o: order.append(o.ingest.feed.user)
    ).run()
    assert sorted(order) == ["many"] * 5 + ["one"]
    assert order.index("one") <= 1


async def test_they_share_one_room(paragon, emulator, tmp_path, folder):
    """However many syncs, no more contents are under way than *concurrency*."""
    ingests = []
    for number in range(4):
        to = tmp_path / str(number)
        user = paragon.user(f"user-{number}")
        ingests.append(Ingest(user, await synced(user), FolderSink(to), to))
    emulator.fault(path="*/content", delay=0.03, times=None)
    running = asyncio.create_task(IngestMany(ingests, at_once=4, concurrency=3).run())
    most = 0
    while not running.done():
        most = max(most, sum(i.progress.in_flight for i in ingests))
        await asyncio.sleep(0.003)
    assert most == 3
    assert sum(o.report.files for o in running.result()) == 4 * len(source(folder))


async def test_an_error_of_the_callers_own_stops_all(user, sync_id, tmp_path):
    """What is no error of this SDK is raised as it is."""

    def wanted(_):
        raise ZeroDivisionError

    broken = Ingest(user, sync_id, FolderSink(tmp_path / "m"), tmp_path / "m", contents=wanted)
    with pytest.raises(ZeroDivisionError):
        await IngestMany([broken]).run()


async def test_cancelling_cancels_each(paragon, emulator, tmp_path, folder):
    """A cancelled bundle ends cancelled, and goes on from where it was."""
    user = paragon.user("ann")
    sync = await synced(user)
    emulator.fault(path="*/content", delay=0.5, times=None)
    ingest = Ingest(user, sync, FolderSink(tmp_path / "m"), tmp_path / "m")
    running = asyncio.create_task(IngestMany([ingest]).run())
    while not ingest.progress.in_flight:  # noqa: ASYNC110  # progress is looked at, not sent
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    emulator.faults.clear()
    await IngestMany([ingest]).run()
    assert contents(tmp_path / "m") == source(folder)


async def test_what_cannot_work_is_said(paragon: Paragon, user, sync_id, tmp_path):
    """Bounds below one and a sync that stands twice are refused."""
    one = Ingest(user, sync_id, FolderSink(tmp_path), tmp_path)
    with pytest.raises(ConfigurationError, match="at_once"):
        IngestMany([one], at_once=0)
    with pytest.raises(ConfigurationError, match="twice"):
        IngestMany([one, one])
    assert await IngestMany([]).run() == []
