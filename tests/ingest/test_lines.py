from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from paragon_async import ConfigurationError
from paragon_async.download import Evidence
from paragon_async.errors import SinkError, StateError
from paragon_async.ingest.sinks.changelog import LinesSink
from paragon_async.ingest.sinks.lines import LineSegments
from paragon_async.ingest.sinks.protocol import Mark, Row
from tests.ingest.indexes import STEPS, BreakingDisk, MemoryIndex, World, play, row, rows

OWNER = "0123456789abcdef"
A, B, C = "r-000001.jsonl", "r-000002.jsonl", "r-000003.jsonl"


def make(folder, full=400):
    return lambda disk: LineSegments(Path(folder), "r", full=full, disk=disk)


def lines(folder, pattern="*.jsonl"):
    text = b"".join(path.read_bytes() for path in sorted(Path(folder).glob(pattern)))
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


def names(folder):
    return sorted(os.listdir(folder))


async def opened(folder, full=400, disk=None, marks=None):
    segments = LineSegments(folder, "r", full=full, disk=disk)
    await segments.open(marks or {})
    return segments


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_mirror_equals_truth_whatever_happens(steps):
    """Over any writes, deletes, tidies, full disks and crashes the rows that count are the truth.

    After a last tidy every line of the folder is, each record once.
    """

    async def go(folder):
        world = World(make(folder))

        def read(place, size):
            return map(json.loads, (folder / place).read_bytes()[:size].splitlines())

        async for _ in play(world, steps):
            assert world.living(read) == world.truth
        await world.open()
        await world.segments.tidy(world.index)
        found = lines(folder)
        assert sorted((r["id"], r["value"]) for r in found) == sorted(world.truth.items())
        assert {n: (folder / n).stat().st_size for n in names(folder)} == world.index.marks

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(go(Path(folder)))


async def test_rows_are_lines_in_their_order(tmp_path):
    """A write is its rows' lines, with path and hash where there is a content; the mark tells."""
    segments = await opened(tmp_path)
    with_file = Row.of({"id": "b", "é": None}, path="files/b/x", sha256="ab")
    mark = await segments.write([row("a"), with_file])
    body = (tmp_path / A).read_bytes()
    assert mark == Mark(A, len(body), 2) and body == row("a").line + b"\n" + with_file.line + b"\n"
    assert lines(tmp_path)[1] == {"id": "b", "é": None, "_file": "files/b/x", "_sha256": "ab"}


async def test_a_write_is_synced_and_a_new_file_in_its_folder(tmp_path):
    """Each write is synced before its mark; the folder too when the file is new; files are closed."""
    disk = BreakingDisk()
    segments = await opened(tmp_path / "a" / "b", disk=disk)
    assert disk.names_called().count("sync_folder") == 2
    disk.calls.clear()
    await segments.write([row("a")])
    assert disk.names_called() == ["create", "truncate", "write", "sync", "close", "sync_folder"]
    disk.calls.clear()
    await segments.write([row("a")])
    assert disk.names_called() == ["append", "truncate", "write", "sync", "close"]
    assert disk.open_files == 0


async def test_rotates_when_full(tmp_path):
    """The write that fills a place is whole in it; the next one begins the next number."""
    segments = await opened(tmp_path, full=100)
    marks = [await segments.write(rows([("a", 9), ("b", 9)])) for _ in range(4)]
    size = len(row("a", 9).line) + 1
    assert marks == [Mark(name, n * size, 2) for name in (A, B) for n in (2, 4)]
    assert 2 * size < 100 <= 4 * size and len(lines(tmp_path)) == 8


async def test_open_drops_what_no_commit_knows(tmp_path):
    """Bytes after a mark are cut off, unknown places and parts removed, other files left alone."""
    segments = await opened(tmp_path)
    mark = await segments.write([row("a")])
    await segments.write([row("b")])
    part = tmp_path / f".paragon-r-{'0' * 16}.part"
    other_part = tmp_path / f".paragon-{'0' * 16}.part"
    others = [tmp_path / name for name in ("rr-000001.jsonl", "r-x.jsonl", "r-000009.json")]
    for path in (tmp_path / B, part, other_part, *others):
        path.write_bytes(b"{}")
    again = await opened(tmp_path, marks={A: mark.size})
    assert (tmp_path / A).stat().st_size == mark.size
    assert names(tmp_path) == sorted([A, other_part.name, *(path.name for path in others)])
    assert await again.write([row("c")]) == Mark(A, 2 * mark.size, 1)


async def test_numbers_are_never_used_again(tmp_path):
    """A new place gets a number above all that were seen: dropped, missing or in use."""
    segments = await opened(tmp_path, full=1)
    for n in range(3):
        await segments.write([row("a", n)])
    again = await opened(tmp_path, full=1, marks={A: 10, "r-000007.jsonl": 5})
    assert names(tmp_path) == [A]
    assert (await again.write([row("b")])).place == "r-000008.jsonl"


@pytest.mark.parametrize("harm", ["short", "gone", "link", "folder"])
async def test_lacks_finds_damage_and_nothing_is_appended_to_it(tmp_path, harm):
    """A place that is short, gone or no regular file is left as it is, named, and never grows."""
    folder = tmp_path / "m"
    segments = await opened(folder)
    mark = await segments.write([row("a"), row("b")])
    assert await segments.lacks({A: mark.size}) == []
    (folder / A).unlink()
    (tmp_path / "away").write_bytes(b"x" * 500)
    if harm == "short":
        (folder / A).write_bytes(row("a").line)
    elif harm == "link":
        (folder / A).symlink_to(tmp_path / "away")
    elif harm == "folder":
        (folder / A).mkdir()
    again = await opened(folder, marks={A: mark.size})
    assert await again.lacks({A: mark.size}) == [A]
    assert (await again.write([row("c")])).place == B
    assert (tmp_path / "away").stat().st_size == 500
    if harm == "short":
        assert (folder / A).read_bytes() == row("a").line


@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
async def test_a_failed_write_leaves_it_usable(tmp_path, at, dead):
    """Whichever call fails, it is a `SinkError`, and the next write goes on from the last mark.

    So it is in a new place and in a grown one, also where a half line could not be cut off at once.
    """
    for full in (400, 1):
        folder = tmp_path / str(full)
        disk = BreakingDisk()
        segments = await opened(folder, full=full, disk=disk)
        first = await segments.write([row("a")])
        if full == 400 and at == 6:
            continue
        disk._at, disk._dead = len(disk.calls) + at, dead
        with pytest.raises(SinkError, match="No space left on device"):
            await segments.write([row("lost", 39)])
        disk._at = None
        assert dead or len(lines(folder)) == 1
        second = await segments.write([row("b")])
        index = MemoryIndex()
        index.commit(first, ["a"])
        index.commit(second, ["b"])
        await opened(folder, full=full, marks=index.marks)
        assert [record["id"] for record in lines(folder)] == ["a", "b"]


class Slow(BreakingDisk):
    """Tells the loop when a call of one kind is under way."""

    def __init__(self, kind, told):
        super().__init__()
        self._kind, self._told, self._loop = kind, told, asyncio.get_running_loop()

    def __getattr__(self, name):
        call = super().__getattr__(name)

        def slow(*args):
            done = call(*args)
            if name == self._kind:
                self._kind = None
                asyncio.run_coroutine_threadsafe(self._told(), self._loop).result()
            return done

        return slow


async def cancelled_at(kind, folder, work):
    """Run *work* on a disk and cancel it right after the first call of *kind*."""
    task = None

    async def told():
        task.cancel()

    disk = Slow(kind, told)
    task = asyncio.ensure_future(work(disk))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert disk.open_files == 0


async def test_a_cancelled_write_does_not_count(tmp_path):
    """Cancelled when the bytes are already there, a write leaves none of them."""
    segments = await opened(tmp_path)
    first = await segments.write([row("a")])

    async def work(disk):
        segments._disk = disk
        await segments.write([row("lost")])

    await cancelled_at("sync", tmp_path, work)
    assert [record["id"] for record in lines(tmp_path)] == ["a"]
    assert await segments.write([row("b")]) == Mark(A, 2 * first.size, 1)


async def filled(folder, full=400, disk=None, count=1200):
    world = World(make(folder, full))
    await world.open(disk)
    pairs = [(f"id-{n}", n) for n in range(count)]
    for start in range(0, count, 100):
        await world.write(pairs[start : start + 100])
    return world


async def test_tidy_leaves_each_record_once(tmp_path):
    """Old forms, deleted rows and repeats within one place are gone; the rest is byte for byte."""
    world = await filled(tmp_path, full=1 << 20)
    await world.write([("id-1", 5), ("id-1", 6), ("id-2", 7)])
    world.delete("id-3")
    await world.segments.tidy(world.index)
    assert {r["id"]: r["value"] for r in lines(tmp_path)} == world.truth
    assert len(lines(tmp_path)) == 1199 and names(tmp_path) == [B] and world.index.asked == 500
    expected = {each.line for each in rows(world.truth.items())}
    assert set((tmp_path / B).read_bytes().splitlines()) == expected


async def test_tidy_touches_nothing_that_is_in_order(tmp_path):
    """Without a stale row and with few places, tidying writes nothing."""
    disk = BreakingDisk()
    world = await filled(tmp_path, full=1 << 20, disk=disk)
    disk.calls.clear()
    await world.segments.tidy(world.index)
    assert disk.calls == []


async def test_tidy_removes_a_place_of_deleted_rows(tmp_path):
    """When no row is left there is no place either, and the next write begins a new number."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1)])
    world.delete("a")
    await world.segments.tidy(world.index)
    assert names(tmp_path) == [] and world.index.known == {}
    await world.write([("a", 2)])
    assert names(tmp_path) == [B]


async def test_goes_on_in_the_place_that_tidying_made(tmp_path):
    """A tidied place below full grows on, so a mirror that follows a feed does not crumble."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1)])
    await world.write([("a", 2)])
    await world.segments.tidy(world.index)
    await world.write([("b", 3)])
    assert names(tmp_path) == [B] and len(lines(tmp_path)) == 2


@pytest.mark.parametrize("harm", ["gone", "short", "torn", "no json", "fewer"])
async def test_tidy_refuses_a_damaged_place(tmp_path, harm):
    """A place that does not hold what the state says is an error; no file changes, none is lost."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("a", 2), ("b", 3)])
    body = (tmp_path / A).read_bytes()
    bad = {
        "short": body[:-10], "torn": body[:-1] + b" ", "no json": b"x" * (len(body) - 1) + b"\n",
        "fewer": body.replace(b'"b"', b'"c"'),
    }  # fmt: skip
    (tmp_path / A).unlink() if harm == "gone" else (tmp_path / A).write_bytes(bad[harm])
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(SinkError, match=rf"{A}.*; verify the mirror$"):
        await world.segments.tidy(world.index)
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
    assert list(world.index.known) == [A]


async def test_tidy_survives_a_failed_commit(tmp_path):
    """When the state refuses, both places stay for the next open to judge, and neither grows."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("a", 2)])
    world.index.error = StateError("full")
    with pytest.raises(StateError):
        await world.segments.tidy(world.index)
    assert names(tmp_path) == [A, B]
    await world.write([("b", 1)])
    assert (await world.segments.lacks(world.index.marks)) == [] and C in names(tmp_path)
    world.index.error = None
    await world.open()
    assert names(tmp_path) == [A, C]
    await world.segments.tidy(world.index)
    assert {r["id"]: r["value"] for r in lines(tmp_path)} == world.truth


@pytest.mark.parametrize("kind", ["create", "write", "sync", "replace", "unlink", "sync_folder"])
async def test_a_cancelled_tidy_is_done_or_not(tmp_path, kind):
    """Cancelled at any step, tidying has either left all as it was or finished a place."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("a", 2), ("b", 3)])

    async def work(disk):
        world.segments._disk = disk
        await world.segments.tidy(world.index)

    await cancelled_at(kind, tmp_path, work)
    assert names(tmp_path) == list(world.index.known) == ([B] if kind == "unlink" else [A])
    world.segments._disk = BreakingDisk()
    await world.write([("c", 4)])
    await world.segments.tidy(world.index)
    assert {r["id"]: r["value"] for r in lines(tmp_path)} == world.truth
    assert len(lines(tmp_path)) == 3


async def test_duckdb_reads_the_folder(tmp_path):
    """DuckDB reads all places with one glob and sees each record once."""
    duckdb = pytest.importorskip("duckdb")
    world = await filled(tmp_path, full=9000)
    await world.write([("id-1", 77)])
    await world.segments.tidy(world.index)
    assert len(names(tmp_path)) > 2
    found = duckdb.read_json(f"{tmp_path}/*.jsonl")
    counted = found.aggregate("count(*), count(distinct id), sum(value)").fetchall()
    assert counted == [(1200, 1200, sum(world.truth.values()))]


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    """A destination that cannot be a folder is a `SinkError` that names it."""
    (tmp_path / "f").write_bytes(b"")
    for folder in (tmp_path / "f", tmp_path / "f" / "g"):
        with pytest.raises(SinkError, match="f"):
            await opened(folder)
        with pytest.raises(SinkError, match="f"):
            await LinesSink(folder).open(1, {})


async def test_the_log_keeps_every_change(tmp_path):
    """Each change is a line, a delete too; later lines win; tidying changes nothing."""
    sink = LinesSink(tmp_path)
    await sink.open(2, {})
    index = MemoryIndex()
    index.commit(await sink.write([row("a", 1), row("b", 1)], []), ["a", "b"])
    mark = await sink.write([row("a", 2)], [{"id": "b", "deleted": False, "x": 1}])
    index.commit(mark, ["a"])
    index.delete("b")
    await sink.tidy(index)
    assert names(tmp_path) == ["records-002-000001.jsonl"] and mark.rows == 2
    assert [(r["id"], r.get("deleted")) for r in lines(tmp_path)] == [
        ("a", None), ("b", None), ("a", None), ("b", True),
    ]  # fmt: skip
    assert await sink.write([], []) is None
    assert await sink.lacks(index.marks | {"records-002-000009.jsonl": 1}) == [
        "records-002-000009.jsonl"
    ]
    await sink.write([row("lost")], [])
    await sink.aclose()
    await LinesSink(tmp_path).open(2, index.marks)
    assert len(lines(tmp_path)) == 4


async def test_a_log_that_is_there_is_refused(tmp_path):
    """With a new state over an old log, the folder is refused; other files in it do not count."""
    sink = LinesSink(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    await sink.claim(OWNER, is_new=True)
    await sink.open(1, {})
    await sink.write([row("a", 1)], [])
    await sink.claim(OWNER, is_new=False)
    for owner in (OWNER, "another-state"):
        with pytest.raises(SinkError, match="choose an empty destination, or the state folder"):
            await LinesSink(tmp_path).claim(owner, is_new=True)
    assert (tmp_path / ".paragon-owner").read_text() == f"{OWNER}\n" and len(lines(tmp_path)) == 1


def test_one_folder_has_one_identity(tmp_path):
    """However a folder is written, it is the same destination."""
    assert LinesSink(tmp_path / "a" / ".." / "b").identity == f"lines:{tmp_path}/b"
    assert LinesSink(f"{tmp_path}//b/").identity == LinesSink(tmp_path / "b").identity


async def test_rows_of_the_other_format_are_told(tmp_path):
    """A mirror that began as Parquet is refused as JSON lines."""
    with pytest.raises(SinkError, match="the rows of this mirror are Parquet"):
        await opened(tmp_path, marks={"r-000001.parquet": 2})


@pytest.mark.parametrize("harm", ["value", "id", "no json", "torn", "short", "gone", "swapped"])
async def test_a_row_that_is_not_what_was_written_differs(tmp_path, harm):
    """Any change to a current row is found, also one of the same length; so is a row that is gone."""
    world = World(make(tmp_path, full=1))
    await world.open()
    for pairs in ([("a", 1), ("b", 2)], [("c", 3)]):
        await world.write(pairs)
    assert await world.segments.differs(world.index) == []
    body = (tmp_path / A).read_bytes()
    first = body.splitlines(keepends=True)[0]
    bad = {
        "value": body.replace(b"1", b"7"), "id": body.replace(b'"b"', b'"z"'), "no json": b"x" + body[1:],
        "torn": body[:-1] + b" ", "short": body[:-1], "swapped": first + first[:-1] + b" " * 9 + b"\n",
    }  # fmt: skip
    (tmp_path / A).unlink() if harm == "gone" else (tmp_path / A).write_bytes(bad[harm])
    assert await world.segments.differs(world.index) == [A] and world.index.asked <= 500


async def test_what_counts_no_more_may_be_anything(tmp_path):
    """A superseded row, an owed one, and what lies behind the mark are not held against anything."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("b", 2), ("a", 3)])
    world.index.lines.pop("b")
    body = (tmp_path / A).read_bytes()
    (tmp_path / A).write_bytes(
        body.replace(b'"value":1', b'"value":8').replace(b'"value":2', b'"value":9') + b"{half"
    )
    assert await world.segments.differs(world.index) == []


async def test_a_log_with_deletes_is_in_order(tmp_path):
    """The line of a delete counts as one that is there; when a row goes missing it differs."""
    sink = LinesSink(tmp_path)
    await sink.open(1, {})
    index = MemoryIndex()
    batch = [row("a", 1), row("b", 1), row("c", 1)]
    index.commit(await sink.write(batch, []), [r.id for r in batch], [r.line for r in batch])
    index.commit(await sink.write([], [{"id": "b"}]), [])
    index.delete("b")
    assert await sink.differs(index) == []
    path = tmp_path / "records-001-000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"z"'))
    assert await sink.differs(index) == [path.name]


async def test_the_log_takes_no_contents(tmp_path):
    """What has to do with contents is refused, or has nothing to do."""
    sink = LinesSink(tmp_path)
    with pytest.raises(SinkError, match="not open"):
        await sink.lacks({})
    await sink.open(1, {})
    for refused in (sink.put(tmp_path / "x", "a", "x"), sink.move("x", "a", "y")):
        with pytest.raises(ConfigurationError, match="lines"):
            await refused
    assert await sink.adopt("a", "x", Evidence(size=1)) is None and not await sink.holds(
        "x", 1, None
    )
    await sink.settle()
    await sink.remove("a")
    assert names(tmp_path) == [] and not sink.contents and not sink.settles and sink.batch_rows == 1
