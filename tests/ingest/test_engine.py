"""The engine as its callers meet it: what is owed, what is said, what is refused."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from paragon_async import (
    ConfigurationError,
    ConnectionFailedError,
    IngestError,
    NotFoundError,
    Paragon,
    Retry,
    SinkError,
    SyncFailedError,
)
from paragon_async.ingest import FolderSink, Ingest, LinesSink, State
from tests.ingest.fakes import QUICK, ask, contents, ingest, letters, quick_user, rows, source


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


# What is owed


async def test_what_a_stopped_verify_found_is_owed(emulator, user, sync_id, mirror, folder):
    """When verify finds a content gone and cannot fetch it, the next run does."""
    await ingest(user, sync_id, mirror).run()
    next((mirror / "files").glob("*/hello.txt")).unlink()
    async with Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url="http://127.0.0.1:9",
        retry=QUICK,
    ) as nowhere:
        with pytest.raises(ConnectionFailedError):
            await ingest(nowhere.user("user-1"), sync_id, mirror).verify()
    assert letters(mirror) == [("hello.txt", "damaged", 1)] or letters(mirror)[0][1] == "damaged"
    report = await ingest(user, sync_id, mirror).run()
    assert report.dead_letters == 0 and contents(mirror) == source(folder)


async def test_rows_that_a_stopped_verify_lost_are_owed(emulator, user, sync_id, mirror, folder):
    """Rows whose file is damaged, and which the API cannot show now, are dead letters until it can."""
    await ingest(user, sync_id, mirror).run()
    next((mirror / "records").glob("*.jsonl")).write_bytes(b"")
    emulator.fault(path="*/records/*", status=500, times=None)
    async with quick_user(emulator) as quick:
        found = await ingest(quick, sync_id, mirror).verify()
    assert not found.is_good and found.dead_letters == 7
    emulator.faults.clear()
    await ingest(user, sync_id, mirror).retry()
    assert set(rows(mirror)) >= set(source(folder))
    assert letters(mirror) == []


async def test_a_row_altered_in_place_is_mended(user, sync_id, mirror):
    """Verify reads rows, too: one byte that differs is found, and the row comes anew."""
    await ingest(user, sync_id, mirror).run()
    place = next((mirror / "records").glob("*.jsonl"))
    good = rows(mirror)
    place.write_bytes(place.read_bytes().replace(b"hello.txt", b"hellO.txt", 1))
    found = await ingest(user, sync_id, mirror).verify(fetch=False)
    assert found.places == [place.name] and not found.is_good
    assert (await ingest(user, sync_id, mirror).verify()).is_good
    assert rows(mirror) == good


async def test_rows_that_are_gone_stop_a_run_with_advice(user, sync_id, mirror):
    """A run over a mirror whose rows are missing says what mends it, and verify does."""
    await ingest(user, sync_id, mirror).run()
    good = rows(mirror)
    next((mirror / "records").glob("*.jsonl")).unlink()
    with pytest.raises(SinkError, match="verify"):
        await ingest(user, sync_id, mirror).run()
    assert (await ingest(user, sync_id, mirror).verify()).is_good
    await ingest(user, sync_id, mirror).run()
    assert rows(mirror) == good


# With contents or without


async def test_contents_that_were_not_wanted_come_when_they_are(
    user, sync_id, mirror, folder, emulator
):
    """A mirror of records alone gets all its contents once they are asked for."""
    report = await ingest(user, sync_id, mirror, contents=False).run()
    assert (report.files, contents(mirror)) == (0, {})
    report = await ingest(user, sync_id, mirror).run()
    assert report.files == len(source(folder)) and contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).run()).records == 0


async def test_no_content_stays_beside_another_record(user, sync_id, mirror, folder, emulator):
    """A content that is not fetched anew leaves, so that no row names the content of an older one."""
    await ingest(user, sync_id, mirror).run()
    (folder / "hello.txt").write_text("changed")
    await emulator.refresh()
    await ingest(user, sync_id, mirror, contents=False).run()
    assert "hello.txt" not in contents(mirror)
    assert "_file" not in rows(mirror)["hello.txt"]
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert "_file" in rows(mirror)["hello.txt"]


# The sync itself


async def test_an_errored_sync_is_said(user, mirror):
    """What an ERRORED sync has is mirrored, and then the run says that it is ERRORED."""
    sync = await user.syncs.enable(
        "googledrive", "files", configuration={"folderId": "no-such-folder"}
    )
    with pytest.raises(SyncFailedError):
        await user.syncs.wait_until_idle(sync.id, timeout=10)
    with pytest.raises(SyncFailedError, match="ERRORED"):
        await ingest(user, sync.id, mirror).run()


async def test_the_status_is_reported(user, sync_id, mirror, emulator):
    """The report tells how the sync stood."""
    assert (await ingest(user, sync_id, mirror).run()).status == "IDLE"


async def test_a_pass_over_a_sync_at_work_deletes_nothing(user, sync_id, mirror, emulator, folder):
    """Only a sync that is IDLE shows all it has: before, reconcile deletes nothing."""
    await ingest(user, sync_id, mirror).run()
    emulator.fault(method="GET", path=f"/api/syncs/{sync_id}", edit=_at_work, times=None)
    with pytest.raises(IngestError, match="ACTIVE"):
        await ingest(user, sync_id, mirror).reconcile()
    assert contents(mirror) == source(folder)


def _at_work(answer):
    answer["status"] = "ACTIVE"
    return answer


async def test_a_mistyped_sync_makes_nothing(user, mirror):
    """A sync that does not exist is an error before any folder is made."""
    with pytest.raises(NotFoundError):
        await ingest(user, "00000000-0000-0000-0000-000000000000", mirror).run()
    assert not mirror.exists()


async def test_a_refused_cursor_names_the_way_out(user, sync_id, mirror, folder, emulator):
    """When the service no longer takes the cursor, the error names reconcile, and that helps."""
    await ingest(user, sync_id, mirror).run()
    emulator.fault(path="*/records", status=400, times=2)
    with pytest.raises(IngestError, match="reconcile"):
        await ingest(user, sync_id, mirror).run()
    await ingest(user, sync_id, mirror).reconcile()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)


# Two at once


@pytest.mark.parametrize("ticks", [0, 1, 5, 20, 60])
async def test_two_users_never_share_a_feed(paragon, mirror, emulator, ticks):
    """Two syncs that are sent to one destination at once: one is refused, the other is whole."""
    syncs = {}
    for name in ("alice", "bob"):
        sync = await paragon.user(name).syncs.enable("googledrive", "files")
        await paragon.user(name).syncs.wait_until_idle(sync.id, timeout=10)
        syncs[name] = sync.id

    async def later(name, wait):
        for _ in range(wait):
            await asyncio.sleep(0)
        return await Ingest(paragon.user(name), syncs[name], FolderSink(mirror), state).run()

    async with State(mirror) as state:
        done = await asyncio.gather(later("alice", 0), later("bob", ticks), return_exceptions=True)
    refused = [one for one in done if isinstance(one, SinkError)]
    assert len(refused) == 1, done
    assert ask(mirror, "SELECT count(DISTINCT feed) FROM records") == [(1,)]
    assert len(ask(mirror, "SELECT user FROM feeds")) == 1


async def test_two_states_never_share_a_destination(user, sync_id, tmp_path):
    """A destination belongs to the state that took it first."""
    await Ingest(user, sync_id, tmp_path / "to", tmp_path / "one").run()
    with pytest.raises(SinkError, match="another state"):
        await Ingest(user, sync_id, tmp_path / "to", tmp_path / "two").run()


async def test_a_mirror_whose_state_is_lost_is_not_touched(user, sync_id, mirror, folder):
    """Without its state a mirror is somebody's files: nothing of it is removed."""
    await ingest(user, sync_id, mirror).run()
    shutil.rmtree(mirror / ".paragon")
    with pytest.raises(SinkError):
        await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder) and rows(mirror)


async def test_a_mirror_and_its_state_move_together(user, sync_id, tmp_path, folder, emulator):
    """State and destination, each in a folder of its own, go on after both were moved."""
    (tmp_path / "a").mkdir()
    await Ingest(user, sync_id, tmp_path / "a" / "to", tmp_path / "a" / "state").run()
    (tmp_path / "a").rename(tmp_path / "b")
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    moved = tmp_path / "b"
    report = await Ingest(user, sync_id, moved / "x" / ".." / "to", moved / "state").run()
    assert report.created == 1 and contents(moved / "to") == source(folder)


# Following


async def test_following_outlives_a_service_in_trouble(user, sync_id, mirror, folder, emulator):
    """A service that fails for a while is waited for, each time is told, and the mirror goes on."""
    async with Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url=emulator.url,
        retry=Retry(attempts=1),
    ) as paragon:
        emulator.fault(path=f"/api/syncs/{sync_id}/records", status=503, times=3)
        told, done = [], asyncio.Event()
        task = asyncio.create_task(
            ingest(paragon.user("user-1"), sync_id, mirror).follow(
                every=0.01,
                pause=0.01,
                on_error=lambda error, wait: told.append((type(error).__name__, wait)),
                on_report=lambda _: done.set(),
            )
        )
        await done.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [name for name, _ in told] == ["ServerError"] * 3
    # How the waits grow with a longer trouble: tests/proofs/test_recovery.py.
    assert told[0][1] == 0.01 and all(wait >= 0.01 for _, wait in told)
    assert contents(mirror) == source(folder)


async def test_following_ends_with_what_does_not_pass(user, mirror):
    """An error that no waiting mends is raised."""
    with pytest.raises(NotFoundError):
        await ingest(user, "00000000-0000-0000-0000-000000000000", mirror).follow(every=0.01)


# What it is told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": "4"}, "concurrency"),
        ({"bytes_at_once": 0}, "bytes_at_once"),
        ({"page_size": True}, "page_size"),
        ({"fuse": 1.5}, "fuse"),
        ({"contents": "yes"}, "contents"),
    ],
)
async def test_what_cannot_work_is_refused(user, mirror, options, says):
    """A wrong option is named before anything is done."""
    with pytest.raises(ConfigurationError, match=says):
        ingest(user, "s", mirror, **options)


async def test_a_filter_must_be_a_plain_function(user, mirror):
    """A coroutine function would always say yes: it is refused."""

    async def wanted(_):
        return False

    with pytest.raises(ConfigurationError, match="plain function"):
        ingest(user, "s", mirror, contents=wanted)


async def test_a_folder_is_a_sink(user, sync_id, mirror, folder):
    """A path in place of a sink is a folder."""
    await Ingest(user, sync_id, str(mirror), mirror).run()
    assert contents(mirror) == source(folder)


async def test_contacts_with_a_title_have_no_content(user, mirror, emulator):
    """The pipeline decides which records have contents, not what they look like."""
    sync = await user.syncs.enable("salesforce", "contacts")
    await user.syncs.wait_until_idle(sync.id, timeout=10)
    emulator.world.put(sync.id, {"id": "c-1", "title": "Dr", "size": 7, "mimeType": "x/y"})
    report = await ingest(user, sync.id, mirror).run()
    assert (report.records, report.files, report.dead_letters) == (1, 0, 0)


class StubbornLines(LinesSink):
    """A log whose *n*-th write fails."""

    def __init__(self, folder, n):
        super().__init__(folder)
        self.left = n

    async def write(self, rows, gone):
        self.left -= 1
        if not self.left:
            raise SinkError("no more")
        return await super().write(rows, gone)


async def test_what_was_written_is_committed_when_a_later_write_fails(user, sync_id, tmp_path):
    """Rows that were written before the write that failed count, and the cursor stands behind them."""
    with pytest.raises(SinkError, match="no more"):
        await Ingest(user, sync_id, StubbornLines(tmp_path, 2), tmp_path, page_size=1).run()
    written = sum(len(p.read_text().splitlines()) for p in tmp_path.glob("*.jsonl"))
    assert ask(tmp_path, "SELECT count(*) FROM records") == [(written,)] and 0 < written < 7
    report = await Ingest(user, sync_id, LinesSink(tmp_path), tmp_path, page_size=1).run()
    assert report.records == report.created == 7 - written
