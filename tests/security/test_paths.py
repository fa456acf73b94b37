"""S1 and S2: nothing is written outside of its root, and what is written is its owner's alone."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

from paragon_async import ParagonError
from paragon_async.disk import SystemDisk
from paragon_async.errors import DestinationError
from paragon_async.ingest import FolderSink
from paragon_async.webhooks import Inbox
from tests.ingest.fakes import contents, ingest, source
from tests.security.planting import Outside, named, plant, swapping

PLACES = (".paragon", ".paragon/tmp", ".paragon/lock", ".paragon/state.db", "files", "records",
          "records/.paragon-owner", "records/001-000001.jsonl", "files/{id}")  # fmt: skip


@pytest.fixture
def outside(tmp_path):
    return Outside(tmp_path / "outside", "name", "r1/name", "001-000001.jsonl", "state.db")


@pytest.mark.parametrize("kind", ["pipe", "link to a file", "link to a folder"])
@pytest.mark.parametrize("place", PLACES)
async def test_planted(user, sync_id, tmp_path, folder, outside, place, kind):
    """S1: whatever was planted in a mirror, nothing outside changes, and nothing waits for ever."""
    (folder / "reports" / "2025" / "large.bin").unlink()
    first = await named(user, sync_id, "hello.txt")
    mirror = tmp_path / "mirror"
    plant(mirror / place.format(id=first.id), kind, outside)
    with contextlib.suppress(ParagonError):
        await ingest(user, sync_id, mirror).run()
    assert outside.is_untouched()


@pytest.fixture
async def hello(user, sync_id, tmp_path):
    """A record, and how its file is called in a folder of downloads."""
    record = await named(user, sync_id, "hello.txt")
    saved = await user.records.download(sync_id, record, tmp_path)
    saved.path.unlink()
    return record, saved.path.name


@pytest.mark.parametrize("kind", ["pipe", "link to a file", "link to a folder"])
async def test_planted_names_of_downloads(user, sync_id, tmp_path, hello, outside, kind):
    """S1: a pipe or a link under the final name of a download is replaced by the file."""
    record, name = hello
    target = tmp_path / "there" / name
    plant(target, kind, outside)
    await user.records.download(sync_id, record, target.parent)
    assert target.read_text() == "hello" and not target.is_symlink()
    assert outside.is_untouched()


@pytest.mark.parametrize("suffix", [".lock", ""])
async def test_planted_beside_an_inbox(tmp_path, outside, suffix):
    """S1: an inbox is not opened, and its lock not written, through a link."""
    plant(tmp_path / f"inbox.db{suffix}", "link to a file", outside)
    with pytest.raises((ParagonError, OSError)):
        async with Inbox(tmp_path / "inbox.db"):
            raise AssertionError
    assert outside.is_untouched()


@pytest.mark.parametrize(
    "method", ["create", "append", "unlink", "make_folder", "remove_folder", "names", "sync_folder"]
)
def test_the_disk_follows_no_link_below_its_root(tmp_path, outside, method):
    """S1: below its root a disk goes through no link, on no call; and names the whole path."""
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "link").symlink_to(outside.folder)
    disk = SystemDisk(within=root)
    path = root / "link" / ("r1" if "folder" in method or method == "names" else "victim.txt")
    with pytest.raises(NotADirectoryError) as caught:
        getattr(disk, method)(path)
    assert caught.value.filename.startswith(str(root / "link"))
    for pair in ((path, root / "real" / "x"), (root / "real" / "x", path)):
        (root / "real" / "x").write_text("x")
        with pytest.raises(NotADirectoryError):
            disk.replace(*pair)
    assert outside.is_untouched()


@pytest.mark.parametrize("way", ["../outside/victim.txt", "files/../../outside/victim.txt"])
def test_the_disk_never_goes_up(tmp_path, outside, way):
    """S1: a way with `..` in it is refused, however it got into a path."""
    disk = SystemDisk(within=tmp_path / "root")
    for call in (disk.unlink, disk.append, disk.create):
        with pytest.raises(OSError, match="leads out"):
            call(tmp_path / "root" / way)
    assert outside.is_untouched()


async def race(sink, place, outside, tmp_path, rounds):
    """Put and remove while *place* is swapped; return how often it worked, and how often it did not."""
    won = lost = 0
    spool = tmp_path / "spool"
    spool.mkdir()
    with swapping(place, outside.folder, tmp_path / "aside", 1000, rounds) as goes_on:
        while goes_on():
            content = spool / "content"
            content.write_text("ours")
            try:
                await sink.put(content, "r1", "name")
                await sink.move("files/r1/name", "r1", "other")
                await sink.remove("r1")
                won += 1
            except DestinationError:
                lost += 1
    return won, lost


@pytest.mark.parametrize("durability", ["file", "batch"])
@pytest.mark.parametrize("place", ["files", "files/r1"])
async def test_race(tmp_path, outside, place, durability):
    """S1: while a folder is swapped for a link again and again, nothing is written behind the link."""
    mirror = tmp_path / "mirror"
    (mirror / "files" / "r1").mkdir(parents=True)
    sink = FolderSink(mirror, durability=durability)
    await race(sink, mirror / place, outside, tmp_path, 200)
    assert outside.is_untouched()


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_race_for_the_name_of_a_download(user, sync_id, tmp_path, hello, outside, kind):
    """S1: while the name of a download is swapped for a link, what the link leads to stays."""
    record, name = hello
    there = tmp_path / "there"
    there.mkdir()
    leads = outside.folder / "victim.txt" if kind == "file" else outside.folder
    with swapping(there / name, leads, tmp_path / "aside", 1000, 20) as goes_on:
        while goes_on():
            await user.records.download(sync_id, record, there)
    assert outside.is_untouched()


@pytest.fixture
def anybody():
    """The most generous umask there is."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    found = {}
    for path in folder.rglob("*"):
        kind = "folder" if path.is_dir() else "file"
        found.setdefault((kind, stat.S_IMODE(path.lstat().st_mode)), str(path))
    return found


async def test_modes(anybody, user, sync_id, tmp_path, folder, hello):
    """S2: under a umask of 0 contents, rows, state and lock are their owner's alone."""
    async with Inbox(tmp_path / "inbox.db"):
        inbox = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("inbox.db*")}
    await ingest(user, sync_id, tmp_path / "mirror").run()
    assert contents(tmp_path / "mirror") == source(folder)
    assert set(modes(tmp_path / "mirror")) == {("file", 0o600), ("folder", 0o700)}
    assert inbox == {0o600}
    assert not stat.S_IMODE((tmp_path / "mirror").stat().st_mode) & 0o022
    saved = await user.records.download(sync_id, hello[0], tmp_path)
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("umask", "file", "room"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_another_mode(tmp_path, umask, file, room):
    """S2: whoever wants another mode says so, and the umask is respected."""
    before = os.umask(umask)
    try:
        disk = SystemDisk(mode=0o666)
        disk.close(disk.create(tmp_path / "file"))
        disk.make_folder(tmp_path / "room")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == file
    assert stat.S_IMODE((tmp_path / "room").stat().st_mode) == room


@pytest.mark.proof
@pytest.mark.timeout(300)
async def test_race_of_a_mirror(emulator, user, sync_id, tmp_path, folder, outside):
    """S1: whole runs of an ingest, while folders of theirs are swapped 10,000 times, write nothing outside."""
    (folder / "reports" / "2025" / "large.bin").unlink()
    mirror = tmp_path / "mirror"
    await ingest(user, sync_id, mirror).run()
    one = next((mirror / "files").iterdir()).name
    with contextlib.ExitStack() as attacks:
        go_on = [
            attacks.enter_context(
                swapping(mirror / place, outside.folder, tmp_path / f"aside-{n}", 2_500, 5)
            )
            for n, place in enumerate(("files", "records", ".paragon/tmp", f"files/{one}"))
        ]
        turn = 0
        while sum(goes_on() for goes_on in go_on):
            turn += 1
            (folder / "hello.txt").write_text(f"hello {turn}")
            await emulator.refresh()
            with contextlib.suppress(ParagonError):
                await ingest(user, sync_id, mirror).run()
    assert outside.is_untouched()
