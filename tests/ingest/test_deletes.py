from __future__ import annotations

import pytest

from paragon_async.errors import ConfigurationError, TooManyDeletesError
from paragon_async.ingest.deletes import check
from tests.ingest.fakes import ask, contents, ingest, rows, source


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
def folder(tmp_path):
    """A drive of eight files, and nothing else."""
    root = tmp_path / "drive"
    root.mkdir()
    for number in range(8):
        (root / f"{number}.txt").write_text(f"content {number}")
    return root


@pytest.fixture
async def mirrored(user, sync_id, mirror):
    await ingest(user, sync_id, mirror).run()


def lose(folder, *numbers):
    for number in numbers:
        (folder / f"{number}.txt").unlink()


@pytest.mark.parametrize(
    ("count", "total", "fuse", "blows"),
    [
        (4, 8, 0.5, False), (5, 8, 0.5, True), (8, 8, None, False), (8, 8, 1.0, False), (1, 8, 0.0, True),
        (0, 8, 0.0, False), (0, 0, 0.0, False), (1, 3, 1 / 3, False), (3, 10, 0.3, False),
    ],
)  # fmt: skip
def test_the_share(count, total, fuse, blows):
    """The share itself may be deleted, one more may not; without a fuse anything."""
    if not blows:
        check(count, total, fuse)
        return
    with pytest.raises(TooManyDeletesError, match=f"{count} of {total} records") as caught:
        check(count, total, fuse)
    assert (caught.value.count, caught.value.total) == (count, total)


@pytest.mark.parametrize("fuse", [-0.1, 1.1, 50])
def test_no_share(user, mirror, fuse):
    """A fuse that is no share is refused before anything is done."""
    with pytest.raises(ConfigurationError, match="fuse"):
        ingest(user, "s", mirror, fuse=fuse)


async def test_a_delete_is_applied_and_recorded(mirrored, user, sync_id, mirror, folder, emulator):
    """What is gone at its source goes: content, folder, row and receipt; the state keeps when."""
    lose(folder, 0)
    await emulator.refresh()
    report = await ingest(user, sync_id, mirror).run()
    assert (report.records, report.deleted) == (1, 1)
    assert contents(mirror) == source(folder) and len(list((mirror / "files").iterdir())) == 7
    assert "0.txt" not in rows(mirror) and len(rows(mirror)) == 7
    assert ask(mirror, "SELECT count(*) FROM receipts") == [(7,)]
    assert ask(mirror, "SELECT count(*) FROM records WHERE deleted_at > 1700000000") == [(1,)]


async def test_exactly_the_share_goes(mirrored, user, sync_id, mirror, folder, emulator):
    """Half of the mirror may go under a fuse of a half."""
    lose(folder, 0, 1, 2, 3)
    await emulator.refresh()
    assert (await ingest(user, sync_id, mirror).run()).deleted == 4
    assert contents(mirror) == source(folder)


async def test_a_blown_fuse_deletes_nothing(mirrored, user, sync_id, mirror, folder, emulator):
    """One more than the share: an error, run after run, and not one file or row is deleted."""
    before = contents(mirror)
    lose(folder, 0, 1, 2, 3, 4)
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    made = ingest(user, sync_id, mirror)
    for _ in range(3):
        with pytest.raises(TooManyDeletesError, match="nothing was deleted") as caught:
            await made.run()
        # The new record counts among the living.
        assert (caught.value.count, caught.value.total) == (5, 9)
        assert made.progress.report.deleted == 0
    assert contents(mirror) == before | {"new.txt": b"new"}
    assert rows(mirror).keys() == contents(mirror).keys()


async def test_a_higher_fuse_deletes_them(mirrored, user, sync_id, mirror, folder, emulator):
    """What a blown fuse held back is deleted by the next run that may, once."""
    lose(folder, 0, 1, 2, 3, 4)
    await emulator.refresh()
    with pytest.raises(TooManyDeletesError):
        await ingest(user, sync_id, mirror).run()
    assert (await ingest(user, sync_id, mirror, fuse=0.7).run()).deleted == 5
    assert contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).run()).deleted == 0


async def test_without_a_fuse(mirrored, user, sync_id, mirror, folder, emulator):
    """With no fuse a mirror may be emptied."""
    lose(folder, *range(8))
    await emulator.refresh()
    assert (await ingest(user, sync_id, mirror, fuse=None).run()).deleted == 8
    assert contents(mirror) == {} and rows(mirror) == {}
    assert list((mirror / "files").iterdir()) == []


async def test_a_fuse_of_nothing(mirrored, user, sync_id, mirror, folder, emulator):
    """With a fuse of zero nothing is ever deleted, and updates go on."""
    lose(folder, 0)
    (folder / "1.txt").write_text("changed")
    await emulator.refresh()
    with pytest.raises(TooManyDeletesError):
        await ingest(user, sync_id, mirror, fuse=0).run()
    assert contents(mirror) == source(folder) | {"0.txt": b"content 0"}


async def test_the_dead_do_not_count(mirrored, user, sync_id, mirror, folder, emulator):
    """The share is of the living: records that were deleted before do not make the mirror larger."""
    lose(folder, 0, 1, 2, 3)
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    lose(folder, 4, 5, 6)
    await emulator.refresh()
    with pytest.raises(TooManyDeletesError) as caught:
        await ingest(user, sync_id, mirror).run()
    assert (caught.value.count, caught.value.total) == (3, 4)


async def test_what_comes_back_is_spared(mirrored, user, sync_id, mirror, folder, emulator):
    """A record that was gone and is alive again before its delete was applied stays, as it is now."""

    def dead(body):
        data = [{"id": r["id"], "deleted": True} for r in body["data"]]
        return {**body, "data": data}

    for number in range(6):
        (folder / f"{number}.txt").write_text(f"second {number}")
    await emulator.refresh()
    emulator.fault(path="*/records", edit=dead, times=1)
    with pytest.raises(TooManyDeletesError):
        await ingest(user, sync_id, mirror).run()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"third {number}")
    await emulator.refresh()
    report = await ingest(user, sync_id, mirror).run()
    assert report.deleted == 1
    wanted = source(folder)
    del wanted["5.txt"]
    assert contents(mirror) == wanted


async def test_gone_and_back_in_one_run(mirrored, user, sync_id, mirror, folder, emulator):
    """A record whose tombstone and whose return come in one run, page after page, is mirrored."""
    alive = []

    def torn(body):
        if alive:
            return {**body, "data": list(alive)}
        alive.extend(body["data"])
        data = [{"id": r["id"], "deleted": True} for r in alive]
        return {"data": data, "paging": {**body["paging"], "remainingRecords": 1}}

    (folder / "0.txt").write_text("second")
    await emulator.refresh()
    emulator.fault(path="*/records", edit=torn, times=2)
    report = await ingest(user, sync_id, mirror).run()
    assert (report.records, report.updated, report.deleted) == (2, 1, 0)
    assert contents(mirror) == source(folder)


async def test_a_tombstone_of_a_stranger(user, sync_id, mirror, folder, emulator):
    """Tombstones of records that were never mirrored are counted as met, and delete nothing."""
    lose(folder, *range(4))
    await emulator.refresh()
    report = await ingest(user, sync_id, mirror, fuse=0).run()
    assert (report.records, report.created, report.deleted) == (8, 4, 0)
    assert contents(mirror) == source(folder)


async def test_a_deleted_record_that_is_new_again(
    mirrored, user, sync_id, mirror, folder, emulator
):
    """A record that was deleted in the mirror and lives again is created anew, content and row."""
    before = ask(mirror, "SELECT cursor, seal FROM feeds")[0]
    lose(folder, 0)
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    gone = ask(mirror, "SELECT id FROM records WHERE deleted_at IS NOT NULL")[0][0]
    ask(mirror, "UPDATE feeds SET cursor = ?, seal = ?", *before)
    alive = next(iter(rows(mirror).values()))

    def risen(body):
        data = [
            {k: v for k, v in alive.items() if k[0] != "_"} | {"id": gone, "name": "risen.txt"}
            for _ in body["data"]
        ]
        return {**body, "data": data}

    emulator.fault(path="*/records", edit=risen, times=1)
    report = await ingest(user, sync_id, mirror, contents=False).run()
    assert (report.created, report.deleted) == (1, 0)
    assert rows(mirror)["risen.txt"]["id"] == gone
    assert ask(mirror, "SELECT deleted_at FROM records WHERE id = ?", gone) == [(None,)]
