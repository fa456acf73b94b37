from __future__ import annotations

import contextlib
import os

import pytest

from paragon_async.errors import (
    DestinationError,
    IngestError,
    NotFoundError,
    ParagonError,
    SinkError,
    TooManyDeletesError,
)
from paragon_async.ingest import FolderSink, Ingest
from tests.ingest.fakes import (
    StoppingSink,
    ask,
    asked,
    contents,
    cursor,
    ingest,
    letters,
    quick_user,
    rows,
    source,
)


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
async def quick(emulator):
    async with quick_user(emulator) as made:
        yield made


@pytest.fixture
async def mirrored(user, sync_id, mirror):
    await ingest(user, sync_id, mirror).run()


def file_of(mirror, name):
    return mirror / rows(mirror)[name]["_file"]


def snapshot(mirror):
    """Everything in the mirror but its state and lock, with bytes and inodes."""
    return {
        p.relative_to(mirror).as_posix(): (p.stat().st_ino, p.read_bytes())
        for p in mirror.rglob("*")
        if p.is_file() and ".paragon" not in p.parts
    }


def tables(mirror):
    """Everything in the state but the log of runs and the epoch."""
    return {
        table: ask(mirror, f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608  # our own tables
        for table in ("feeds", "places", "records", "receipts", "dead")
    }


def flip(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


async def test_a_good_mirror(mirrored, user, sync_id, mirror, folder, emulator):
    """Of a good mirror `verify` reads every byte, asks nothing, and changes nothing."""
    before, count = snapshot(mirror), len(emulator.requests)
    found = await ingest(user, sync_id, mirror).verify()
    assert found.is_good and (found.contents, found.damaged, found.places) == (4, {}, [])
    assert found.bytes == sum(map(len, source(folder).values()))
    assert snapshot(mirror) == before and len(emulator.requests) == count


async def test_an_altered_content(mirrored, user, sync_id, mirror, folder, emulator):
    """One turned byte in a content of the same size is found, and that file alone is fetched again."""
    path, count = file_of(mirror, "hello.txt"), asked(emulator)
    flip(path)
    found = await ingest(user, sync_id, mirror).verify()
    assert list(found.damaged.values()) == [path.relative_to(mirror).as_posix()]
    assert found.restored == 1 and found.is_good and asked(emulator) == count + 1
    assert contents(mirror) == source(folder)


async def test_missing_contents(mirrored, user, sync_id, mirror, folder, emulator):
    """Contents that are gone, cut, or no files any more are found and fetched again."""
    file_of(mirror, "hello.txt").unlink()
    os.truncate(file_of(mirror, "large.bin"), 10)
    empty = file_of(mirror, "zero.bin")
    empty.unlink()
    empty.symlink_to(file_of(mirror, "Überblick.pdf"))
    found = await ingest(user, sync_id, mirror).verify()
    assert (len(found.damaged), found.restored, found.is_good) == (3, 3, True)
    assert contents(mirror) == source(folder) and not empty.is_symlink()
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


async def test_looking_only(mirrored, user, sync_id, mirror, emulator):
    """Without fetching, damage is named, nothing is asked, and nothing but the log is changed."""
    flip(file_of(mirror, "hello.txt"))
    os.truncate(next((mirror / "records").glob("*.jsonl")), 5)
    before, known, count = snapshot(mirror), tables(mirror), len(emulator.requests)
    for _ in range(2):
        found = await ingest(user, sync_id, mirror).verify(fetch=False)
        assert len(found.damaged) == 1 and len(found.places) == 1
        assert not found.is_good and found.restored == 0
        assert snapshot(mirror) == before and tables(mirror) == known
    assert len(emulator.requests) == count


async def test_an_unreadable_content_is_one_error(mirrored, user, sync_id, mirror):
    """A content that the disk refuses to read is an error of ours, not a group of errors."""
    home = file_of(mirror, "hello.txt").parent
    (home / "hello.txt").unlink()
    home.rmdir()
    home.symlink_to(home)
    with contextlib.suppress(DestinationError):
        await ingest(user, sync_id, mirror).verify(fetch=False)


@pytest.mark.parametrize("harm", ["gone", "cut", "emptied"])
async def test_damaged_rows(mirrored, user, sync_id, mirror, folder, emulator, harm):
    """A file of rows that is gone or cut is found, and all its rows are written anew, each once."""
    (place,) = (mirror / "records").glob("*.jsonl")
    wanted, count = rows(mirror), asked(emulator)
    if harm == "gone":
        place.unlink()
    else:
        os.truncate(place, 0 if harm == "emptied" else place.stat().st_size - 20)
    found = await ingest(user, sync_id, mirror).verify()
    assert found.places == [place.name] and found.is_good and found.damaged == {}
    assert rows(mirror) == wanted and asked(emulator) == count
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


async def test_a_damaged_content_that_is_gone_at_its_source(
    mirrored, user, sync_id, mirror, folder, emulator
):
    """A missing content whose record is gone meanwhile is deleted in the mirror, and all is good."""
    file_of(mirror, "hello.txt").unlink()
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    found = await ingest(user, sync_id, mirror).verify()
    assert found.restored == 1 and found.is_good
    assert contents(mirror) == source(folder) and "hello.txt" not in rows(mirror)


async def test_a_damaged_content_that_does_not_come(mirrored, quick, sync_id, mirror, emulator):
    """A missing content that cannot be fetched is a letter, and the mirror is not called good."""
    file_of(mirror, "hello.txt").unlink()
    emulator.fault(path="*/content", status=404, times=None)
    found = await ingest(quick, sync_id, mirror).verify()
    assert (found.restored, found.is_good, found.dead_letters) == (0, False, 1)
    assert letters(mirror) == [("hello.txt", "404", 0)]


async def test_retry_heals(quick, sync_id, mirror, folder, emulator):
    """A letter that will not pass by itself is taken up by `retry`, and is none afterwards."""
    emulator.fault(path="*/content", status=403, times=4)
    made = ingest(quick, sync_id, mirror)
    assert (await made.run()).dead_letters == 4 and (await made.run()).dead_letters == 4
    saved = cursor(mirror)
    report = await made.retry()
    assert (report.dead_letters, report.files, report.records) == (0, 4, 4)
    assert letters(mirror) == [] and contents(mirror) == source(folder) and cursor(mirror) == saved
    assert all("_file" in rows(mirror)[name] for name in source(folder))


async def test_retry_that_fails_again(quick, sync_id, mirror, emulator):
    """A letter that fails again stays, and counts its attempts."""
    emulator.fault(path="*/content", status=403, times=None)
    await ingest(quick, sync_id, mirror).run()
    for attempts in (2, 3):
        assert (await ingest(quick, sync_id, mirror).retry()).dead_letters == 4
        assert ask(mirror, "SELECT DISTINCT attempts FROM dead") == [(attempts,)]


async def test_retry_of_a_record_that_is_refused(quick, sync_id, mirror, emulator):
    """A record whose own call is refused in a retry stays a letter, under its name; nothing is deleted."""
    emulator.fault(path="*/content", status=403, times=None)
    await ingest(quick, sync_id, mirror).run()
    before = rows(mirror)
    emulator.fault(path="*/records/*", status=403, times=None)
    report = await ingest(quick, sync_id, mirror).retry()
    assert (report.dead_letters, report.deleted) == (4, 0) and rows(mirror) == before
    assert {name for name, _, _ in letters(mirror)} == {
        "hello.txt", "large.bin", "zero.bin", "Überblick.pdf",
    }  # fmt: skip


async def test_retry_of_a_record_that_is_gone(quick, sync_id, mirror, folder, emulator):
    """A letter whose record is gone is deleted: letter, row and all."""
    emulator.fault(path="*/content", status=403, times=4)
    await ingest(quick, sync_id, mirror).run()
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    report = await ingest(quick, sync_id, mirror).retry()
    assert (report.deleted, report.dead_letters) == (1, 0)
    assert "hello.txt" not in rows(mirror) and contents(mirror) == source(folder)


async def test_retry_when_the_sync_is_gone(quick, sync_id, mirror, emulator):
    """A sync that is gone answers 404 for every record: that is an error, and deletes nothing."""
    emulator.fault(path="*/content", status=403, times=4)
    await ingest(quick, sync_id, mirror, fuse=None).run()
    before = snapshot(mirror)
    await quick.syncs.delete(sync_id)
    for kind in ("retry", "run", "reconcile"):
        with pytest.raises(NotFoundError):
            await getattr(ingest(quick, sync_id, mirror, fuse=None), kind)()
        assert snapshot(mirror) == before and len(letters(mirror)) == 4
    assert ask(mirror, "SELECT count(*) FROM records WHERE doomed IS NOT NULL") == [(0,)]


def no_tombstones(body):
    return {**body, "data": [r for r in body["data"] if not r.get("deleted")]}


async def missed_delete(quick, sync_id, mirror, folder, emulator):
    """Delete a file at the source so that the mirror's cursor is past a tombstone it never saw."""
    await ingest(quick, sync_id, mirror).run()
    (folder / "hello.txt").unlink()
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    emulator.fault(path="*/records", edit=no_tombstones, times=None)
    await ingest(quick, sync_id, mirror).run()
    assert contents(mirror) == source(folder) | {"hello.txt": b"hello"}


async def test_reconcile_finds_a_missed_delete(quick, sync_id, mirror, folder, emulator):
    """A record whose tombstone never came is deleted by a complete pass, and nothing else is."""
    await missed_delete(quick, sync_id, mirror, folder, emulator)
    emulator.faults.clear()
    count = asked(emulator)
    report = await ingest(quick, sync_id, mirror).reconcile()
    assert (report.deleted, report.created, report.files) == (1, 0, 0) and asked(emulator) == count
    assert contents(mirror) == source(folder) and "hello.txt" not in rows(mirror)
    report = await ingest(quick, sync_id, mirror).reconcile()
    assert (report.deleted, report.updated) == (0, 0)


async def test_reconcile_when_the_feed_lost_the_record(mirrored, quick, sync_id, mirror, emulator):
    """A record that the feed has forgotten without a word is deleted by a complete pass."""

    def lost(body):
        data = [r for r in body["data"] if r["name"] != "hello.txt"]
        paging = {**body["paging"], "totalRecords": body["paging"]["totalRecords"] - 1}
        return {**body, "data": data, "paging": paging}

    emulator.fault(path="*/records", edit=lost, times=None)
    assert (await ingest(quick, sync_id, mirror).reconcile()).deleted == 1
    assert "hello.txt" not in contents(mirror)


async def test_reconcile_finds_missing_files(mirrored, user, sync_id, mirror, folder):
    """Contents that are missing or have another size are fetched again by a complete pass."""
    file_of(mirror, "hello.txt").unlink()
    os.truncate(file_of(mirror, "large.bin"), 10)
    report = await ingest(user, sync_id, mirror).reconcile()
    assert (report.files, report.deleted) == (2, 0) and contents(mirror) == source(folder)


async def test_reconcile_finds_missed_records(quick, sync_id, mirror, folder, emulator):
    """Records and changes that a page kept back are mirrored by a complete pass."""

    def halved(body):
        return {**body, "data": body["data"][::2]}

    emulator.fault(path="*/records", edit=halved, times=1)
    assert (await ingest(quick, sync_id, mirror).run()).created == 4
    report = await ingest(quick, sync_id, mirror).reconcile()
    assert report.created == 3 and contents(mirror) == source(folder) and len(rows(mirror)) == 7


async def test_reconcile_goes_on_from_where_it_ended(mirrored, user, sync_id, mirror, emulator):
    """After a complete pass the saved cursor is the feed's newest: the next run brings nothing."""
    saved = cursor(mirror)
    report = await ingest(user, sync_id, mirror, page_size=2).reconcile()
    assert report.cursor == saved == cursor(mirror)
    assert (await ingest(user, sync_id, mirror).run()).records == 0


async def test_reconcile_under_the_fuse(mirrored, quick, sync_id, mirror, folder, emulator):
    """A pass that would delete more than the share deletes nothing."""

    def lost(body):
        paging = {**body["paging"], "totalRecords": 1}
        return {**body, "data": body["data"][:1], "paging": paging}

    before = contents(mirror)
    emulator.fault(path="*/records", edit=lost, times=None)
    with pytest.raises(TooManyDeletesError) as caught:
        await ingest(quick, sync_id, mirror).reconcile()
    assert (caught.value.count, caught.value.total) == (6, 7)
    assert contents(mirror) == before


async def test_a_fuse_that_blew_in_error_is_forgotten(mirrored, quick, sync_id, mirror, emulator):
    """What a disturbed pass doomed, and a good one met, is spared."""

    def lost(body):
        paging = {**body["paging"], "totalRecords": 1}
        return {**body, "data": body["data"][:1], "paging": paging}

    before = contents(mirror)
    emulator.fault(path="*/records", edit=lost, times=1)
    with pytest.raises(TooManyDeletesError):
        await ingest(quick, sync_id, mirror).reconcile()
    assert (await ingest(quick, sync_id, mirror, fuse=None).reconcile()).deleted == 0
    assert contents(mirror) == before


def dropped(body):
    """A page that lost one record, and says nothing of it."""
    return {**body, "data": body["data"][1:]}


def swapped(body):
    """A page that has one record twice in place of another."""
    return {**body, "data": [*body["data"][1:], body["data"][-1]]}


INCOMPLETE = {
    "empty": {"page": "empty", "skip": 1},
    "null_cursor": {"page": "null_cursor", "skip": 1},
    "repeat_cursor": {"page": "repeat_cursor", "skip": 1},
    "cycle_cursor": {"page": "cycle_cursor"},
    "no_paging": {"page": "no_paging", "skip": 1},
    "dropped": {"edit": dropped, "skip": 1},
    "swapped": {"edit": swapped, "skip": 1},
    "cut": {"cut_after": 200, "skip": 1},
    "503": {"status": 503, "skip": 1},
    "404": {"status": 404, "skip": 1},
    "401": {"status": 401, "skip": 1},
}


@pytest.mark.parametrize("rule", INCOMPLETE.values(), ids=INCOMPLETE)
async def test_an_incomplete_pass_deletes_nothing(mirrored, quick, sync_id, mirror, emulator, rule):
    """A pass that was cut, or met less than the service counts, is an error and deletes nothing."""
    before, saved = snapshot(mirror), cursor(mirror)
    emulator.fault(path="*/records", times=None, **rule)
    with pytest.raises(ParagonError):
        await ingest(quick, sync_id, mirror, fuse=None, page_size=3).reconcile()
    assert snapshot(mirror) == before and cursor(mirror) == saved
    assert ask(mirror, "SELECT count(*) FROM records WHERE doomed IS NOT NULL") == [(0,)]
    emulator.faults.clear()
    for kind in ("run", "reconcile"):
        assert (await getattr(ingest(quick, sync_id, mirror), kind)()).deleted == 0
    assert snapshot(mirror) == before


async def test_a_pass_says_why_it_is_not_believed(mirrored, quick, sync_id, mirror, emulator):
    """A pass that met too few names both figures."""
    emulator.fault(path="*/records", edit=dropped, times=None)
    with pytest.raises(IngestError, match="met 6 records, the service counts 7"):
        await ingest(quick, sync_id, mirror).reconcile()


async def stopped(user, sync_id, mirror, name):
    """Run, and be stopped as by a kill between a content and its receipt."""
    with pytest.raises(SinkError, match="stopped"):
        await Ingest(user, sync_id, StoppingSink(mirror, {name}), mirror).run()


@pytest.mark.parametrize("kind", ["verify", "retry", "reconcile", "run"])
async def test_what_a_stopped_run_left_is_found(user, sync_id, mirror, folder, emulator, kind):
    """A content without a receipt, whose record is gone by the next run, does not stay for ever.

    Whatever is done in between.
    """
    await ingest(user, sync_id, mirror).run()
    (folder / "late.txt").write_text("late")
    await emulator.refresh()
    await stopped(user, sync_id, mirror, "late.txt")
    assert contents(mirror)["late.txt"] == b"late"
    (folder / "late.txt").unlink()
    await emulator.refresh()
    await getattr(ingest(user, sync_id, mirror), kind)()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert len(list((mirror / "files").iterdir())) == len(source(folder))


async def test_what_a_stopped_run_left_is_taken_up(user, sync_id, mirror, folder, emulator):
    """A content that lies in its place without a receipt is not fetched again, if its hash agrees."""
    await ingest(user, sync_id, mirror).run()
    (folder / "late.txt").write_text("late")
    await emulator.refresh()
    await stopped(user, sync_id, mirror, "late.txt")
    count = asked(emulator)
    report = await ingest(user, sync_id, mirror).run()
    assert (report.created, asked(emulator) - count) == (1, 0)
    assert contents(mirror) == source(folder)


async def test_a_receipt_without_a_record_goes_with_its_tombstone(
    user, sync_id, mirror, folder, emulator
):
    """A run stopped between a receipt and its page, its record gone since, leaves no receipt behind."""
    await ingest(user, sync_id, mirror).run()
    (folder / "late.txt").write_text("late")
    (folder / "later.txt").write_text("later")
    await emulator.refresh()
    # One at a time: one of the two has its receipt when the other stops the page they share.
    sink = StoppingSink(mirror, set())
    names = iter(["go on", "stop"])

    class Second(StoppingSink):
        async def put(self, source, record_id, name):
            self.stops = {name} if next(names) == "stop" else set()
            return await super().put(source, record_id, name)

    with pytest.raises(SinkError, match="stopped"):
        await Ingest(user, sync_id, Second(mirror, sink.stops), mirror, concurrency=1).run()
    assert ask(mirror, "SELECT count(*) FROM receipts") == [(5,)]
    for name in ("late.txt", "later.txt"):
        (folder / name).unlink()
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert ask(mirror, "SELECT count(*) FROM receipts") == [(4,)]
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


async def test_batches_settle(user, sync_id, mirror, folder, emulator):
    """A mirror with one flush a page is as good: changed, renamed, deleted, verified."""

    def made():
        return Ingest(user, sync_id, FolderSink(mirror, durability="batch"), mirror)

    await made().run()
    (folder / "hello.txt").write_text("second")
    (folder / "zero.bin").unlink()
    (folder / "reports" / "Überblick.pdf").rename(folder / "overview.pdf")
    await emulator.refresh()
    await made().run()
    assert contents(mirror) == source(folder)
    flip(file_of(mirror, "hello.txt"))
    found = await made().verify()
    assert found.restored == 1 and found.is_good and contents(mirror) == source(folder)
