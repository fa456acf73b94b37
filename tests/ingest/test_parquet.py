from __future__ import annotations

import asyncio
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from paragon_async import ConfigurationError
from paragon_async.errors import SinkError
from paragon_async.ingest.sinks.changelog import LinesSink
from paragon_async.ingest.sinks.files import Beside
from paragon_async.ingest.sinks.lines import LineSegments
from paragon_async.ingest.sinks.parquet import ParquetSegments, ParquetSink
from paragon_async.ingest.sinks.protocol import Row
from tests.ingest.indexes import STEPS, BreakingDisk, MemoryIndex, World, play, row, rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

A, B = "r-000001.parquet", "r-000002.parquet"
T = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


def make(folder, full=64 << 20, **more):
    return lambda disk: ParquetSegments(Path(folder), "r", full=full, disk=disk, **more)


def read(path):
    with pq.ParquetFile(path) as file:
        return [json.loads(text) for text in file.read().column("record").to_pylist()]


def every(folder):
    return [record for path in sorted(Path(folder).glob("*.parquet")) for record in read(path)]


def names(folder):
    return sorted(os.listdir(folder))


async def only(tmp_path, data, **more):
    segments = make(tmp_path)(None)
    await segments.open({})
    mark = await segments.write([Row.of(data, **more)])
    return pq.read_table(tmp_path / mark.place).to_pylist()[0]


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_mirror_equals_truth_whatever_happens(steps):
    """Over any writes, deletes, tidies, full disks and crashes the rows that count are the truth.

    After a last tidy every row of the folder is, each record once.
    """

    async def go(folder):
        world = World(make(folder))
        async for _ in play(world, steps):
            assert world.living(lambda place, _: read(folder / place)) == world.truth
        await world.open()
        await world.segments.tidy(world.index)
        found = every(folder)
        assert sorted((r["id"], r["value"]) for r in found) == sorted(world.truth.items())
        assert {n: (folder / n).stat().st_size for n in names(folder)} == world.index.marks
        assert await world.segments.lacks(world.index.marks) == []

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(go(Path(folder)))


@pytest.mark.parametrize("style", ["camel", "snake", "alias"])
async def test_promoted_columns(tmp_path, style):
    """Common fields become columns, under each spelling seen; the record is whole as JSON beside."""
    data = {
        "id": "a", "externalId": "e", "name": "n", "mimeType": "m", "size": 5, "url": "u", "parentFolderId": "p",
        "createdAt": "2024-05-06T09:08:09+02:00", "updatedAt": 1714979289, "syncedAt": 1714979289000, "more": {"é": [1]},
    }  # fmt: skip
    if style == "snake":
        data = {
            "".join(f"_{c.lower()}" if c.isupper() else c for c in k): v for k, v in data.items()
        }
    if style == "alias":
        data |= {"name": None, "fileName": "n"}
        data["parentId"] = data.pop("parentFolderId")
    found = await only(tmp_path, data, path="files/a/n", sha256="ab")
    assert json.loads(found.pop("record")) == data
    assert found == {
        "id": "a", "external_id": "e", "name": "n", "mime_type": "m", "size": 5, "url": "u", "parent_folder_id": "p",
        "created_at": T, "updated_at": T, "synced_at": T, "_file": "files/a/n", "_sha256": "ab",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "column", "bad"),
    [
        ("externalId", "external_id", 5),
        ("name", "name", ["n"]),
        ("mimeType", "mime_type", True),
        ("size", "size", "5"),
        ("size", "size", 5.0),
        ("size", "size", True),
        ("size", "size", 1 << 63),
        ("createdAt", "created_at", "yesterday"),
        ("updatedAt", "updated_at", {"at": 1}),
        ("updatedAt", "updated_at", "0001-01-01T00:00:00+14:00"),
        ("syncedAt", "synced_at", 1e300),
        ("parentFolderId", "parent_folder_id", {}),
        ("url", "url", 0),
    ],
)
async def test_what_does_not_fit_is_null_and_kept(tmp_path, key, column, bad):
    """A value of another kind is null in its column, never converted; the record still has it."""
    found = await only(tmp_path, {"id": "a", key: bad})
    assert found[column] is None and json.loads(found["record"]) == {"id": "a", key: bad}


async def test_the_schema_is_always_the_same(tmp_path):
    """A file of records without any value has the same columns, of the same types, as any other."""
    await only(tmp_path, {"id": "a"})
    schema = pq.read_schema(tmp_path / A)
    when = pa.timestamp("us", tz="UTC")
    assert [schema.field(n).type for n in ("size", "created_at", "record")] == [
        pa.int64(),
        when,
        pa.string(),
    ]
    assert (
        not schema.field("id").nullable
        and pq.read_metadata(tmp_path / A).row_group(0).column(0).compression == "ZSTD"
    )


async def test_a_write_is_a_file_named_when_complete(tmp_path):
    """A write goes beside, is synced, gets its name, the folder is synced; the mark has its size."""
    disk = BreakingDisk()
    segments = make(tmp_path)(disk)
    await segments.open({})
    disk.calls.clear()
    mark = await segments.write(rows([("a", 1), ("b", 2)]))
    called = [name for name in disk.names_called() if name != "write"]
    assert called == ["create", "sync", "close", "replace", "sync_folder"] and disk.open_files == 0
    created, target = disk.calls[0][1], disk.calls[-2][2]
    assert (
        created.name.startswith(".paragon-")
        and created.name.endswith(".part")
        and target == tmp_path / A
    )
    assert (mark.place, mark.rows, mark.size) == (A, 2, target.stat().st_size)
    assert (await segments.write([row("c")])).place == B


@pytest.mark.parametrize("dead", [False, True])
async def test_a_failed_write_leaves_it_usable(tmp_path, dead):
    """Whichever call fails: a `SinkError`, no file with a name, and the next write works."""
    at = 1
    while True:
        folder = tmp_path / str(at)
        disk = BreakingDisk()
        segments = make(folder)(disk)
        await segments.open({})
        disk._at, disk._dead = len(disk.calls) + at, dead
        try:
            await segments.write([row("lost")])
        except SinkError as error:
            assert "No space left on device" in str(error)
        else:
            break
        disk._at = None
        assert disk.open_files == 0 and (dead or names(folder) == [])
        mark = await segments.write([row("a")])
        await make(folder)(None).open({mark.place: mark.size})
        assert [record["id"] for record in every(folder)] == ["a"]
        at += 1
    assert at > 6


async def test_open_sweeps_what_no_commit_knows(tmp_path):
    """Unknown places and our own parts go; another feed's parts and other files stay."""
    segments = make(tmp_path)(None)
    await segments.open({})
    mark = await segments.write([row("a")])
    await segments.write([row("lost")])
    ours, theirs = (f".paragon-{prefix}-{'0' * 16}.part" for prefix in ("r", "q"))
    for name in (ours, theirs, "q-000001.parquet"):
        (tmp_path / name).write_bytes(b"x")
    again = make(tmp_path)(None)
    await again.open({A: mark.size})
    assert names(tmp_path) == [theirs, "q-000001.parquet", A]
    assert (await again.write([row("b")])).place == "r-000003.parquet"


@pytest.mark.parametrize("harm", ["short", "long", "gone", "other", "same size", "link"])
async def test_damage_is_found_and_refused(tmp_path, harm):
    """A place that is not the file that was written is lacking, and tidying it is an error."""
    world = World(make(tmp_path / "m"))
    await world.open()
    await world.write([("a", 1), ("a", 2)])
    path = tmp_path / "m" / A
    body = path.read_bytes()
    path.unlink()
    other = tmp_path / "other"
    pq.write_table(pa.table({"x": [1]}), other)
    bad = {
        "short": body[:-1], "long": body + b"x", "other": other.read_bytes(), "same size": b"x" * len(body)
    }  # fmt: skip
    if harm in bad:
        path.write_bytes(bad[harm])
    elif harm == "link":
        path.symlink_to(other)
    assert await world.segments.lacks(world.index.marks) == [A]
    if harm != "long":
        with pytest.raises(SinkError, match=rf"{A}.*; verify the mirror$"):
            await world.segments.tidy(world.index)
    assert await world.segments.differs(world.index) == [A]
    assert list(world.index.known) == [A] and names(tmp_path / "m") == (
        [] if harm == "gone" else [A]
    )


async def test_tidy_merges_and_keeps_current_rows(tmp_path):
    """Many small places become one of large row groups; each record stands in it once, unchanged."""
    world = World(make(tmp_path, batch_rows=1500))
    await world.open()
    for start in range(0, 4000, 400):
        await world.write([(f"id-{n}", n) for n in range(start, start + 400)])
    await world.write([("id-1", 5), ("id-1", 6)])
    world.delete("id-2")
    await world.segments.tidy(world.index)
    assert names(tmp_path) == ["r-000012.parquet"] and world.index.asked <= 500
    assert {r["id"]: r["value"] for r in every(tmp_path)} == world.truth
    data = pq.read_metadata(tmp_path / "r-000012.parquet")
    assert data.num_rows == 3999 and data.num_row_groups <= 3
    before = names(tmp_path)
    await world.segments.tidy(world.index)
    assert names(tmp_path) == before


async def test_tidy_stopped_by_the_state_leaves_the_old_place(tmp_path):
    """Cancelled while it asks the state, tidying leaves the old file alone, and nothing beside it."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("a", 2)])
    asked = asyncio.Event()

    class Waiting(MemoryIndex):
        async def current(self, place, ids):
            asked.set()
            await asyncio.Event().wait()

    waiting = Waiting()
    waiting.rows, waiting.known = world.index.rows, world.index.known
    task = asyncio.ensure_future(world.segments.tidy(waiting))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == [A]


async def test_anyone_reads_the_folder_in_one_line(tmp_path):
    """After a run DuckDB and pyarrow see each record once, over all files of all feeds."""
    duckdb = pytest.importorskip("duckdb")
    for feed in (1, 2):
        sink = ParquetSink(tmp_path)
        await sink.open(feed, {})
        index = MemoryIndex()
        for batch in ([row("a", 1), row(f"b{feed}")], [row("a", 2), row("c")]):
            index.commit(await sink.write(batch, []), [each.id for each in batch])
        assert await sink.write([], [{"id": "c", "deleted": True}]) is None
        index.delete("c")
        await sink.tidy(index)
        assert await sink.lacks(index.marks) == []
        await sink.aclose()
    found = duckdb.read_parquet(f"{tmp_path}/*.parquet").project("id, record->>'value'").fetchall()
    assert sorted(found) == [("a", "2"), ("a", "2"), ("b1", "0"), ("b2", "0")]
    assert sorted(pq.read_table(tmp_path).column("id").to_pylist()) == ["a", "a", "b1", "b2"]
    assert all(name.startswith(("records-001-", "records-002-")) for name in names(tmp_path))


async def test_the_sink_takes_no_contents(tmp_path):
    """Contents are refused; how many rows it likes at once is told to the engine."""
    sink = ParquetSink(tmp_path, batch_rows=7)
    assert (sink.identity, sink.contents, sink.settles, sink.batch_rows) == (
        f"parquet:{tmp_path}",
        False,
        False,
        7,
    )
    with pytest.raises(ConfigurationError, match="parquet"):
        await sink.put(tmp_path / "x", "a", "x")
    with pytest.raises(SinkError, match="not open"):
        await sink.write([row("a")], [])


def test_without_pyarrow_it_says_what_to_install(monkeypatch, tmp_path):
    """When the extra is missing, making the sink names it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for kind in (lambda: ParquetSink(tmp_path), lambda: make(tmp_path)(None)):
        with pytest.raises(ConfigurationError, match=r"pip install paragon-async\[parquet\]"):
            kind()


PROGRAM = """
import asyncio, sys, threading
from pathlib import Path
from tests.ingest.indexes import World
from paragon_async.ingest.sinks.parquet import ParquetSegments
async def main():
    world = World(lambda disk: ParquetSegments(Path(sys.argv[1]), "r"))
    await world.open()
    for n in range(10): await world.write([(f"id-{k}", n) for k in range(50)])
    await world.segments.tidy(world.index)
asyncio.run(main())
print(threading.active_count())
"""


def test_pyarrow_ends_silently(tmp_path):
    """After writing and tidying no thread of Python is left; the process ends by itself, silently."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, timeout=50,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_file_beside_is_harmless_when_nothing_was_written(tmp_path):
    """Discarding what was never begun touches nothing."""
    segments = make(tmp_path)(None)
    beside = segments._beside()
    assert isinstance(beside, Beside)
    beside.discard()
    assert names(tmp_path) == []


async def test_one_line_of_sql_reads_both_formats(tmp_path):
    """A content's place and hash have the same names in Parquet as in JSON lines."""
    duckdb = pytest.importorskip("duckdb")
    with_file = Row.of({"id": "a"}, path="files/a/n", sha256="ab")
    lines = LineSegments(tmp_path, "r")
    for segments in (lines, make(tmp_path)(None)):
        await segments.open({})
        await segments.write([with_file])
    for source in ("*.jsonl", "*.parquet"):
        found = duckdb.sql(f"select id, _file, _sha256 from '{tmp_path}/{source}'").fetchall()  # noqa: S608  # our own path
        assert found == [("a", "files/a/n", "ab")]


async def test_no_altered_byte_of_a_page_goes_unseen(tmp_path):
    """Whichever byte of the data flips, the file differs; as it was written it does not."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([(f"id-{n}", n) for n in range(50)])
    await world.write([("other", 1), ("id-1", 2)])
    assert await world.segments.differs(world.index) == []
    body = (tmp_path / A).read_bytes()
    meta = pq.read_metadata(tmp_path / A).row_group(0)
    columns = [meta.column(n) for n in range(meta.num_columns)]
    for column in columns:
        end = column.data_page_offset + column.total_compressed_size
        # The page's header, which holds its checksum, comes first.
        (tmp_path / A).write_bytes(body[: end - 1] + bytes([body[end - 1] ^ 1]) + body[end:])
        assert await world.segments.differs(world.index) == [A], column.path_in_schema
    for at in range(0, len(body), 37):
        (tmp_path / A).write_bytes(body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1 :])
        assert set(await world.segments.differs(world.index)) <= {A}


async def test_a_missing_current_row_differs(tmp_path):
    """A sound file of the same size with another record in place of a current one differs."""
    world = World(make(tmp_path))
    await world.open()
    await world.write([("a", 1), ("b", 2)])
    other = World(make(tmp_path / "other"))
    await other.open()
    await other.write([("a", 1), ("c", 2)])
    (tmp_path / "other" / A).replace(tmp_path / A)
    assert (tmp_path / A).stat().st_size == world.index.marks[A]
    assert await world.segments.lacks(world.index.marks) == []
    assert await world.segments.differs(world.index) == [A]
    world.delete("b")
    assert await world.segments.differs(world.index) == []


async def test_rows_of_the_other_format_are_told(tmp_path):
    """A mirror that began as JSON lines is refused as Parquet, and nothing of it is touched."""
    (tmp_path / "r-000001.jsonl").write_bytes(b"{}")
    with pytest.raises(SinkError, match="the rows of this mirror are JSON lines"):
        await make(tmp_path)(None).open({"r-000001.jsonl": 2})
    assert names(tmp_path) == ["r-000001.jsonl"]


async def test_kinds_share_a_folder_of_one_owner(tmp_path):
    """A log and Parquet of one state may lie together, also when one of them comes later."""
    log = LinesSink(tmp_path)
    await log.claim("state-000001", is_new=True)
    await log.open(1, {})
    await log.write([row("a")], [])
    sink = ParquetSink(tmp_path)
    await sink.claim("state-000001", is_new=True)
    await sink.open(2, {})
    await sink.write([row("a")], [])
    for other in (log, sink):
        with pytest.raises(SinkError, match="belongs to another state"):
            await other.claim("state-000002", is_new=False)
