"""What a run would do is what it then does, and looking does nothing."""

from __future__ import annotations

import pytest

from paragon_async.ingest import FolderSink, Ingest
from paragon_async.ingest.preview import Preview, preview
from tests.ingest.fakes import ingest


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


def everything(folder):
    """All files below *folder*, and what they hold."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def of(report, alive):
    return Preview(
        records=report.records,
        created=report.created,
        updated=report.updated,
        unchanged=report.unchanged,
        deleted=report.deleted,
        files=report.files,
        bytes=report.bytes,
        alive=alive,
    )


@pytest.mark.parametrize("contents", [True, False])
async def test_a_first_run_is_foretold(user, sync_id, mirror, contents):
    """Without a mirror all is new; nothing is made, and the run comes to the same."""
    found = await preview(user, sync_id, mirror, contents=contents)
    assert not mirror.exists()
    report = await Ingest(user, sync_id, FolderSink(mirror), mirror, contents=contents).run()
    assert found == of(report, 0) and found.created == 7


async def test_changes_are_foretold(user, sync_id, mirror, folder, emulator):
    """New, edited, renamed and deleted files count as the run will count them; the disk is as before."""
    await ingest(user, sync_id, mirror).run()
    (folder / "new.txt").write_text("new")
    (folder / "hello.txt").write_text("hello again")
    (folder / "zero.bin").unlink()
    (folder / "reports" / "Überblick.pdf").rename(folder / "reports" / "overview.pdf")
    await emulator.refresh()
    before = everything(mirror)
    found = await preview(user, sync_id, mirror)
    assert everything(mirror) == before
    report = await ingest(user, sync_id, mirror).run()
    # A content that is only renamed is moved, not fetched.
    assert found.files == report.files + 1
    assert of(report, 7) == Preview(
        records=found.records, created=found.created, updated=found.updated,
        unchanged=found.unchanged, deleted=found.deleted, files=report.files, bytes=report.bytes,
        alive=7,
    )  # fmt: skip
    assert (found.created, found.deleted) == (1, 1) and found.share == pytest.approx(1 / 7)


async def test_a_complete_pass_is_foretold(user, sync_id, mirror, folder, emulator):
    """What the feed never said to be gone is counted by a complete pass alone."""
    await ingest(user, sync_id, mirror).run()
    records = [r.id async for r in user.records.pull(sync_id)]
    (folder / "zero.bin").unlink()
    await emulator.refresh()
    found = await preview(user, sync_id, mirror, complete=True)
    assert found.deleted == 1 and found.records >= len(records) - 1
    report = await ingest(user, sync_id, mirror).reconcile()
    assert (report.created, report.updated, report.deleted) == (
        found.created, found.updated, found.deleted,
    )  # fmt: skip


async def test_what_waits_for_deletion_is_counted(user, sync_id, mirror, folder, emulator):
    """Records that an earlier run doomed, and the fuse spared, are among those to be deleted."""
    await ingest(user, sync_id, mirror).run()
    for name in ("hello.txt", "zero.bin"):
        (folder / name).unlink()
    await emulator.refresh()
    with pytest.raises(Exception, match="more than the 10% that"):
        await ingest(user, sync_id, mirror, fuse=0.1).run()
    found = await preview(user, sync_id, mirror)
    assert (found.records, found.deleted, found.alive) == (0, 2, 7)
