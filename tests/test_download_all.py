from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
import time

import pytest

from paragon_async import (
    AuthenticationError,
    ConfigurationError,
    DestinationError,
    DownloadError,
    File,
    NotFoundError,
    Record,
)
from paragon_async.disk import SystemDisk
from tests.fakes import FakeResponse, answer, records

S = "sync-1"


def content(request):
    """Answer with the id that the path names; ids tell what goes wrong."""
    id_ = request.path.split("/")[-2]
    if id_.startswith("gone"):
        return answer({"message": "no such record"}, 404)
    if id_.startswith("refused"):
        return answer({"message": "no"}, 401)
    body = id_.encode() * 100
    return FakeResponse(200, chunks=[body], length=len(body))


def ids(count):
    return [f"r{n}" for n in range(count)]


async def all_of(made, source, folder, **options):
    return [saved async for saved in made.download_all(S, source, folder, **options)]


@pytest.fixture
def made():
    return records(content)[0]


@pytest.mark.parametrize("durability", ["file", "batch", "none"])
async def test_all_come(made, tmp_path, durability):
    """Every record's content lies in the folder, whole, under a name of its own, and is told once."""
    found = await all_of(made, ids(100), tmp_path, durability=durability)
    assert sorted(saved.record_id for saved in found) == sorted(ids(100))
    assert sorted(os.listdir(tmp_path)) == sorted(saved.path.name for saved in found)
    for saved in found:
        assert saved.path.read_bytes() == saved.record_id.encode() * 100


async def test_at_most_so_many(tmp_path):
    """No more than *concurrency* contents are open at once, and that many are."""

    class Slow(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(0.002)
            return await super().next_chunk()

    made, session = records(lambda _: Slow(200, chunks=[b"x"], length=1))
    await all_of(made, ids(50), tmp_path, concurrency=7)
    assert session.most_open == 7


async def test_what_has_no_content_is_passed_over(made, tmp_path):
    """Folders and tombstones of a feed are neither fetched nor an error."""
    folder = File(id="d1", name="d", mime_type="application/vnd.google-apps.folder")
    tombstone = Record({"id": "t1", "deleted": True})
    bare = File(id="t2", deleted=True)
    found = await all_of(made, [folder, tombstone, "r1", bare], tmp_path)
    assert [saved.record_id for saved in found] == ["r1"]


async def test_an_async_source_is_drawn_as_it_is_needed(made, tmp_path):
    """A feed is asked for no more than is under way, and closed when the loop is left."""
    drawn, closed = [], []

    async def feed():
        try:
            for n in range(10_000):
                drawn.append(n)
                yield f"r{n}"
        finally:
            closed.append(True)

    found = made.download_all(S, feed(), tmp_path, concurrency=4)
    assert (await anext(found)).record_id in ids(10_000)
    await asyncio.sleep(0.05)
    # Four under way, eight done and not yet told, and the one that was.
    assert len(drawn) <= 4 + 8 + 4 + 1
    await found.aclose()
    assert closed == [True]


async def test_failures_are_told(made, tmp_path):
    """With *on_error* a record that fails is told, and the others come."""
    failed = []
    source = ["r1", "gone1", "r2", "gone2", "r3"]
    found = await all_of(
        made, source, tmp_path, on_error=lambda record, error: failed.append((record, type(error)))
    )
    assert sorted(saved.record_id for saved in found) == ["r1", "r2", "r3"]
    assert sorted(failed) == [("gone1", NotFoundError), ("gone2", NotFoundError)]


async def test_without_a_listener_the_first_failure_is_raised(made, tmp_path, nothing_left):
    """Without *on_error* a failure ends the loop, after what was done before is yielded."""
    found = []
    with pytest.raises(NotFoundError):
        async for saved in made.download_all(
            S, [*ids(20), "gone", *ids(9)], tmp_path, concurrency=1
        ):
            found.append(saved.record_id)
    assert found == ids(20)


async def test_what_concerns_all_is_raised(tmp_path, nothing_left):
    """A refused token and a full disk end it, listened to or not."""
    made, _ = records(content)
    with pytest.raises(AuthenticationError):
        await all_of(made, ["refused"], tmp_path, on_error=lambda *_: None)

    class Full(SystemDisk):
        def write(self, file, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DestinationError, match="No space left"):
        await all_of(made, ids(9), tmp_path, on_error=lambda *_: None, disk=Full())
    assert os.listdir(tmp_path) == []


async def test_one_name_that_no_disk_takes(tmp_path):
    """A disk that refuses one file is that file's matter."""
    made, _ = records(content)
    (name,) = [saved.path.name for saved in await all_of(made, ["r1"], tmp_path)]
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    failed = []
    found = await all_of(made, ids(3), tmp_path, on_error=lambda record, _: failed.append(record))
    assert failed == ["r1"] and len(found) == 2


async def test_batch_is_flushed_before_it_is_told(tmp_path):
    """With durability `batch` nothing is yielded that a flush has not covered."""
    made, _ = records(content)

    class Counting(SystemDisk):
        put, covered = 0, 0

        def replace(self, path, target):
            super().replace(path, target)
            self.put += 1

        def sync_all(self, path):
            before = self.put
            super().sync_all(path)
            self.covered = before

        def sync(self, file):
            raise AssertionError("each file was flushed")

    disk, told = Counting(), 0
    async for _ in made.download_all(S, ids(200), tmp_path, durability="batch", disk=disk):
        told += 1
        assert told <= disk.covered
    assert told == 200


async def test_leaving_drops_what_is_under_way(tmp_path, nothing_left):
    """Whoever leaves the loop leaves whole files, no parts, no tasks and no open answers."""

    class Slow(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(0.002)
            return await super().next_chunk()

    made, session = records(lambda _: Slow(200, chunks=[b"x"] * 5, length=5))
    found = made.download_all(S, ids(100), tmp_path, concurrency=8)
    async for _ in found:
        break
    await found.aclose()
    assert session.open_now == 0
    assert all((tmp_path / name).read_bytes() == b"xxxxx" for name in os.listdir(tmp_path))


async def test_cancelling(tmp_path, nothing_left):
    """Cancelled in the middle it ends soon, with the source closed."""
    made, session = records(content)
    closed = []

    async def feed():
        try:
            while True:
                yield "r1"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    task = asyncio.create_task(all_of(made, feed(), tmp_path, concurrency=3))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True] and session.open_now == 0


async def test_a_source_that_fails(made, tmp_path):
    """What the source itself raises comes out as it is."""

    def source():
        yield "r1"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await all_of(made, source(), tmp_path)


async def test_what_cannot_work_is_said_first(made, tmp_path):
    """A missing folder, no workers, a value that is no record: one clear error."""
    with pytest.raises(DownloadError, match="no folder"):
        await all_of(made, ids(1), tmp_path / "absent")
    with pytest.raises(DownloadError, match="cannot write"):
        await all_of(made, ids(1), "x" * 5000)
    for wrong in (0, "3", 2.5, None, True):
        with pytest.raises(ConfigurationError, match="at least 1"):
            await all_of(made, ids(1), tmp_path, concurrency=wrong)
    for wrong in ("r1", b"r1", {"r1": 1}, File(id="r1"), None):
        with pytest.raises(ConfigurationError, match="no source of records"):
            await all_of(made, wrong, tmp_path)
    with pytest.raises(ConfigurationError, match="durability"):
        await all_of(made, ids(1), tmp_path, durability="never")
    with pytest.raises(ConfigurationError, match="download_all"):
        await made.download(S, "r1", tmp_path, durability="batch")
    with pytest.raises(ConfigurationError, match="has no content"):
        await all_of(made, [7], tmp_path, on_error=lambda *_: None)


async def test_a_source_that_is_refused_is_closed(made, tmp_path):
    """A generator is closed, plain or async, wherever the loop ended: also before its first step."""
    closed = []

    def plain():
        try:
            yield from ids(99)
        finally:
            closed.append("plain")

    async def feed():
        try:
            yield "r1"
        finally:
            closed.append("feed")

    found = made.download_all(S, plain(), tmp_path, concurrency=2)
    await anext(found)
    await found.aclose()
    begun = feed()
    await anext(begun)
    with pytest.raises(DownloadError, match="no folder"):
        await all_of(made, begun, tmp_path / "absent")
    assert closed == ["plain", "feed"]


async def test_a_record_that_comes_twice(tmp_path):
    """Of two versions of one record in a feed the later stays, however slow the earlier is."""
    bodies = [b"old!", b"newer"]

    class Slow(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(0.02)
            return await super().next_chunk()

    def versions(_):
        body = bodies.pop(0)
        kind = Slow if body == b"old!" else FakeResponse
        return kind(200, chunks=[body], length=len(body))

    made, _ = records(versions)
    feed = [File(id="r1", name="a", mime_type="x/y", size=size) for size in (4, 5)]
    found = await all_of(made, feed, tmp_path)
    assert [saved.size for saved in found] == [4, 5]
    assert found[-1].path.read_bytes() == b"newer"


@pytest.mark.parametrize("durability", ["file", "batch", "none"])
async def test_all_that_lies_there_was_told(tmp_path, durability, nothing_left):
    """When a record's failure ends the loop, every file that is complete has been told, to a slow caller too."""
    made, _ = records(content)
    told = []
    with pytest.raises(NotFoundError):
        async for saved in made.download_all(
            S, [*ids(20), "gone", *ids(99)[20:]], tmp_path, concurrency=4, durability=durability
        ):
            told.append(saved.path.name)
            await asyncio.sleep(0.002)
    assert sorted(told) == sorted(os.listdir(tmp_path))


class Waiting(SystemDisk):
    """A disk that gives a file its name only when the failure of another is under way."""

    def __init__(self):
        super().__init__()
        self.failing = threading.Event()

    def replace(self, path, target):
        self.failing.wait(5)
        # As long as the others may be cancelled meanwhile.
        time.sleep(0.1)
        super().replace(path, target)


@pytest.mark.parametrize("durability", ["file", "batch"])
async def test_what_is_complete_when_another_fails_was_told(tmp_path, durability):
    """A file that gets its name while a failure ends the loop is among those that are told."""
    disk = Waiting()

    def answered(request):
        if "gone" in request.path:
            disk.failing.set()
            return FakeResponse(404)
        return FakeResponse(200, chunks=[b"x" * 300_000], length=300_000)

    made, _ = records(answered)
    told = []
    with pytest.raises(NotFoundError):
        async for saved in made.download_all(
            S, ["r1", "r2", "gone"], tmp_path, concurrency=3, durability=durability, disk=disk
        ):
            told.append(saved.path.name)
    assert sorted(told) == sorted(os.listdir(tmp_path)) and len(told) == 2


async def test_an_async_listener(made, tmp_path):
    """*on_error* may be async, and is awaited."""
    heard = []

    async def listen(record, error):
        await asyncio.sleep(0)
        heard.append(record)

    await all_of(made, ["gone1", "r1"], tmp_path, on_error=listen)
    assert heard == ["gone1"]


async def test_a_folder_that_is_gone(made, tmp_path):
    """A folder that is lost on the way concerns all, and is raised."""
    place, heard = tmp_path / "in", []
    place.mkdir()

    def source():
        yield "r1"
        shutil.rmtree(place)
        yield from ids(300)

    found = made.download_all(
        S, source(), place, concurrency=1, on_error=lambda r, _: heard.append(r)
    )
    with pytest.raises(DestinationError) as caught:
        async for _ in found:
            pass
    assert caught.value.errno == errno.ENOENT and heard == []


async def test_a_flush_that_fails(made, tmp_path):
    """A disk that refuses to flush is a DestinationError, with the failure that was there before."""

    class Broken(SystemDisk):
        def sync_all(self, path):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(DestinationError, match="cannot flush") as caught:
        await all_of(made, ids(3), tmp_path, durability="batch", disk=Broken())
    assert caught.value.errno == errno.EIO


async def test_passing_over_lets_others_work(made, tmp_path):
    """Thousands of tombstones in a row do not hold the loop."""
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    gone = [Record({"id": f"t{n}", "deleted": True}) for n in range(5000)]
    assert await all_of(made, gone, tmp_path) == []
    task.cancel()
    assert len(ticks) >= 6


async def test_a_scope_of_anyio(tmp_path, nothing_left):
    """A scope that is cancelled, which cancels every wait again, leaves nothing open either."""
    import anyio

    closed = []

    class Slow(SystemDisk):
        def create(self, path):
            time.sleep(0.05)
            return super().create(path)

    async def feed():
        try:
            for id_ in ids(50):
                yield id_
        finally:
            closed.append(True)

    made, session = records(content)
    with anyio.move_on_after(0.02) as scope:
        await all_of(made, feed(), tmp_path, concurrency=4, disk=Slow())
    assert scope.cancelled_caught and closed == [True] and session.open_now == 0
    before = sorted(os.listdir(tmp_path))
    await asyncio.sleep(0.1)
    assert sorted(os.listdir(tmp_path)) == before


async def test_nothing_to_do(made, tmp_path):
    """An empty source is an empty loop."""
    assert await all_of(made, [], tmp_path) == []
