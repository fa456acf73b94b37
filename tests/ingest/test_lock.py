from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from paragon_async.disk import SystemDisk
from paragon_async.errors import DestinationError, StateHeldError
from paragon_async.ingest import Feed, State
from paragon_async.ingest.database import Database
from paragon_async.ingest.lock import Lock
from paragon_async.ingest.statements import Batch
from tests.ingest.fakes import ask

FEED = Feed(project="p", user="u", sync="s")
HOLDER = """
import asyncio, sys
from paragon_async.ingest import State
async def go():
    async with State(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.read()
asyncio.run(go())
"""


@contextmanager
def another_process(folder):
    """Hold the state of *folder* in a child, until the child is killed or its input ends."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout.readline() == b"held\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


async def refused(folder):
    with pytest.raises(StateHeldError) as caught:
        await State(folder).__aenter__()
    return caught.value


async def test_another_process_is_named(tmp_path):
    """Who comes second is told which process of which machine holds the state, and since when."""
    with another_process(tmp_path) as child:
        error = await refused(tmp_path)
        assert f"process {child.pid} on {socket.gethostname()}, since 20" in str(error)
        assert re.search(r"since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", error.holder)
        assert str(tmp_path) in str(error)
        assert "wait for it to end, or choose another destination" in str(error)


async def test_a_killed_holder_holds_nothing(tmp_path):
    """After kill -9 of its holder the state opens at once, whatever the lock file says."""
    with another_process(tmp_path) as child:
        child.kill()
        child.wait()
        assert json.loads((tmp_path / ".paragon" / "lock").read_text())["pid"] == child.pid
        async with State(tmp_path) as state:
            await state.book(FEED, "folder:x")


async def test_a_second_state_in_one_process(tmp_path):
    """Another `State` over the same folder is refused like another process; the first goes on."""
    async with State(tmp_path) as state:
        error = await refused(tmp_path)
        assert f"process {os.getpid()} on" in error.holder
        book = await state.book(FEED, "folder:x")
        await book.commit(Batch(cursor="c"))
        assert await book.cursor() == "c"
        assert f"process {os.getpid()} on" in (await refused(tmp_path)).holder
    async with State(tmp_path):
        pass


async def test_the_refused_change_nothing(tmp_path):
    """Who is refused leaves contents on their way alone: they are the holder's."""
    async with State(tmp_path) as state:
        (state.spool / "coming").write_bytes(b"half")
        before = (tmp_path / ".paragon" / "lock").read_bytes()
        await refused(tmp_path)
        assert (state.spool / "coming").read_bytes() == b"half"
        assert (tmp_path / ".paragon" / "lock").read_bytes() == before


def test_an_unreadable_holder_is_another_process(tmp_path):
    """A lock file that tells nothing of its holder still refuses."""
    (tmp_path / ".paragon").mkdir()
    path = tmp_path / ".paragon" / "lock"
    first = Lock(path)
    first.take()
    for text in ("", "[]", "{}", "\x00\xff", '"pid"'):
        path.write_text(text)
        with pytest.raises(StateHeldError, match="another process works on it") as caught:
            Lock(path, pause=lambda _: None).take()
        assert caught.value.holder == "another process"
    first.release()
    first.release()


def test_a_holder_that_has_not_said_who_it_is(tmp_path):
    """Between a lock and the holder's name lies a moment: the refused asks again, and learns it."""
    path = tmp_path / ".paragon" / "lock"
    path.parent.mkdir()
    first = Lock(path)
    first.take()
    said = path.read_text()
    path.write_text("")
    with pytest.raises(StateHeldError) as caught:
        Lock(path, pause=lambda _: path.write_text(said)).take()
    assert f"process {os.getpid()} on" in caught.value.holder
    first.release()


def test_a_lock_that_cannot_be_opened(tmp_path):
    """A place where no lock file can be is a DestinationError with the system's number."""
    with pytest.raises(DestinationError, match="cannot open") as caught:
        Lock(tmp_path / "missing" / "lock").take()
    assert caught.value.errno == 2


async def test_a_file_in_place_of_the_folder(tmp_path):
    """A mirror whose folder is a file is a DestinationError, and the file stays."""
    (tmp_path / "mirror").write_text("mine")
    with pytest.raises(DestinationError, match="cannot use"):
        await State(tmp_path / "mirror").__aenter__()
    assert (tmp_path / "mirror").read_text() == "mine"


async def test_who_is_overtaken_writes_nothing_more(tmp_path):
    """Where a lock lies, the second opener fences the first: its next write is refused, whole."""
    async with State(tmp_path) as state:
        book = await state.book(FEED, "folder:x")
        await book.commit(Batch(cursor="first", rows={"a": b"1"}))
        second = Database(tmp_path / ".paragon" / "state.db", SystemDisk())
        await second.open()
        for _ in range(2):
            with pytest.raises(StateHeldError, match="taken over this state since"):
                await book.commit(Batch(cursor="late", rows={"b": b"2"}))
        with pytest.raises(StateHeldError):
            await book.cursor()
        taken = await second.run(lambda db: db.execute("SELECT cursor FROM feeds").fetchall())
        assert taken == [("first",)]
        await second.aclose()
    assert ask(tmp_path, "SELECT id FROM records") == [("a",)]
