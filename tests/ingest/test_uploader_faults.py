"""The thirteen faults of the vendor's sample uploader, each impossible here.

Its table is the order of these tests: what it does wrong, and what happens here in the same place.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from paragon_async import (
    IngestError,
    Limits,
    Paragon,
    Retry,
    StalledCursorError,
    SyncFailedError,
    Timeouts,
)
from paragon_async.ingest import FolderSink, Ingest, State
from paragon_async.sqlitefile import connect
from tests.ingest.fakes import asked, contents, cursor, ingest, letters, quick_user, source


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


async def test_1_a_sync_that_failed_is_noticed(user):
    """Waiting for a sync that has failed ends at once with its status, not at a deadline."""
    sync = await user.syncs.enable(
        "googledrive", "files", configuration={"folderId": "no-such-folder"}
    )
    with pytest.raises(SyncFailedError, match="ERRORED"):
        await user.syncs.wait_until_idle(sync.id, timeout=30)


async def test_2_no_record_is_passed_over(emulator, sync_id, mirror, folder):
    """A record whose content fails stays on a list, the cursor moves on, and `retry` brings it."""
    emulator.fault(path="*/content", status=403, times=1)
    async with quick_user(emulator) as user:
        report = await ingest(user, sync_id, mirror).run()
        assert report.dead_letters == 1 and len(letters(mirror)) == 1
        assert len(contents(mirror)) == len(source(folder)) - 1
        again = await ingest(user, sync_id, mirror).retry()
        assert again.dead_letters == 0 and contents(mirror) == source(folder)


async def test_3_the_cursor_is_kept(user, sync_id, mirror, emulator):
    """After a complete run the cursor stays: the next one pulls nothing that is not new."""
    first = await ingest(user, sync_id, mirror).run()
    assert first.cursor == cursor(mirror) is not None
    second = await ingest(user, sync_id, mirror).run()
    assert (second.records, second.files, second.cursor) == (0, 0, first.cursor)


async def test_4_a_missing_cursor_ends_the_run(user, sync_id, mirror, emulator):
    """A page that promises more and has no cursor is an error after a few calls, no endless loop."""
    emulator.fault(path="*/records", page="null_cursor", times=None)
    with pytest.raises(StalledCursorError):
        await ingest(user, sync_id, mirror, page_size=2).run()
    assert asked(emulator, "/records") < 10


async def test_5_the_old_content_stays_until_the_new_is_whole(emulator, sync_id, mirror, folder):
    """While an update comes, and when it fails, the old content is in its place."""
    async with quick_user(emulator) as user:
        await ingest(user, sync_id, mirror).run()
        (folder / "hello.txt").write_text("hello again" * 1000)
        await emulator.refresh()
        emulator.fault(path="*/content", corrupt_at=7, times=None)
        report = await ingest(user, sync_id, mirror).run()
        assert report.dead_letters == 1
        assert contents(mirror)["hello.txt"] == b"hello"
        emulator.faults.clear()
        await ingest(user, sync_id, mirror).run()
        assert contents(mirror) == source(folder)


async def test_6_a_content_may_take_longer_than_any_wait(emulator, sync_id, mirror, folder):
    """A body that comes slowly is read to its end: the deadline is for silence, not for the whole."""
    emulator.fault(path="*/content", drip_body=1, drip_every=0.15, times=None)
    for path in folder.rglob("*.*"):
        if path.name not in {"hello.txt", "zero.bin"}:
            path.unlink()
    await emulator.refresh()
    async with Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url=emulator.url,
        timeouts=Timeouts(idle=0.4, headers=0.4, total=0.4),
    ) as paragon:
        report = await ingest(paragon.user("user-1"), sync_id, mirror, fuse=None).run()
    assert report.dead_letters == 0
    assert contents(mirror) == {"hello.txt": b"hello", "zero.bin": b""}


async def test_7_a_token_that_is_refused_is_minted_anew(user, sync_id, mirror, folder, emulator):
    """A 401 in the middle of a run costs a new token and one more call, nothing else."""
    emulator.fault(path="*/content", status=401, times=1, skip=1)
    report = await ingest(user, sync_id, mirror).run()
    assert report.dead_letters == 0 and contents(mirror) == source(folder)
    assert asked(emulator) == len(source(folder)) + 1


async def test_8_a_429_pauses_everybody_as_long_as_it_says(user, sync_id, mirror, folder, emulator):
    """After a 429 with Retry-After nothing is asked until then, and nothing is lost."""
    emulator.fault(path="*/content", status=429, retry_after=0.3, times=1)
    begun = time.monotonic()
    report = await ingest(user, sync_id, mirror, concurrency=1).run()
    assert time.monotonic() - begun >= 0.3
    assert report.dead_letters == 0 and contents(mirror) == source(folder)
    assert asked(emulator) == len(source(folder)) + 1


async def test_9_the_state_is_written_by_row(user, mirror, folder, emulator):
    """Ten times the records change ten times the rows of the state, not a hundred times."""
    changed = []

    def counted(path):
        database = connect(path)
        database.set_trace_callback(statements.append)
        return database

    for count in (10, 100):
        statements = []
        sync = await user.syncs.enable("salesforce", "contacts", configuration={"n": count})
        await user.syncs.wait_until_idle(sync.id, timeout=10)
        emulator.world.put(sync.id, *({"id": f"{count}-{n}"} for n in range(count)))
        to = mirror / str(count)
        state = State(to, connect=counted)
        await Ingest(user, sync.id, FolderSink(to), state, page_size=5).run()
        changed.append(sum(s.startswith(("INSERT", "UPDATE", "DELETE")) for s in statements))
    assert 0 < changed[1] < 15 * changed[0]


async def test_10_a_state_has_one_writer(user, sync_id, mirror):
    """A second ingest of the same sync, or on the same state, is refused and told why."""
    async with State(mirror) as state:
        assert state.folder == mirror
        with pytest.raises(IngestError, match="in use: process [0-9]+ on"):
            await ingest(user, sync_id, mirror).run()
        both = await asyncio.gather(
            *(Ingest(user, sync_id, FolderSink(mirror), state).run() for _ in range(2)),
            return_exceptions=True,
        )
    assert sum(isinstance(one, IngestError) for one in both) == 1


async def test_11_nobody_deletes_but_the_feed(emulator, sync_id, mirror, folder):
    """A content that answers 404 deletes nothing: only a tombstone, or a complete pass, does."""
    async with quick_user(emulator) as user:
        await ingest(user, sync_id, mirror).run()
        before = contents(mirror)
        (folder / "hello.txt").write_text("hello again")
        await emulator.refresh()
        emulator.fault(path="*/content", status=404, times=None)
        report = await ingest(user, sync_id, mirror).run()
    assert (report.deleted, report.dead_letters) == (0, 1)
    assert contents(mirror) == before


async def test_12_a_delete_that_nobody_told_of_is_found(emulator, sync_id, mirror, folder, user):
    """Without any webhook, and with its tombstone lost, a deleted file leaves with `reconcile`."""
    await ingest(user, sync_id, mirror).run()
    (folder / "hello.txt").unlink()
    await emulator.refresh()

    def without_tombstones(page):
        page["data"] = [record for record in page["data"] if not record.get("deleted")]
        return page

    emulator.fault(path="*/records", edit=without_tombstones, times=None)
    await ingest(user, sync_id, mirror).run()
    assert "hello.txt" in contents(mirror)
    emulator.faults.clear()
    report = await ingest(user, sync_id, mirror).reconcile()
    assert report.deleted == 1 and contents(mirror) == source(folder)


async def test_13_contents_come_side_by_side(emulator, mirror, folder):
    """As many contents as allowed are under way at once, and never more."""
    for number in range(12):
        (folder / f"{number}.txt").write_text(str(number))
    await emulator.refresh()
    seen = []
    emulator.fault(path="*/content", delay=0.05, times=None)
    async with Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url=emulator.url,
        limits=Limits(downloads=32),
        retry=Retry(attempts=1),
    ) as paragon:
        user = paragon.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=10)
        working = ingest(user, sync.id, mirror, concurrency=4, on_progress=seen.append)
        watch = asyncio.create_task(working.run())
        most = 0
        while not watch.done():
            most = max(most, working.progress.in_flight)
            await asyncio.sleep(0.005)
    assert (await watch).files == len(source(folder))
    assert most == 4 and seen
