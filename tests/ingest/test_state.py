from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from paragon_async.errors import DestinationError, IngestError, SinkError, StateHeldError
from paragon_async.ingest import DeadLetter, Feed, FolderSink, Ingest, State
from tests.fakes import FakeClock
from tests.ingest.fakes import ScriptedDisk, ask, contents, ingest, source

FEED = Feed(project="p", user="u", sync="s")


async def test_what_was_on_its_way_is_swept(tmp_path):
    """Contents that a killed run left in the spool are gone once the state is open."""
    async with State(tmp_path) as state:
        (state.spool / "aa").write_bytes(b"half")
        (state.spool / ".paragon-bb.part").write_bytes(b"half")
    async with State(tmp_path) as state:
        assert os.listdir(state.spool) == []


async def test_half_made_states_are_swept(tmp_path):
    """What a kill left of a state that was being made is removed, its journal too."""
    home = tmp_path / ".paragon"
    home.mkdir()
    for name in ("state.db.1a2b3c4d.new", "state.db.1a2b3c4d.new-journal"):
        (home / name).write_bytes(b"half")
    async with State(tmp_path):
        assert not [name for name in os.listdir(home) if ".new" in name]


@pytest.mark.parametrize("method", ["make_folder", "unlink", "names", "sync_folder"])
async def test_a_disk_that_refuses_the_opening(tmp_path, method):
    """A disk that refuses while the folders are made is a DestinationError; the next opening works."""
    async with State(tmp_path) as state:
        (state.spool / "left").write_bytes(b"half")
    if method == "sync_folder":
        (state.spool / "left").unlink()
        state.spool.rmdir()
    disk = ScriptedDisk(lambda name, _: name == method)
    with pytest.raises(DestinationError, match="for a mirror") as caught:
        await State(tmp_path, disk=disk).__aenter__()
    assert caught.value.errno == disk.number
    async with State(tmp_path) as state:
        assert os.listdir(state.spool) == []


async def test_what_a_killed_opening_made_is_flushed_by_the_next(tmp_path):
    """Folders that are there already can be too new to last: every opening flushes their names."""
    (tmp_path / ".paragon" / "tmp").mkdir(parents=True)
    disk = ScriptedDisk()
    async with State(tmp_path, disk=disk):
        assert [name for _, name in disk.named("sync_folder")][:2] == [".paragon", tmp_path.name]


async def test_entering_again_shares(tmp_path):
    """A state that is entered twice is open until it was left twice."""
    state = State(tmp_path)
    async with state:
        async with state as same:
            assert same is state
        book = await state.book(FEED, "folder:x")
        assert await book.cursor() is None
    with pytest.raises(IngestError, match="not open"):
        await state.book(FEED, "folder:x")
    async with state:
        assert await (await state.book(FEED, "folder:x")).alive() == 0


async def test_two_at_once_share(tmp_path):
    """Two tasks that enter one state at the same time open it once, and both can use it."""
    state = State(tmp_path)
    both = asyncio.Barrier(2)

    async def use(user):
        async with state:
            await both.wait()
            book = await state.book(Feed(project="p", user=user, sync="s"), f"folder:{user}")
            await both.wait()
            return book.number

    assert sorted(await asyncio.gather(use("a"), use("b"))) == [1, 2]
    assert ask(tmp_path, "SELECT value FROM meta WHERE key = 'epoch'") == [(1,)]


async def test_a_failed_opening_leaves_it_closed(tmp_path):
    """A state whose opening failed holds nothing, and can be opened once the reason is gone."""
    holder = State(tmp_path)
    waiting = State(tmp_path)
    async with holder:
        with pytest.raises(StateHeldError):
            await waiting.__aenter__()
    async with waiting:
        await waiting.book(FEED, "folder:x")


async def test_cancelled_while_it_opens(tmp_path):
    """Wherever the opening is cancelled, the lock is free afterwards."""
    for ticks in range(12):
        state = State(tmp_path)
        task = asyncio.create_task(state.__aenter__())
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        else:
            await state.__aexit__(None, None, None)
        async with State(tmp_path):
            pass


async def test_a_destination_takes_one_sync(tmp_path):
    """A second sync into the same destination is a SinkError that names the first."""
    async with State(tmp_path) as state:
        first = await state.book(FEED, "folder:x")
        await first.bury([DeadLetter(id="r", name=None, kind="404", reason="gone")])
        for other in (Feed(project="p", user="v", sync="s"), Feed(project="p", user="u", sync="t")):
            with pytest.raises(SinkError, match="already holds sync s of user u"):
                await state.book(other, "folder:x")
        await state.book(Feed(project="p", user="v", sync="s"), "folder:y")


async def test_a_sync_of_which_nothing_is_stored_gives_way(tmp_path):
    """A feed that was never more than a mistyped id leaves its destination to the next."""
    async with State(tmp_path) as state:
        await state.book(FEED, "folder:x")
        other = await state.book(Feed(project="p", user="u", sync="t"), "folder:x")
        assert other.number == 2
        with state.claimed(other.feed), pytest.raises(SinkError, match="already holds sync t"):
            await state.book(FEED, "folder:x")


async def test_a_sync_keeps_its_destination(tmp_path):
    """A sync that went to one destination by this state is not sent to another."""
    async with State(tmp_path) as state:
        await state.book(FEED, "folder:x")
        with pytest.raises(SinkError, match="goes to folder:x by this state, not to folder:y"):
            await state.book(FEED, "folder:y")
    assert ask(tmp_path, "SELECT sink FROM feeds") == [("folder:x",)]


async def test_a_second_sync_changes_nothing(user, sync_id, tmp_path, folder):
    """A second sync into the folder of a first is refused before it writes or deletes anything."""
    mirror = tmp_path / "mirror"
    await ingest(user, sync_id, mirror).run()
    other = await user.syncs.enable("box", "files")
    await user.syncs.wait_until_idle(other.id, timeout=10)
    with pytest.raises(SinkError, match=sync_id):
        await ingest(user, other.id, mirror).run()
    assert contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


async def test_a_mirror_that_was_moved_goes_on(user, sync_id, tmp_path, folder, emulator):
    """A mirror whose folder was renamed as a whole is the same mirror: only changes are fetched."""
    await ingest(user, sync_id, tmp_path / "old").run()
    (tmp_path / "old").rename(tmp_path / "new")
    (folder / "more.txt").write_text("more")
    await emulator.refresh()
    report = await ingest(user, sync_id, tmp_path / "new").run()
    assert (report.records, report.created, report.files) == (1, 1, 1)
    assert (await ingest(user, sync_id, tmp_path / "new").verify(fetch=False)).is_good
    assert contents(tmp_path / "new") == source(folder)


async def test_one_feed_twice_at_once(user, sync_id, tmp_path):
    """Two runs of one feed over one open state: the second is refused, the first completes."""
    state = State(tmp_path / "mirror")
    runs = [Ingest(user, sync_id, FolderSink(tmp_path / "mirror"), state).run() for _ in range(2)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    (refused,) = [o for o in outcomes if isinstance(o, Exception)]
    (report,) = [o for o in outcomes if not isinstance(o, Exception)]
    assert type(refused) is IngestError and "being ingested already" in str(refused)
    assert report.files == 4
    assert (await ingest(user, sync_id, tmp_path / "mirror").run()).records == 0


async def test_two_ingests_by_path(user, sync_id, tmp_path, folder):
    """Two runs over one folder, each with its own state: the second is told who holds it."""
    outcomes = await asyncio.gather(
        *(ingest(user, sync_id, tmp_path / "mirror").run() for _ in range(2)),
        return_exceptions=True,
    )
    (refused,) = [o for o in outcomes if isinstance(o, Exception)]
    assert isinstance(refused, StateHeldError) and f"process {os.getpid()} " in refused.holder
    assert contents(tmp_path / "mirror") == source(folder)


async def test_letters_come_due_by_the_clock_that_is_given(tmp_path):
    """A letter that failed twice is due again after a minute of the state's own clock."""
    clock = FakeClock()
    letter = DeadLetter(id="r", name=None, kind="503", reason="no", passing=True)
    async with State(tmp_path, clock=clock) as state:
        book = await state.book(FEED, "folder:x")
        await book.bury([letter])
        assert await book.due() == ["r"]
        await book.bury([letter])
        assert await book.due() == []
        await clock.sleep(61)
        assert await book.due() == ["r"]


async def test_runs_are_noted(user, sync_id, tmp_path):
    """Each run leaves its kind, its outcome and its report in the state, for `status`."""
    made = ingest(user, sync_id, tmp_path)
    report = await made.run()
    await made.verify()
    rows = ask(tmp_path, "SELECT kind, outcome, report FROM runs ORDER BY run")
    assert [row[:2] for row in rows] == [("run", "done"), ("verify", "done")]
    assert json.loads(rows[0][2])["files"] == report.files == 4


def test_a_killed_making_leaves_nothing_for_good(tmp_path):
    """A process that is killed while it makes a state leaves nothing that the next opening keeps."""
    program = (
        "import os, signal, sqlite3, sys, asyncio\n"
        "from paragon_async.ingest import State, schema\n"
        "def connect(path):\n"
        "    made = schema.connect(path)\n"
        "    seen = []\n"
        "    def look(text):\n"
        "        seen.append(text)\n"
        "        if len(seen) == 9: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    made.set_trace_callback(look)\n"
        "    return made\n"
        "asyncio.run(State(sys.argv[1], connect=connect).__aenter__())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=20)
    assert done.returncode == -signal.SIGKILL
    home = tmp_path / ".paragon"
    assert [name for name in os.listdir(home) if ".new" in name]

    async def opened():
        async with State(tmp_path):
            assert not [name for name in os.listdir(home) if ".new" in name]

    asyncio.run(opened())
