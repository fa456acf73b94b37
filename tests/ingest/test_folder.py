from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from paragon_async.download import Evidence
from paragon_async.errors import DestinationError, SinkError
from paragon_async.ingest import FolderSink
from paragon_async.ingest.sinks.folder import _component
from paragon_async.ingest.sinks.protocol import Row
from paragon_async.names import collision_key, safe_name
from tests.ingest.fakes import ScriptedDisk, contents, ingest, rows, source

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
    assert not await FolderSink(mirror).is_empty()
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


async def test_empty(mirror):
    """A folder is empty where it is missing, and where nothing lies in its two folders."""
    sink = FolderSink(mirror)
    assert await sink.is_empty()
    await sink.open(1, {})
    assert await sink.is_empty()


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


async def test_remove_does_not_follow_a_link(sink, planted, mirror):
    """Removing a record whose folder became a link removes nothing where the link leads."""
    try:
        await sink.remove("r1")
    except DestinationError:
        assert (mirror / "files" / "r1").is_symlink()


async def test_remove_but_one_does_not_follow_a_link(sink, planted):
    """Tidying a record whose folder became a link removes nothing where the link leads."""
    try:
        await sink.remove("r1", planted)
    except DestinationError as error:
        assert error.errno


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
    mark = await sink.write([Row("r1", {"id": "r1"}, "files/r1/a", "00")], ())
    assert await sink.write((), [{"id": "r2", "deleted": True}]) is None
    place = mirror / "records" / mark.place
    good = place.read_bytes()
    assert good == b'{"id":"r1","_file":"files/r1/a","_sha256":"00"}\n'
    place.write_bytes(good + b'{"id":"r2"')
    assert await sink.lacks({mark.place: mark.size, "001-000009.jsonl": 5}) == ["001-000009.jsonl"]
    await sink.aclose()
    await sink.open(1, {mark.place: mark.size})
    assert place.read_bytes() == good
