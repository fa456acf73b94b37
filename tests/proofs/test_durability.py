"""What each durability costs: flushes, counted by the disk. What they are worth, a power cut shows.

Source: failures.md finding 5, R19.
"""

from __future__ import annotations

from collections import Counter

import pytest

from paragon_async import File
from paragon_async.disk import SystemDisk
from paragon_async.ingest import FolderSink, Ingest

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]


class FlushingDisk(SystemDisk):
    """The machine's disk; it counts what it is asked to make last."""

    def __init__(self):
        super().__init__()
        self.flushes = Counter()

    def sync(self, file):
        self.flushes["sync"] += 1
        super().sync(file)

    def sync_folder(self, path):
        self.flushes["sync_folder"] += 1
        super().sync_folder(path)

    def sync_all(self, path):
        self.flushes["sync_all"] += 1
        super().sync_all(path)


async def test_what_durability_costs(folder, emulator, user, sync_id, tmp_path):
    """With `file` each content is flushed, with `batch` a page at once, for a fifth at most; else none."""
    for number in range(60):
        (folder / f"{number}.txt").write_text("x" * number)
    await emulator.refresh()
    flushes = {}
    for durability in ("file", "batch"):
        mirror, disk = tmp_path / durability, FlushingDisk()
        sink = FolderSink(mirror, durability=durability, disk=disk)
        report = await Ingest(user, sync_id, sink, mirror, page_size=32).run()
        assert report.files == 64
        flushes[durability] = disk.flushes
    assert flushes["file"]["sync"] >= 64 <= flushes["file"]["sync_folder"]
    assert 1 <= flushes["batch"]["sync_all"] <= 8
    assert flushes["batch"].total() <= 0.2 * flushes["file"].total()
    to, disk = tmp_path / "none", FlushingDisk()
    to.mkdir()
    found = user.records.pull(sync_id, File)
    done = user.records.download_all(sync_id, found, to, durability="none", disk=disk)
    assert len([saved async for saved in done]) == 64
    assert not disk.flushes
