"""What a mirror holds, read beside whoever works on it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import sqlite3
import sys

import attrs
import pytest

from paragon_async.errors import (
    DestinationError,
    PermissionDeniedError,
    StateError,
    TooManyDeletesError,
)
from paragon_async.ingest import FolderSink, Ingest, LinesSink, State
from paragon_async.ingest.overview import holder, is_mirror, lacking, look


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
def ingest(user, sync_id, mirror):
    return Ingest(user, sync_id, FolderSink(mirror), mirror, fuse=None)


async def test_figures(ingest, mirror, folder, emulator):
    """Counts, sizes, cursor and runs are those of the mirror, and nothing on the disk is changed."""
    first = await ingest.run()
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    second = await ingest.run()
    before = (mirror / ".paragon" / "state.db").read_bytes()
    (found,) = look(mirror)
    assert (mirror / ".paragon" / "state.db").read_bytes() == before
    assert (found.feed, found.sink, found.format) == (ingest.feed, "folder:.", "jsonl")
    assert (found.records, found.deleted, found.doomed) == (6, 1, 0)
    assert found.contents == 3
    assert found.bytes == sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    assert found.cursor == second.cursor
    assert [ran.report for ran in found.runs] == [second, first]
    assert {(ran.kind, ran.outcome) for ran in found.runs} == {("run", "done")}
    assert found.runs[0].started_at >= found.runs[1].started_at > 1_700_000_000
    assert (found.held_by, found.is_cut_off, found.is_good, found.wants_contents) == (None, False, True, True)  # fmt: skip
    assert [ran.report for ran in look(mirror, runs=1)[0].runs] == [second]


async def test_dead_letters(ingest, mirror, emulator):
    """Dead letters are counted by kind, and as many listed as were asked for."""
    emulator.fault(path="*/content", status=403, times=1)
    emulator.fault(path="*/content", status=404, times=2)
    await ingest.run()
    (found,) = look(mirror, letters=2)
    assert found.dead == {"403": 1, "404": 2}
    assert [letter.attempts for letter in found.letters] == [1, 1]
    assert not found.is_good


async def test_doomed(user, sync_id, mirror, folder, emulator):
    """Records that the fuse kept are told of."""
    ingest = Ingest(user, sync_id, FolderSink(mirror), mirror, fuse=0.0)
    await ingest.run()
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    with pytest.raises(TooManyDeletesError):
        await ingest.run()
    (found,) = look(mirror)
    assert (found.records, found.doomed, found.is_good) == (7, 1, False)
    assert found.runs[0].outcome == "TooManyDeletesError"


async def test_while_an_ingest_works(user, sync_id, mirror):
    """A run that is going on is neither disturbed nor waited for, and told of."""
    seen = []

    def on_progress(_):
        seen.append(look(mirror)[0])

    ingest = Ingest(user, sync_id, FolderSink(mirror), mirror, on_progress=on_progress)
    report = await ingest.run()
    assert report.files == 4
    assert seen
    assert all(f"process {os.getpid()} on " in found.held_by for found in seen)
    assert not any(found.is_cut_off for found in seen)
    assert look(mirror)[0].held_by is None


async def test_records_alone(user, sync_id, mirror):
    """A mirror without contents is known for one, whatever its sink."""
    await Ingest(user, sync_id, LinesSink(mirror / "log"), mirror, contents=False).run()
    (found,) = look(mirror)
    assert (found.sink.partition(":")[0], found.contents, found.bytes) == ("lines", 0, 0)
    assert not found.wants_contents


async def test_a_run_that_was_cut_off(ingest, mirror):
    """A run that never came to its end is told of, when nobody works there any more."""
    await ingest.run()
    with sqlite3.connect(mirror / ".paragon" / "state.db") as db:
        db.execute("UPDATE feeds SET running = 1")
    db.close()
    assert look(mirror)[0].is_cut_off


def test_no_mirror(tmp_path):
    """A folder without a state is no mirror, and none is made of it."""
    assert not is_mirror(tmp_path)
    assert not is_mirror(tmp_path / "absent")
    with pytest.raises(StateError, match="there is no mirror"):
        look(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def test_what_is_no_state(ingest, mirror):
    """A foreign, damaged or unreadable state is an error that says so, and stays as it is."""
    await ingest.run()
    path = mirror / ".paragon" / "state.db"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE feeds SET cursor = 'other'")
    db.close()
    with pytest.raises(StateError, match="the saved cursor of"):
        look(mirror)
    good = path.read_bytes()
    path.write_bytes(good[:100] + bytes(len(good) - 100))
    with pytest.raises(StateError, match=r"is damaged \(.*\): restore it, or move"):
        look(mirror)
    path.write_bytes(b"text" * 100)
    with pytest.raises(StateError, match="no database"):
        look(mirror)
    assert path.read_bytes() == b"text" * 100
    path.unlink()
    path.mkdir()
    assert is_mirror(mirror)
    with pytest.raises(DestinationError, match="cannot read"):
        look(mirror)


async def test_what_was_asked_for(user, sync_id, mirror):
    """Whether contents are wanted is what was last asked for, whatever the mirror holds of them."""
    for contents, wants, is_filtered in (
        (False, False, False),
        (lambda _: False, True, True),
        (True, True, False),
        (False, False, False),
    ):
        await Ingest(user, sync_id, FolderSink(mirror), mirror, contents=contents).run()
        (found,) = look(mirror)
        assert found.asked == ("filter" if callable(contents) else contents)
        assert (found.wants_contents, found.is_filtered) == (wants, is_filtered)
    assert found.contents == 4
    with sqlite3.connect(mirror / ".paragon" / "state.db") as db:
        db.execute("UPDATE feeds SET settings = NULL")
    db.close()
    (found,) = look(mirror)
    assert (found.asked, found.wants_contents) == (None, True)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET report = '{'",
        "UPDATE runs SET report = '{\"other\": 1}'",
        "UPDATE feeds SET settings = '['",
        "UPDATE feeds SET settings = '[]'",
        "DROP TABLE dead",
    ],
)
async def test_damage_within(ingest, mirror, change):
    """A state that can be opened and does not hold what was written is damaged too."""
    await ingest.run()
    with sqlite3.connect(mirror / ".paragon" / "state.db") as db:
        db.execute(change)
    db.close()
    with pytest.raises(StateError, match=r"is damaged \(.*\): restore it, or move"):
        look(mirror)


async def test_lacking(ingest, mirror, emulator):
    """Records that are alive and have no content are told from those that have one or are gone."""
    emulator.fault(path="*/content", status=403, times=1)
    await ingest.run()
    (letter,) = look(mirror)[0].letters
    with_content = [p.parent.name for p in (mirror / "files").rglob("*") if p.is_file()]
    assert lacking(mirror, ingest.feed, [letter.id, *with_content, "unknown"]) == {letter.id}
    other = attrs.evolve(ingest.feed, user="other")
    assert lacking(mirror, other, [letter.id]) == set()


def written(lock, **who):
    lock.write_text(json.dumps({"host": socket.gethostname(), "since": "2020"} | who))


async def test_holder(tmp_path):
    """Only who is there now counts: not one that let go, and not one that was killed."""
    lock = tmp_path / ".paragon" / "lock"
    assert holder(lock) is None
    async with State(tmp_path):
        assert holder(lock).startswith(f"process {os.getpid()} on ")
        lock.write_text("not what it should be")
        assert holder(lock) == "another process"
    assert holder(lock) is None
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await gone.wait()
    for pid in (gone.pid, 1 << 80):
        written(lock, pid=pid)
        assert holder(lock) is None
    # Of another machine that cannot be known.
    written(lock, pid=gone.pid, host="elsewhere")
    assert holder(lock) == f"process {gone.pid} on elsewhere, since 2020"
    for pid in (1, os.getpid(), 0, "x"):
        written(lock, pid=pid)
        assert holder(lock).startswith(f"process {pid} on ")


async def test_holder_leaves_the_lock_alone(tmp_path):
    """Asking goes by what is written, and never by the lock: an ingest that begins is not refused."""
    lock = tmp_path / "lock"
    written(lock, pid=os.getpid())
    assert holder(lock) is not None
    with lock.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lock.write_text("")
        assert holder(lock) is None


async def test_a_run_that_failed_is_not_good(ingest, mirror, folder, emulator):
    """A mirror whose last run was stopped by an error needs a look; after one that went well it does not."""
    await ingest.run()
    assert look(mirror)[0].is_good
    emulator.fault(path="*/records", status=403, times=1)
    with pytest.raises(PermissionDeniedError):
        await ingest.run()
    assert not look(mirror)[0].is_good
    await ingest.run()
    assert look(mirror)[0].is_good
