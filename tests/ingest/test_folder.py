from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from paragon_async.download import Evidence
from paragon_async.errors import ConfigurationError, DestinationError, SinkError
from paragon_async.ingest import FolderSink
from paragon_async.ingest.sinks.folder import _component
from paragon_async.ingest.sinks.protocol import Row
from paragon_async.names import collision_key, safe_name
from tests.ingest.fakes import ScriptedDisk, contents, ingest, rows, source
from tests.ingest.indexes import MemoryIndex

OWNER = "0123456789abcdef"
SHARED = Path("/dev/shm")  # noqa: S108  # a second file system, where there is one
NO_OTHER = not SHARED.is_dir() or SHARED.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev
ODD = [
    "a/b", "../../etc", "..", ".", "", " ", "x" * 400, "UPPER", "upper", "a b", "ünï", "a\x00b", "a\nb",
    "-", "1", "a:b", "a\\b", ".paragon-x", "trailing.", "trailing", "nul", "con", "com1", "\ud800",
]  # fmt: skip


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
async def sink(mirror):
    made = FolderSink(mirror)
    await made.open(1, {})
    return made


@pytest.fixture
def brought(tmp_path):
    """Make a downloaded file with the given bytes."""

    def make(data=b"new"):
        path = tmp_path / f"spool-{len(os.listdir(tmp_path))}"
        path.write_bytes(data)
        return path

    return make


@pytest.fixture
def victim(tmp_path):
    """A folder outside the mirror that nothing may touch."""
    made = tmp_path / "victim"
    made.mkdir()
    (made / "a.txt").write_bytes(b"precious")
    (made / "other").write_bytes(b"precious too")
    yield made
    assert {p.name: p.read_bytes() for p in made.iterdir()} == {
        "a.txt": b"precious", "other": b"precious too",
    }  # fmt: skip


def evidence(data):
    return Evidence(size=len(data), algorithm="md5", digest=hashlib.md5(data).hexdigest())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


async def test_put_takes_the_file(sink, mirror, brought):
    """A content lies under its record's id and its name, and the downloaded file is moved there."""
    source = brought()
    assert await sink.put(source, "r1", "a.txt") == "files/r1/a.txt"
    assert (mirror / "files" / "r1" / "a.txt").read_bytes() == b"new"
    assert not source.exists()


async def test_put_replaces(sink, mirror, brought):
    """A content of the same name is replaced; one of another name stays until it is removed."""
    for data, name in ((b"1", "a"), (b"2", "a"), (b"3", "b")):
        await sink.put(brought(data), "r1", name)
    home = mirror / "files" / "r1"
    assert {p.name: p.read_bytes() for p in home.iterdir()} == {"a": b"2", "b": b"3"}
    await sink.remove("r1", "files/r1/b")
    assert os.listdir(home) == ["b"]
    await sink.remove("r1")
    assert not home.exists()
    await sink.remove("r1")


async def test_move(sink, mirror, brought):
    """A content gets its new name; moving it again tells where it is; one that is gone is None."""
    old = await sink.put(brought(), "r1", "a")
    for _ in range(2):
        assert await sink.move(old, "r1", "b") == "files/r1/b"
    assert os.listdir(mirror / "files" / "r1") == ["b"]
    assert await sink.move("files/r1/b", "r1", "b") == "files/r1/b"
    assert await sink.move("files/r2/b", "r2", "c") is None


async def test_adopt(sink, brought):
    """A content that lies in its place is taken up if size and digest agree, else not."""
    await sink.put(brought(b"data"), "r1", "a")
    found = await sink.adopt("r1", "a", evidence(b"data"))
    assert (found.location, found.sha256) == ("files/r1/a", sha256(b"data"))
    assert await sink.adopt("r1", "a", evidence(b"date")) is None
    assert await sink.adopt("r1", "a", evidence(b"more data")) is None
    assert await sink.adopt("r1", "b", evidence(b"data")) is None
    assert await sink.adopt("r2", "a", evidence(b"data")) is None


async def test_holds(sink, mirror, brought):
    """A content is held while its size and, where asked, its hash are the receipt's."""
    path = await sink.put(brought(b"data"), "r1", "a")
    assert await sink.holds(path, 4, sha256(b"data")) and await sink.holds(path, 4, None)
    assert not await sink.holds(path, 5, None)
    (mirror / path).write_bytes(b"date")
    assert await sink.holds(path, 4, None) and not await sink.holds(path, 4, sha256(b"data"))
    (mirror / path).unlink()
    assert not await sink.holds(path, 4, None)
    (mirror / path).mkdir()
    assert not await sink.holds(path, 4096, None)
    assert not await sink.holds("files/r1/a/b", 0, None)


@pytest.mark.parametrize("record_id", ODD)
async def test_odd_ids_stay_inside(sink, mirror, brought, record_id):
    """Whatever a record is called by, its content lies in one folder of its own below `files`."""
    path = await sink.put(brought(), record_id, "a.txt")
    top, home, name = path.split("/")
    assert (top, name) == ("files", "a.txt") and home not in {".", ".."}
    assert os.listdir(mirror / "files") == [home] and os.listdir(mirror / "files" / home) == [name]
    assert await sink.holds(path, 3, sha256(b"new"))
    await sink.remove(record_id)
    assert os.listdir(mirror / "files") == []


@pytest.mark.parametrize("record_id", ODD)
def test_folders_are_harmless_everywhere(record_id):
    """The name of a record's folder is one that no operating system takes for something else."""
    assert safe_name(_component(record_id)) == _component(record_id)


def test_no_two_ids_share_a_folder():
    """Ids that differ have folders that differ, also where case does not count."""
    assert len({collision_key(_component(each)) for each in ODD}) == len(ODD)


@pytest.mark.parametrize("place", ["files", "records"])
async def test_a_foreign_folder_is_left_alone(mirror, place, user, sync_id):
    """A folder with files that no state knows of is refused, and they are neither touched nor joined."""
    (mirror / place).mkdir(parents=True)
    (mirror / place / "mine.txt").write_bytes(b"mine")
    with pytest.raises(SinkError, match="choose an empty destination"):
        await FolderSink(mirror).claim(OWNER, is_new=True)
    for kind in ("run", "reconcile", "run"):
        with pytest.raises(SinkError, match="choose an empty destination"):
            await getattr(ingest(user, sync_id, mirror), kind)()
        assert [p.relative_to(mirror).as_posix() for p in sorted(mirror.glob("[!.]*/**"))] == [
            place
        ]
        assert os.listdir(mirror / place) == ["mine.txt"]
        assert (mirror / place / "mine.txt").read_bytes() == b"mine"


async def test_a_mirror_whose_state_is_lost_is_left_alone(mirror, user, sync_id, folder):
    """A mirror without its state is refused rather than taken for leftovers."""
    await ingest(user, sync_id, mirror).run()
    shutil.rmtree(mirror / ".paragon")
    with pytest.raises(SinkError, match="choose an empty destination"):
        await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder) and len(rows(mirror)) == 7


async def test_a_claim_lasts(mirror):
    """A missing folder is made and has its owner; claiming again changes nothing."""
    for is_new in (True, True, False):
        await FolderSink(mirror).claim(OWNER, is_new=is_new)
        assert (mirror / "records" / ".paragon-owner").read_text() == f"{OWNER}\n"
        assert sorted(os.listdir(mirror)) == ["files", "records"]
    sink = FolderSink(mirror)
    await sink.open(1, {})
    await sink.write([Row.of({"id": "a"})], [])
    await sink.claim(OWNER, is_new=False)
    with pytest.raises(SinkError, match="is not empty"):
        await sink.claim(OWNER, is_new=True)
    (mirror / "records" / ".paragon-owner").unlink()
    with pytest.raises(SinkError, match="the state folder that belongs to it"):
        await sink.claim("another-state", is_new=True)
    assert not (mirror / "records" / ".paragon-owner").exists()
    await sink.claim(OWNER, is_new=False)
    assert (mirror / "records" / ".paragon-owner").read_text() == f"{OWNER}\n"


@pytest.mark.parametrize("is_new", [True, False])
async def test_another_states_mirror_is_refused(mirror, is_new):
    """A folder that another state claimed is refused, and stays that one's."""
    await FolderSink(mirror).claim(OWNER, is_new=True)
    with pytest.raises(SinkError, match="mirror' belongs to another state"):
        await FolderSink(mirror).claim("another-state", is_new=is_new)
    assert (mirror / "records" / ".paragon-owner").read_text() == f"{OWNER}\n"


async def test_of_many_states_one_wins(tmp_path):
    """Of states that claim a folder in the same instant exactly one has it, and it is named there."""
    for number in range(30):
        folder = tmp_path / str(number)
        names = [f"state-{n:06d}" for n in range(6)]
        claims = [FolderSink(folder).claim(name, is_new=True) for name in names]
        errors = await asyncio.gather(*claims, return_exceptions=True)
        (winner,) = [name for name, error in zip(names, errors, strict=True) if error is None]
        assert (folder / "records" / ".paragon-owner").read_text() == f"{winner}\n"
        assert all(isinstance(error, SinkError) for error in errors if error)


@pytest.mark.parametrize("left", ["", "012", "0123456789"])
async def test_a_claim_that_was_cut_off_names_nobody(mirror, left):
    """What a process killed within a claim left is taken over, unless something else lies there."""
    await FolderSink(mirror).claim(OWNER, is_new=True)
    (mirror / "records" / ".paragon-owner").write_text(left)
    await FolderSink(mirror).claim("another-state", is_new=True)
    (mirror / "records" / ".paragon-owner").write_text(left)
    (mirror / "files" / "a").mkdir()
    with pytest.raises(SinkError, match="is not empty"):
        await FolderSink(mirror).claim(OWNER, is_new=True)


@pytest.mark.parametrize("kind", ["link", "folder"])
async def test_what_is_no_owners_file_is_refused(mirror, tmp_path, kind):
    """A link or a folder in place of the owner's file is an error, and is not written through."""
    (mirror / "records").mkdir(parents=True)
    away = tmp_path / "away"
    away.write_bytes(b"")
    place = mirror / "records" / ".paragon-owner"
    place.symlink_to(away) if kind == "link" else place.mkdir()
    with pytest.raises(SinkError, match="paragon-owner"):
        await FolderSink(mirror).claim(OWNER, is_new=True)
    assert away.read_bytes() == b""


@pytest.mark.parametrize("method", ["make_folder", "append", "truncate", "write", "sync", "close", "sync_folder"])  # fmt: skip
async def test_a_disk_that_refuses_a_claim(mirror, method):
    """Whichever call of a claim fails it is a `SinkError`, and the next claim has it."""
    disk = ScriptedDisk(lambda name, _: name == method)
    with pytest.raises(SinkError, match="No space left"):
        await FolderSink(mirror, disk=disk).claim(OWNER, is_new=True)
    disk.refuses = lambda *_: False
    await FolderSink(mirror, disk=disk).claim(OWNER, is_new=True)
    with pytest.raises(SinkError, match="another state"):
        await FolderSink(mirror).claim("another-state", is_new=True)


def test_one_folder_has_one_identity(tmp_path):
    """However a folder is written, it is the same destination."""
    assert FolderSink(tmp_path / "a" / ".." / "b").identity == f"folder:{tmp_path}/b"


@pytest.mark.parametrize("wrong", [{"durability": "none"}, {"records": "csv"}, {"records": None}])
def test_choices_that_are_none_are_told(mirror, wrong):
    """Another durability or format is refused at once, and the message has those that there are."""
    choices = "'file' or 'batch'" if "durability" in wrong else "'jsonl' or 'parquet'"
    with pytest.raises(ConfigurationError, match=choices):
        FolderSink(mirror, **wrong)


async def test_the_format_of_the_rows_stays(mirror):
    """A mirror of JSON lines is not opened as Parquet; its rows stay."""
    pytest.importorskip("pyarrow")
    sink = FolderSink(mirror)
    await sink.open(1, {})
    mark = await sink.write([Row.of({"id": "a"})], [])
    with pytest.raises(SinkError, match="the rows of this mirror are JSON lines"):
        await FolderSink(mirror, records="parquet").open(1, {mark.place: mark.size})
    assert (mirror / "records" / mark.place).stat().st_size == mark.size


async def test_rows_that_were_altered_differ(sink, mirror):
    """Rows are held against the state's digests."""
    index = MemoryIndex()
    row = Row.of({"id": "a", "value": 1})
    mark = await sink.write([row], [])
    index.commit(mark, ["a"], [row.line])
    assert await sink.differs(index) == []
    (mirror / "records" / mark.place).write_bytes(row.line.replace(b"1", b"2") + b"\n")
    assert await sink.differs(index) == [mark.place]


async def test_what_else_lies_in_the_folder_stays(mirror, brought):
    """Files beside the mirror's own folders are nobody's business."""
    mirror.mkdir()
    (mirror / "notes.txt").write_bytes(b"mine")
    for _ in range(2):
        sink = FolderSink(mirror)
        await sink.open(1, {})
    await sink.put(brought(), "r1", "a")
    await sink.remove("r1")
    assert (mirror / "notes.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("place", ["files", "records"])
async def test_a_link_in_place_of_a_folder(mirror, victim, place):
    """A link in place of one of the mirror's folders is refused; where it leads nothing is touched."""
    mirror.mkdir()
    (mirror / place).symlink_to(victim)
    with pytest.raises((SinkError, DestinationError)):
        await FolderSink(mirror).open(1, {})


@pytest.mark.parametrize("place", ["files", "records"])
async def test_a_link_in_place_of_a_folder_later(sink, mirror, victim, place):
    """A link put in place of a folder of a mirror is refused when it is opened the next time."""
    (mirror / place).rmdir()
    (mirror / place).symlink_to(victim)
    with pytest.raises((SinkError, DestinationError)):
        await FolderSink(mirror).open(1, {})


@pytest.fixture
def planted(sink, mirror, victim):
    """A link to the victim in place of the folder of record r1."""
    (mirror / "files" / "r1").symlink_to(victim)
    return "files/r1/a.txt"


async def test_put_refuses_a_link(sink, planted, brought):
    """Nothing is put through a link in place of a record's folder."""
    with pytest.raises(DestinationError):
        await sink.put(brought(), "r1", "a.txt")


@pytest.mark.parametrize("keep", [None, "files/r1/a.txt"])
async def test_remove_does_not_follow_a_link(sink, planted, mirror, keep):
    """A link in place of a record's folder stays, and so does what lies where it leads."""
    await sink.remove("r1", keep)
    assert (mirror / "files" / "r1").is_symlink()


async def test_remove_leaves_foreign_folders(sink, mirror, brought, victim):
    """Contents go, and links beside them; a folder that somebody put there stays with its files."""
    kept = await sink.put(brought(), "r1", "a")
    home = mirror / "files" / "r1"
    await sink.put(brought(), "r1", "b")
    (home / "link").symlink_to(victim)
    (home / "mine").mkdir()
    (home / "mine" / "notes").write_bytes(b"mine")
    await sink.remove("r1", kept)
    assert sorted(os.listdir(home)) == ["a", "mine"]
    for _ in range(2):
        await sink.remove("r1")
        assert os.listdir(home) == ["mine"] and os.listdir(home / "mine") == ["notes"]


async def test_an_error_names_the_file(sink, planted, mirror, brought):
    """What the disk refuses is told with the whole path that it is about."""
    with pytest.raises(DestinationError, match=re.escape(str(mirror / "files" / "r1"))) as caught:
        await sink.put(brought(), "r1", "a.txt")
    assert caught.value.errno == errno.ENOTDIR
    with pytest.raises(DestinationError, match=re.escape(str(mirror / "files" / "r1"))) as caught:
        await sink.move("files/r1/a.txt", "r1", "b.txt")
    assert caught.value.errno == errno.ENOTDIR
    with pytest.raises(DestinationError, match=re.escape(str(mirror / "gone"))):
        await sink.put(mirror / "gone", "r2", "a.txt")


def across(*sources):
    """A disk on which the *sources* lie on another file system."""

    class Across(ScriptedDisk):
        def replace(self, path, target):
            if path in sources:
                self.calls.append(("replace", target))
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(path), None, str(target))
            super().replace(path, target)

    return Across()


@pytest.mark.parametrize("durability", ["file", "batch"])
async def test_a_content_from_another_file_system_is_copied(mirror, brought, durability):
    """It is copied beside, synced where each file is, and renamed; nothing is left on its way."""
    data = os.urandom(3 << 20)
    source = brought(data)
    disk = across(source)
    sink = await made_with(mirror, disk, durability)
    disk.calls.clear()
    path = await sink.put(source, "r1", "a")
    assert await sink.holds(path, len(data), sha256(data))
    assert os.listdir(mirror / ".paragon-spool") == []
    methods = [method for method, _ in disk.calls]
    copied = methods[methods.index("create") :]
    synced = ["sync"] if durability == "file" else []
    assert [m for m in copied if m != "write"][: 3 + len(synced)] == [
        "create", *synced, "close", "replace",
    ]  # fmt: skip
    assert ("sync_folder", "r1") in disk.named("sync_folder") or durability == "batch"


@pytest.mark.parametrize("method", ["make_folder", "create", "write", "sync", "close", "replace"])
async def test_a_disk_that_refuses_a_copy(mirror, brought, method):
    """Whichever call of a copy fails, the old content is whole, and nothing is left on its way."""
    await (await made_with(mirror, ScriptedDisk())).put(brought(b"old"), "r1", "a")
    source = brought()
    disk = across(source)
    sink = await made_with(mirror, disk)
    spool = mirror / ".paragon-spool"
    disk.refuses = lambda name, path: (
        name == method and (spool in {path, path.parent} or name == "replace")
    )
    with pytest.raises(DestinationError) as caught:
        await sink.put(source, "r1", "a")
    assert caught.value.errno == disk.number
    assert (mirror / "files" / "r1" / "a").read_bytes() == b"old"
    assert not spool.exists() or os.listdir(spool) == []


async def test_what_a_killed_copy_left_is_swept(mirror):
    """Opening a feed removes its own half copies, not those of another feed that may be at work."""
    (mirror / ".paragon-spool").mkdir(parents=True)
    for name in ("001-aa.part", "002-bb.part"):
        (mirror / ".paragon-spool" / name).write_bytes(b"half")
    await FolderSink(mirror).open(1, {})
    assert os.listdir(mirror / ".paragon-spool") == ["002-bb.part"]


async def test_a_link_in_place_of_the_spool(mirror, victim, brought):
    """Nothing is swept or copied through a link."""
    mirror.mkdir()
    (mirror / ".paragon-spool").symlink_to(victim)
    (victim / "001-aa.part").write_bytes(b"x")
    source = brought()
    sink = await made_with(mirror, across(source))
    with pytest.raises(DestinationError):
        await sink.put(source, "r1", "a")
    (victim / "001-aa.part").unlink()


@pytest.mark.skipif(NO_OTHER, reason="there is no second file system here")
async def test_a_second_file_system(mirror):
    """A content in shared memory comes whole into a mirror on the disk."""
    with tempfile.TemporaryDirectory(dir=SHARED) as folder:
        source = Path(folder) / "content"
        source.write_bytes(b"from afar")
        sink = FolderSink(mirror)
        await sink.open(1, {})
        path = await sink.put(source, "r1", "a")
    assert await sink.holds(path, 9, sha256(b"from afar"))


async def test_move_does_not_follow_a_link(sink, planted):
    """Renaming a content whose folder became a link renames nothing where the link leads."""
    try:
        assert await sink.move(planted, "r1", "b.txt") is None
    except DestinationError as error:
        assert error.errno


async def test_what_lies_behind_a_link_is_not_held(sink, planted, victim):
    """A file that is reached through a link is neither held nor taken up as a content."""
    data = (victim / "a.txt").read_bytes()
    assert not await sink.holds(planted, len(data), sha256(data))
    assert await sink.adopt("r1", "a.txt", evidence(data)) is None


async def test_a_link_at_the_name_is_replaced(sink, mirror, victim, brought):
    """A link under a content's own name is replaced by the content; its target stays as it is."""
    home = mirror / "files" / "r1"
    home.mkdir()
    (home / "a.txt").symlink_to(victim / "a.txt")
    assert not await sink.holds("files/r1/a.txt", 8, None)
    assert await sink.adopt("r1", "a.txt", evidence(b"precious")) is None
    assert await sink.move("files/r1/a.txt", "r1", "b.txt") is None
    await sink.put(brought(), "r1", "a.txt")
    assert not (home / "a.txt").is_symlink() and (home / "a.txt").read_bytes() == b"new"
    (home / "b.txt").symlink_to(victim / "a.txt")
    await sink.remove("r1")
    assert not home.exists()


async def made_with(mirror, disk, durability="file"):
    sink = FolderSink(mirror, durability=durability, disk=disk)
    await sink.open(1, {})
    disk.calls.clear()
    return sink


ORDER = ("sync", "replace", "sync_folder", "sync_all")


async def test_each_file_is_flushed(mirror, brought):
    """With `file`, bytes are flushed before the name is given, and both folders after it."""
    disk = ScriptedDisk()
    sink = await made_with(mirror, disk)
    source = brought()
    await sink.put(source, "r1", "a")
    assert disk.named(*ORDER) == [
        ("sync", source.name), ("replace", "a"), ("sync_folder", "r1"), ("sync_folder", "files"),
    ]  # fmt: skip
    disk.calls.clear()
    await sink.move("files/r1/a", "r1", "b")
    assert disk.named(*ORDER) == [("replace", "b"), ("sync_folder", "r1")]
    disk.calls.clear()
    await sink.adopt("r1", "b", evidence(b"new"))
    assert disk.named(*ORDER) == [("sync", "b"), ("sync_folder", "r1"), ("sync_folder", "files")]


async def test_a_folder_that_was_made_in_vain_is_flushed_later(mirror, brought):
    """When the first `put` failed behind making its folder, the second still makes its name last."""
    disk = ScriptedDisk(lambda method, _: method == "replace")
    sink = await made_with(mirror, disk)
    with pytest.raises(DestinationError):
        await sink.put(brought(), "r1", "a")
    disk.refuses = lambda *_: False
    await sink.put(brought(), "r1", "a")
    assert ("sync_folder", "files") in disk.named("sync_folder")


async def test_folders_that_a_killed_run_made_are_flushed(mirror):
    """Folders that are there already can be too new to last: every opening flushes their names."""
    for name in ("files", "records"):
        (mirror / name).mkdir(parents=True)
    disk = ScriptedDisk()
    await FolderSink(mirror, disk=disk).open(1, {})
    assert disk.named("sync_folder")[:2] == [("sync_folder", mirror.name), ("sync_folder", "files")]


async def test_a_page_is_flushed_at_once(mirror, brought):
    """With `batch`, nothing is flushed by itself, and all of it once by `settle`; then nothing more."""
    disk = ScriptedDisk()
    sink = await made_with(mirror, disk, "batch")
    for number in range(5):
        await sink.put(brought(), f"r{number}", "a")
    await sink.move("files/r0/a", "r0", "b")
    assert disk.named(*ORDER) == [("replace", "a")] * 5 + [("replace", "b")]
    disk.calls.clear()
    await sink.settle()
    await sink.settle()
    assert disk.named(*ORDER) == [("sync_all", mirror.name)]
    disk.calls.clear()
    await sink.remove("r0")
    await sink.settle()
    await sink.settle()
    assert disk.named(*ORDER) == [("sync_all", mirror.name)]


async def test_a_refused_flush_is_tried_again(mirror, brought):
    """A `settle` that the disk refused has settled nothing: the next one flushes."""
    disk = ScriptedDisk(lambda method, _: method == "sync_all")
    sink = await made_with(mirror, disk, "batch")
    await sink.put(brought(), "r1", "a")
    with pytest.raises(DestinationError):
        await sink.settle()
    disk.refuses = lambda *_: False
    disk.calls.clear()
    await sink.settle()
    assert disk.named("sync_all") == [("sync_all", mirror.name)]


@pytest.mark.parametrize("method", ["make_folder", "append", "sync", "close", "replace", "sync_folder"])  # fmt: skip
async def test_a_disk_that_refuses_a_put(mirror, brought, method):
    """Whichever call of a `put` fails, the old content or the new one is there, whole; it is repeated."""
    await (await made_with(mirror, ScriptedDisk())).put(brought(b"old"), "r1", "a")
    disk = ScriptedDisk()
    sink = await made_with(mirror, disk)
    disk.refuses = lambda name, _: name == method
    with pytest.raises(DestinationError) as caught:
        await sink.put(brought(), "r1", "a")
    assert caught.value.errno == disk.number
    assert (mirror / "files" / "r1" / "a").read_bytes() in {b"old", b"new"}
    disk.refuses = lambda *_: False
    await sink.put(brought(), "r1", "a")
    assert (mirror / "files" / "r1" / "a").read_bytes() == b"new"


async def test_rows_are_written_and_found(sink, mirror):
    """Rows lie in one file whose mark says how far it counts; what lies behind it is dropped."""
    mark = await sink.write([Row.of({"id": "r1"}, "files/r1/a", "00")], ())
    assert await sink.write((), [{"id": "r2", "deleted": True}]) is None
    place = mirror / "records" / mark.place
    good = place.read_bytes()
    assert good == b'{"id":"r1","_file":"files/r1/a","_sha256":"00"}\n'
    place.write_bytes(good + b'{"id":"r2"')
    assert await sink.lacks({mark.place: mark.size, "001-000009.jsonl": 5}) == ["001-000009.jsonl"]
    await sink.aclose()
    await sink.open(1, {mark.place: mark.size})
    assert place.read_bytes() == good
