from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
from contextlib import asynccontextmanager

import pytest

from paragon_async.disk import SystemDisk
from paragon_async.errors import DestinationError, IngestError, SinkError, StateError
from paragon_async.ingest import schema
from paragon_async.ingest.database import Database


@asynccontextmanager
async def opened(folder, connect=schema.connect):
    database = Database(folder / "state.db", SystemDisk(), connect)
    await database.open()
    try:
        yield database
    finally:
        await database.aclose()


def adding(number):
    """A job that adds a row, and returns its number."""

    def work(db):
        db.execute("INSERT INTO places(feed, name, size, rows) VALUES (1, ?, 0, 0)", (str(number),))
        return number

    return work


async def there(database):
    rows = await database.run(lambda db: db.execute("SELECT name FROM places").fetchall())
    return {int(row[0]) for row in rows}


@asynccontextmanager
async def held_up(database):
    """Keep the thread busy, so that what is handed in meanwhile becomes one group."""
    door, is_in = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(_):
        loop.call_soon_threadsafe(is_in.set)
        door.wait(10)

    blocker = asyncio.create_task(database.run(wait))
    await is_in.wait()
    try:
        yield
    finally:
        door.set()
    await blocker


def counting_commits():
    commits = []

    def connect(path):
        made = schema.connect(path)
        made.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        return made

    return commits, connect


async def test_a_group_shares_one_commit(tmp_path):
    """What waits while a commit is flushed is committed together, and each gets its own result."""
    commits, connect = counting_commits()
    async with opened(tmp_path, connect) as database:
        async with held_up(database):
            jobs = [asyncio.create_task(database.run(adding(n))) for n in range(100)]
            await asyncio.sleep(0)
            before = len(commits)
        assert await asyncio.gather(*jobs) == list(range(100))
        assert len(commits) - before == 2
        assert await there(database) == set(range(100))


async def test_one_that_fails_fails_alone(tmp_path):
    """In a group, the job that fails raises its own error and leaves nothing; the others succeed."""

    def failing(db):
        adding(1000)(db)
        raise SinkError("mine")

    def wrong(db):
        db.execute("INSERT INTO places(nothing) VALUES (1)")

    async with opened(tmp_path) as database:
        async with held_up(database):
            works = [adding(0), failing, adding(1), wrong, adding(2)]
            jobs = [asyncio.create_task(database.run(work)) for work in works]
            await asyncio.sleep(0)
        first, mine, second, refused, third = await asyncio.gather(*jobs, return_exceptions=True)
        assert (first, second, third) == (0, 1, 2)
        assert type(mine) is SinkError and type(refused) is StateError
        assert await there(database) == {0, 1, 2}


async def test_a_strange_error_is_raised_as_it_is(tmp_path):
    """An error that is neither of disk nor of database reaches its caller, and the thread goes on."""
    async with opened(tmp_path) as database:
        with pytest.raises(ZeroDivisionError):
            await database.run(lambda _: 1 // 0)
        assert await database.run(adding(1)) == 1


async def test_closed(tmp_path):
    """What is handed to a closed state is an IngestError; closing again is harmless."""
    async with opened(tmp_path) as database:
        pass
    await database.aclose()
    with pytest.raises(IngestError, match="closed"):
        await database.run(adding(1))


async def test_closing_does_what_was_handed_in(tmp_path):
    """Jobs that waited when the end was asked for are done, and none is forgotten."""
    async with opened(tmp_path) as database:
        jobs = [asyncio.create_task(database.run(adding(n))) for n in range(600)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*jobs) == list(range(600))
    async with opened(tmp_path) as database:
        assert await there(database) == set(range(600))


async def test_who_is_cancelled_waits_for_the_end(tmp_path):
    """A cancelled job is done or undone when its caller hears of it, never under way."""
    async with opened(tmp_path) as database:
        async with held_up(database):
            job = asyncio.create_task(database.run(adding(7)))
            await asyncio.sleep(0)
            job.cancel()
            await asyncio.sleep(0)
            assert not job.done()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert await there(database) == {7}


async def test_cancelled_while_it_opens(tmp_path):
    """Cancelling the opening leaves no thread and no lock on the file."""
    database = Database(tmp_path / "state.db", SystemDisk())
    task = asyncio.create_task(database.open())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not [t for t in threading.enumerate() if t.name == "paragon-state"]
    async with opened(tmp_path) as again:
        assert await again.run(adding(1)) == 1


async def test_a_full_disk(tmp_path):
    """A state that cannot grow is a DestinationError that says the disk is full; nothing is lost."""

    def connect(path):
        made = schema.connect(path)
        made.execute("PRAGMA max_page_count = 40")
        return made

    def large(db):
        adding(9)(db)
        db.execute("CREATE TABLE bulk AS SELECT zeroblob(1000000) AS b")

    async with opened(tmp_path, connect) as database:
        await database.run(adding(1))
        with pytest.raises(DestinationError, match="the disk is full") as caught:
            await database.run(large)
        assert caught.value.errno == errno.ENOSPC
        assert await database.run(adding(2)) == 2
        assert await there(database) == {1, 2}
    async with opened(tmp_path) as database:
        await database.run(large)
        assert await there(database) == {1, 2, 9}


async def test_a_full_disk_fails_only_what_does_not_fit(tmp_path):
    """In a group, the job that fills the disk fails alone."""

    def connect(path):
        made = schema.connect(path)
        made.execute("PRAGMA max_page_count = 40")
        return made

    def large(db):
        db.execute("CREATE TABLE bulk AS SELECT zeroblob(1000000) AS b")

    async with opened(tmp_path, connect) as database:
        async with held_up(database):
            jobs = [asyncio.create_task(database.run(w)) for w in (adding(1), large, adding(2))]
            await asyncio.sleep(0)
        first, full, second = await asyncio.gather(*jobs, return_exceptions=True)
        assert (first, second) == (1, 2) and isinstance(full, DestinationError)
        assert await there(database) == {1, 2}


async def test_what_is_done_lasts(tmp_path):
    """The file is written ahead of itself with every commit flushed: a reader beside sees all of it."""
    async with opened(tmp_path) as database:
        await database.run(adding(1))
        modes = await database.run(
            lambda db: (
                db.execute("PRAGMA journal_mode").fetchone()[0],
                db.execute("PRAGMA synchronous").fetchone()[0],
            )
        )
        assert modes == ("wal", 2)
        reader = schema.read_only(tmp_path / "state.db")
        assert reader.execute("SELECT name FROM places").fetchall() == [("1",)]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM places")
        reader.close()


async def test_reading_goes_on_beside_a_commit(tmp_path):
    """What only asks is answered while the writing thread is busy, and sees all that was done before."""
    async with opened(tmp_path) as database:
        await database.run(adding(1))
        async with held_up(database):
            found = await database.read(lambda db: db.execute("SELECT name FROM places").fetchall())
        assert found == [("1",)]
        await database.run(adding(2))
        found = await database.read(lambda db: db.execute("SELECT count(*) FROM places").fetchall())
        assert found == [(2,)]


async def test_who_reads_changes_nothing(tmp_path):
    """A change, or a broken question, that comes as reading is a StateError; closed, an IngestError."""
    async with opened(tmp_path) as database:
        with pytest.raises(StateError, match="readonly"):
            await database.read(adding(1))
        with pytest.raises(StateError, match="nothing"):
            await database.read(lambda db: db.execute("SELECT nothing FROM places"))
        assert await there(database) == set()
    with pytest.raises(IngestError, match="closed"):
        await database.read(adding(1))
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]
