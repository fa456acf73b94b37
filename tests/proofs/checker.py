"""The one judge of a mirror: held against its source and the API, at its end and at any moment before.

    whole(…)     after a run that said it is done: files, receipts, rows, cursor, spool
    midway(…)    at any instant, also just after a kill: nothing partial, nothing promised too much
    clean(…)     after anything at all: no task, no thread and no open file that was not there before

The state is read from a copy, so that looking at it changes nothing. Source: failures.md R2.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import json
import shutil
import sqlite3
import tempfile
import threading
from collections import defaultdict
from pathlib import Path

import attrs


@attrs.frozen(eq=False)
class Drive:
    """A source folder, the emulator that serves it, and the sync of a user that shows it."""

    source: Path
    emulator: object
    user: object
    sync_id: str

    async def pull(self, after=None):
        """Return the records that the API gives, by id, in the feed's order."""
        found = {}
        async for record in self.user.records.pull(self.sync_id, after=after):
            found.pop(record.id, None)
            found[record.id] = record.data
        return found

    def path_of(self, id_):
        return self.emulator.source_of(self.sync_id, id_)


@attrs.frozen
class Saved:
    """What a state says: tables as lists of dicts, None for a state that was not made yet."""

    feeds: list
    receipts: dict
    records: dict
    places: dict
    dead: dict
    intents: set

    @property
    def cursor(self):
        return self.feeds[0]["cursor"] if self.feeds else None

    def is_going(self, id_):
        """Whether the state says that a content may be gone: its record is doomed, or never had a row.

        Without a row it is left by a killed run, and its tombstone came before its row did.
        """
        row = self.records.get(id_)
        return id_ in self.intents if row is None else row["doomed"] is not None


def saved(mirror):
    """Read the state as a program would find it that opens it now."""
    home = mirror / ".paragon"
    if not (home / "state.db").exists():
        return Saved([], {}, {}, {}, {}, set())
    with tempfile.TemporaryDirectory() as copy:
        for name in ("state.db", "state.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(home / name, copy)
        database = sqlite3.connect(Path(copy) / "state.db")
        database.row_factory = sqlite3.Row
        with contextlib.closing(database):
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            tables = {
                name: [dict(row) for row in database.execute(f"SELECT * FROM {name}")]  # noqa: S608  # our tables
                for name in ("feeds", "receipts", "records", "places", "dead", "intents")
            }
    assert len(tables["feeds"]) <= 1
    return Saved(
        tables["feeds"],
        {row["id"]: row for row in tables["receipts"]},
        {row["id"]: row for row in tables["records"]},
        {row["place"]: row for row in tables["places"]},
        {row["id"]: row for row in tables["dead"]},
        {row["id"] for row in tables["intents"]},
    )


def sha256_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(mirror):
    """Return the hash of every file under its final name, by its location."""
    found = {}
    for path in (mirror / "files").rglob("*"):
        assert not path.is_symlink()
        if path.is_file():
            found[path.relative_to(mirror).as_posix()] = sha256_of(path)
    return found


class Versions:
    """Every content that any record ever had, and the one that it has now."""

    def __init__(self):
        self.ever = defaultdict(set)
        self.now = {}

    async def note(self, drive):
        """Read the source as it is; to be called after each refresh."""
        self.now = {}
        for id_ in await drive.pull():
            source = drive.path_of(id_)
            if source is not None and source.is_file():
                self.now[id_] = sha256_of(source)
                self.ever[id_].add(self.now[id_])


async def whole(drive, mirror, *, swept=True, dead=()):
    """Assert that a mirror is its source, in every respect; *dead* contents may be old or missing.

    A run in which removing failed may leave files in the spool: *swept* false lets it.
    """
    records = await drive.pull()
    living = {id_: data for id_, data in records.items() if not data.get("deleted")}
    sources = {id_: drive.path_of(id_) for id_ in living}
    expected = {id_: sha256_of(path) for id_, path in sources.items() if path.is_file()}
    assert sorted(sources[id_] for id_ in expected) == sorted(
        path for path in drive.source.rglob("*") if path.is_file()
    ), "the feed is not the source: the test did not refresh"
    state, files = saved(mirror), files_of(mirror)
    _files_are(expected, state, files, set(dead))
    for receipt in state.receipts.values():
        _is_right(mirror, receipt, files)
    _rows_are(living, state, mirror, set(dead))
    assert set(state.dead) == set(dead)
    after = await drive.pull(state.cursor)
    assert not set(after) - set(records)
    assert all(data.get("deleted") or state.records[id_]["digest"] for id_, data in after.items())
    assert all(row["doomed"] is None for row in state.records.values())
    _nothing_beside(mirror, swept=swept)


async def midway(drive, mirror, versions, *, in_flight):
    """Assert what must hold at any instant: whole files, right receipts, rows, and a true cursor.

    At most *in_flight* contents may be ahead of their receipts, each a whole version of its record.
    """
    state, files = saved(mirror), files_of(mirror)
    for location, sha256 in files.items():
        id_ = Path(location).parts[1]
        assert sha256 in versions.ever[id_], f"{location} is no version of its source"
    ahead = {
        id_
        for id_, receipt in state.receipts.items()
        if files.get(receipt["path"]) != receipt["sha256"]
    }
    # The contents of what is to be deleted go before their receipts, however many they are.
    kept = {id_ for id_ in ahead if not state.is_going(id_)}
    assert len(kept) <= in_flight, "receipts promise what is not there"
    for id_ in kept:
        # Renamed or replaced already, and the receipt not yet written: the next run is told.
        assert id_ in state.intents, "a receipt is wrong, and nothing says so"
        assert any(path.startswith(f"files/{id_}/") for path in files)
    for id_ in state.receipts.keys() - ahead:
        _is_right(mirror, state.receipts[id_], files)
    if state.cursor is None:
        return
    await _cursor_is_true(drive, mirror, state, versions)


async def _cursor_is_true(drive, mirror, state, versions):
    """Whatever the feed shows up to the saved cursor is in the mirror, or a dead letter."""
    records = await drive.pull()
    ahead = await drive.pull(state.cursor)
    rows = _current_rows(state, mirror)
    for id_ in records.keys() - ahead.keys() - state.dead.keys():
        known = state.records.get(id_)
        if records[id_].get("deleted"):
            assert known is None or known["doomed"] or known["deleted_at"], "a tombstone was lost"
            continue
        assert _plain(rows[id_]) == records[id_], "a row before the cursor is not the record"
        if id_ in versions.now:
            assert state.receipts[id_]["sha256"] == versions.now[id_], "a content before the cursor"


def _files_are(expected, state, files, dead):
    held = {id_: sha256 for id_, sha256 in expected.items() if id_ not in dead}
    for id_, sha256 in held.items():
        assert state.receipts[id_]["sha256"] == sha256, f"{id_} has an old content"
    assert state.receipts.keys() <= expected.keys(), "a receipt of what is gone"
    assert set(files) == {receipt["path"] for receipt in state.receipts.values()}


def _is_right(mirror, receipt, files):
    assert files[receipt["path"]] == receipt["sha256"]
    assert (mirror / receipt["path"]).stat().st_size == receipt["size"]
    assert Path(receipt["path"]).parts[:2] == ("files", receipt["id"])


def _plain(row):
    return {key: value for key, value in row.items() if key not in {"_file", "_sha256"}}


def _rows_are(living, state, mirror, dead):
    rows = [
        json.loads(line)
        for path in sorted((mirror / "records").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows), "a record stands twice"
    assert by_id.keys() - dead == living.keys() - dead
    for id_, row in by_id.items():
        receipt = state.receipts.get(id_)
        assert _plain(row) == living[id_]
        if receipt is None:
            assert not {"_file", "_sha256"} & row.keys()
        else:
            assert (row["_file"], row["_sha256"]) == (receipt["path"], receipt["sha256"])


def _current_rows(state, mirror):
    """Return the rows that the state says count: the last of each id in its place."""
    found = {}
    for number, place in state.places.items():
        path = mirror / "records" / place["name"]
        data = path.read_bytes()
        assert len(data) >= place["size"], "the state is ahead of the rows"
        for line in data[: place["size"]].splitlines():
            row = json.loads(line)
            if (state.records.get(row["id"]) or {}).get("place") == number:
                found[row["id"]] = row
    return found


def _nothing_beside(mirror, *, swept):
    records = {path.name for path in (mirror / "records").iterdir()} - {".paragon-owner"}
    assert all(name.endswith(".jsonl") for name in records), records
    if swept:
        assert not list((mirror / ".paragon" / "tmp").iterdir())
        assert not list((mirror / ".paragon").glob("*.new"))


@attrs.frozen
class Standing:
    """The tasks and threads that are there before something is tried."""

    tasks: set
    threads: set

    @classmethod
    def now(cls):
        return cls(asyncio.all_tasks(), set(threading.enumerate()))


async def clean(before, *folders):
    """Assert that nothing is left: no task, no thread, no open file or database below *folders*.

    Idle workers of the loop's own pool are not counted: they end with their loop. Connections are
    counted by who accepts them.
    """
    for _ in range(20):  # what is closed says so to the loop, and is gone some turns later
        await asyncio.sleep(0)
    gc.collect()
    left = asyncio.all_tasks() - before.tasks - {asyncio.current_task()}
    assert not left, f"tasks are left: {left}"
    threads = {each.name for each in set(threading.enumerate()) - before.threads}
    assert not {name for name in threads if not name.startswith("asyncio_")}, threads
    assert not open_below(*folders)


def open_below(*folders):
    """Return the files below *folders* that this process has open, where the system tells."""
    found = []
    for link in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            path = str(link.readlink())
            if any(path.startswith(f"{folder}/") for folder in folders):
                found.append(path)
    return found
