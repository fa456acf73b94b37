from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing

import pytest

from paragon_async.errors import DestinationError, StateError
from paragon_async.ingest import Feed, State, schema
from paragon_async.ingest.database import Database
from paragon_async.ingest.statements import Batch
from tests.ingest.fakes import ScriptedDisk, ask

FEED = Feed(project="p", user="u", sync="s")


async def filled(folder):
    """Make a good state with some thousand rows, closed cleanly; return its file."""
    async with State(folder) as state:
        book = await state.book(FEED, "folder:x")
        rows = {f"record-{n}": bytes(16) for n in range(3000)}
        await book.commit(Batch(rows=rows, cursor="c1"))
    return folder / ".paragon" / "state.db"


def everything(home):
    """All that lies beside a state, with its bytes; the lock may come and go."""
    return {p.name: p.read_bytes() for p in home.iterdir() if p.is_file() and p.name != "lock"}


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def cut_in_a_page(path):
    os.truncate(path, path.stat().st_size - 100)


def cut_in_the_header(path):
    os.truncate(path, 50)


def empty(path):
    os.truncate(path, 0)


def foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes(name)")


def another_program(path):
    patch(path, 68, struct.pack(">I", 0x12345678))


def newer(path):
    patch(path, 60, struct.pack(">I", schema.VERSION + 1))


def text(path):
    path.write_text("Dear diary, today I was no database at all.\n" * 20)


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path):
    """Turn one byte that says what kind of page the third is."""
    data = bytearray(path.read_bytes())
    data[2 * 4096] ^= 0xFF
    path.write_bytes(bytes(data))


def flipped_inside(path):
    """Turn one byte of a pointer to a cell, in the middle of the file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 // 4096 * 4096 + 9] ^= 0x5A
    path.write_bytes(bytes(data))


def no_meta(path):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE meta")


def patch(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


CASES = [
    (cut, "damaged"),
    (cut_in_a_page, "damaged"),
    (cut_in_the_header, "shorter than any database"),
    (empty, "shorter than any database"),
    (foreign, "another program"),
    (another_program, "another program"),
    (newer, "newer version of paragon-async .*upgrade"),
    (text, "no database"),
    (zeros, "no database"),
    (flipped, "damaged"),
    (flipped_inside, "damaged"),
    (no_meta, "cannot be used|damaged"),
]


@pytest.mark.parametrize(("harm", "words"), CASES, ids=[case[0].__name__ for case in CASES])
async def test_a_wrong_state_is_named_and_left_alone(tmp_path, harm, words):
    """Each kind of wrong file is a StateError that says what it is; no byte of it is changed."""
    path = await filled(tmp_path)
    harm(path)
    before = everything(path.parent)
    for _ in range(2):
        with pytest.raises(StateError, match=words) as caught:
            await State(tmp_path).__aenter__()
        assert str(path) in str(caught.value)
        assert everything(path.parent) == before


async def test_every_page_flipped(tmp_path):
    """A page of nonsense is found wherever it lies: an error, or a state that reads as it did."""
    path = await filled(tmp_path)
    good = path.read_bytes()
    wanted = ask(tmp_path, "SELECT id, digest FROM records ORDER BY id")
    caught = 0
    for page in range(len(good) // 4096):
        path.write_bytes(good)
        patch(path, page * 4096 + (100 if page == 0 else 0), b"\xa5" * 8)
        try:
            with closing(schema.prepare(path, ScriptedDisk())) as db:
                assert db.execute("SELECT id, digest FROM records ORDER BY id").fetchall() == wanted
        except StateError:
            caught += 1
        for name in ("state.db-wal", "state.db-shm"):
            (path.parent / name).unlink(missing_ok=True)
    assert caught > 10


def test_a_state_without_its_epoch_is_an_error(tmp_path):
    """A state whose row of the epoch is gone is a StateError, and nobody waits for ever."""
    program = (
        "import asyncio, sys\n"
        "from paragon_async.errors import StateError\n"
        "from paragon_async.ingest import State\n"
        "import sqlite3\n"
        "async def go():\n"
        "    async with State(sys.argv[1]): pass\n"
        "    with sqlite3.connect(sys.argv[1] + '/.paragon/state.db') as db:\n"
        "        db.execute('DELETE FROM meta')\n"
        "    db.close()\n"
        "    try:\n"
        "        async with State(sys.argv[1]): pass\n"
        "    except StateError: print('named')\n"
        "asyncio.run(go())\n"
    )
    # In a process of its own: a state that is waited for in vain cannot be cancelled.
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        shown, _ = child.communicate(timeout=50)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert shown == b"named\n"


async def test_a_damaged_cursor_is_not_believed(tmp_path):
    """A cursor that was altered in its row is a StateError, not a place to resume from."""
    await filled(tmp_path)
    ask(tmp_path, "UPDATE feeds SET cursor = 'c2'")
    async with State(tmp_path) as state:
        book = await state.book(FEED, "folder:x")
        with pytest.raises(StateError, match="cursor of sync s of user u is damaged"):
            await book.cursor()


async def test_a_cursor_that_was_emptied_is_not_believed(tmp_path):
    """A cursor that was lost from its row is a StateError: the pull does not begin again unasked."""
    await filled(tmp_path)
    ask(tmp_path, "UPDATE feeds SET cursor = NULL")
    async with State(tmp_path) as state:
        book = await state.book(FEED, "folder:x")
        with pytest.raises(StateError, match="cursor"):
            await book.cursor()


def test_made_at_once_whole(tmp_path):
    """A missing state is made beside, renamed and flushed: the name never stands for half of one."""
    disk = ScriptedDisk()
    path = tmp_path / "state.db"
    schema.prepare(path, disk).close()
    assert disk.named("replace", "sync_folder") == [
        ("replace", "state.db"), ("sync_folder", tmp_path.name),
    ]  # fmt: skip
    assert os.listdir(tmp_path) == ["state.db"]


@pytest.mark.parametrize("method", ["replace", "sync_folder", "unlink"])
def test_a_disk_that_refuses_while_it_is_made(tmp_path, method):
    """Whichever call of the disk fails, there is no state or a good one, and the next opening works."""
    path = tmp_path / "state.db"
    disk = ScriptedDisk(lambda name, _: name in {method, "replace" if method == "unlink" else ""})
    with pytest.raises(OSError):  # noqa: PT011  # whatever the disk says
        schema.prepare(path, disk)
    left = [name for name in os.listdir(tmp_path) if method != "unlink"]
    assert left in ([], ["state.db"])
    if path.exists():
        with closing(schema.read_only(path)) as db:
            assert db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchall() == [(0,)]
    schema.prepare(path, ScriptedDisk()).close()


async def test_a_refusing_disk_is_named(tmp_path):
    """A disk that refuses to give the new state its name is a DestinationError with its number."""
    disk = ScriptedDisk(lambda name, path: (name, path.name) == ("replace", "state.db"))
    with pytest.raises(DestinationError) as caught:
        await Database(tmp_path / "state.db", disk).open()
    assert caught.value.errno == disk.number
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("at", range(1, 25))
def test_sqlite_that_refuses_while_it_is_made(tmp_path, at):
    """Whichever statement fails while tables are made, there is no state or a good one."""

    class Refusing(sqlite3.Connection):
        steps = 0

    def connect(path):
        made = sqlite3.connect(path, isolation_level=None, uri=True, factory=Refusing)

        def count(*_):
            Refusing.steps += 1
            return sqlite3.SQLITE_DENY if Refusing.steps == at * 4 else sqlite3.SQLITE_OK

        made.set_authorizer(count)
        return made

    path = tmp_path / "state.db"
    with pytest.raises((sqlite3.Error, StateError)):
        schema.prepare(path, ScriptedDisk(), connect).close()
    assert os.listdir(tmp_path) in ([], ["state.db"])
    schema.prepare(path, ScriptedDisk()).close()


def test_looking_at_a_mirror_that_is_none(tmp_path):
    """Reading the state of a folder without one says so, and makes nothing."""
    with pytest.raises(StateError, match="there is no mirror here"):
        schema.read_only(tmp_path / "state.db")
    assert os.listdir(tmp_path) == []


async def test_a_copy_of_a_state_is_a_state(tmp_path):
    """A state that was closed is one file, with everything in it: it can be copied."""
    path = await filled(tmp_path / "a")
    assert everything(path.parent).keys() == {"state.db"}
    (tmp_path / "b" / ".paragon").mkdir(parents=True)
    shutil.copy(path, tmp_path / "b" / ".paragon" / "state.db")
    async with State(tmp_path / "b") as state:
        assert await (await state.book(FEED, "folder:x")).cursor() == "c1"
