"""What the tests of the engine stand on: disks that note and refuse, a sink that stops, a quick client."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path

from paragon_async import Paragon, Retry
from paragon_async.disk import SystemDisk
from paragon_async.errors import SinkError
from paragon_async.ingest import FolderSink, Ingest

QUICK = Retry(attempts=2, first_wait=0.001, longest_wait=0.002)


class ScriptedDisk:
    """A real disk that notes its calls, and refuses those that *refuses(method, path)* names."""

    def __init__(self, refuses=lambda *_: False, number=errno.ENOSPC):
        self.refuses = refuses
        self.number = number
        self.calls = []
        self._real = SystemDisk()
        self._paths = {}

    def _do(self, method, path, *args):
        self.calls.append((method, path))
        if self.refuses(method, path):
            raise OSError(self.number, os.strerror(self.number), str(path))
        return getattr(self._real, method)(*args)

    def named(self, *methods):
        """Return the calls of *methods*, with the last part of each path."""
        return [(method, path.name) for method, path in self.calls if method in methods]

    def _open(self, method, path):
        file = self._do(method, path, path)
        self._paths[file] = path
        return file

    def create(self, path):
        return self._open("create", path)

    def append(self, path):
        return self._open("append", path)

    def write(self, file, data):
        self._do("write", self._paths[file], file, data)

    def truncate(self, file, size):
        self._do("truncate", self._paths[file], file, size)

    def sync(self, file):
        self._do("sync", self._paths[file], file)

    def close(self, file):
        path = self._paths.pop(file)
        try:
            self._do("close", path, file)
        except OSError:
            os.close(file)
            raise

    def replace(self, path, target):
        self._do("replace", target, path, target)

    def unlink(self, path):
        self._do("unlink", path, path)

    def make_folder(self, path):
        return self._do("make_folder", path, path)

    def remove_folder(self, path):
        self._do("remove_folder", path, path)

    def names(self, path):
        return self._do("names", path, path)

    def sync_folder(self, path):
        self._do("sync_folder", path, path)

    def sync_all(self, path):
        self._do("sync_all", path, path)


class StoppingSink(FolderSink):
    """A folder that stops the run right behind a `put` of a name in *stops*, as a kill would."""

    def __init__(self, folder, stops, **options):
        super().__init__(folder, **options)
        self.stops = stops

    async def put(self, source, record_id, name):
        path = await super().put(source, record_id, name)
        if name in self.stops:
            raise SinkError("stopped behind a put")
        return path


@asynccontextmanager
async def quick_user(emulator, name="user-1"):
    """A client of one user that gives up after two tries, without waiting."""
    async with Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url=emulator.url,
        retry=QUICK,
    ) as client:
        yield client.user(name)


def ingest(user, sync_id, folder, **options):
    """An ingest of a sync into a folder."""
    return Ingest(user, sync_id, FolderSink(folder), folder, **options)


def contents(folder):
    """Return the mirrored bytes by safe name; no test here has namesakes."""
    return {p.name: p.read_bytes() for p in (Path(folder) / "files").glob("*/*")}


def source(folder):
    """Return the drive's bytes by name."""
    return {p.name: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def rows(folder):
    """Return the mirrored records by name; each stands once."""
    lines = [
        json.loads(line)
        for path in (Path(folder) / "records").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    found = {line["name"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def asked(emulator, pattern="content"):
    """Count the calls whose path ends so."""
    return sum(call.path.endswith(pattern) for call in emulator.requests)


def ask(folder, query, *args):
    """Ask, or change, the state file of a mirror that nobody holds."""
    with closing(sqlite3.connect(Path(folder) / ".paragon" / "state.db")) as db, db:
        return db.execute(query, args).fetchall()


def letters(folder):
    """Return name, kind and whether it passes of all dead letters."""
    return ask(folder, "SELECT name, kind, passing FROM dead ORDER BY name")


def cursor(folder):
    """Return the saved cursor."""
    return ask(folder, "SELECT cursor FROM feeds")[0][0]
