"""A disk that forgets what was not flushed. What the engine sees is a real folder; beside it stands what
would be left after a power cut.

    file        bytes last until `sync`; before that they are whole, cut, zeros, or missing
    name        made, changed or gone for good with `sync_folder` of its folder, or `sync_all`; before
                that each change is there or not: a prefix of them, or any of them
    state.db    SQLite flushes by itself; it lasts up to its last commit, if it was told to be FULL

A rename is one change, as in every journal. A process that is killed leaves all that it wrote.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

import attrs

from paragon_async.disk import SystemDisk

FOLDER = object()


@attrs.define(eq=False)
class Inode:
    """A file under whichever name: the bytes that last, and those it had when it lost its last name."""

    durable: bytes = b""
    last: bytes | None = None
    is_dirty: bool = True
    is_database: bool = False


@attrs.frozen(eq=False)
class Change:
    """One change of names, not flushed: entries by path, None for one that is gone."""

    entries: dict


class SimDisk:
    """The disk of one mirror at *root*. *spell* tells whether a call fails, and with which number."""

    def __init__(self, world, root, spell=lambda _: None):
        self.root = root
        self.open_now = {}
        self.last_database = None
        self._world = world
        self._spell = spell
        self._real = SystemDisk()
        self._dice = world.dice("disk")
        self._live = {}
        self._kept = {root: FOLDER}
        self._changes = []
        self._image = {}

    # What the engine asks.

    def create(self, path):
        self._event("create", path)
        file = self._real.create(path)
        self._name({path: Inode()})
        self.open_now[file] = path
        return file

    def append(self, path):
        self._event("append", path)
        is_new = not os.path.lexists(path)
        file = self._real.append(path)
        if is_new:
            self._name({path: Inode()})
        self.open_now[file] = path
        return file

    def write(self, file, data):
        path = self.open_now[file]
        self._live[path].is_dirty = True
        try:
            self._event("write", path, len(data))
        except OSError:
            # A write that fails, or in which a process dies, can have begun.
            self._real.write(file, bytes(data)[: self._dice.randrange(len(data) + 1)])
            raise
        self._real.write(file, data)

    def truncate(self, file, size):
        path = self.open_now[file]
        self._event("truncate", path, size)
        if path.stat().st_size != size:
            self._live[path].is_dirty = True
        self._real.truncate(file, size)

    def sync(self, file):
        path = self.open_now[file]
        self._event("sync", path)
        self._flush(path)

    def close(self, file):
        path = self.open_now.pop(file)
        self._real.close(file)
        self._event("close", path)

    def replace(self, path, target):
        self._event("replace", path, target)
        self._lose(target)
        self._real.replace(path, target)
        # SQLite makes its file by itself, and flushes it.
        inode = self._live.pop(path, None) or Inode(is_dirty=False, is_database=True)
        self._name({path: None, target: inode})

    def unlink(self, path):
        self._event("unlink", path)
        if os.path.lexists(path):
            self._lose(path)
            self._real.unlink(path)
            self._name({path: None})

    def make_folder(self, path):
        self._event("folder", path)
        made = self._real.make_folder(path)
        if made:
            self._name({path: FOLDER})
        return made

    def remove_folder(self, path):
        self._event("remove", path)
        if path.is_dir():
            self._real.remove_folder(path)
            self._name({path: None})

    def names(self, path):
        self._event("names", path)
        # In the order in which they were made: that of the machine does not repeat.
        order = {each: number for number, each in enumerate(self._live)}
        return sorted(self._real.names(path), key=lambda n: (order.get(path / n, -1), len(n)))

    def sync_folder(self, path):
        self._event("sync folder", path)
        waiting, self._changes = self._changes, []
        for change in waiting:
            if any(each.parent == path for each in change.entries):
                self._last(change)
            else:
                self._changes.append(change)

    def sync_all(self, path):
        self._event("sync all", path)
        for each in self._live:
            self._flush(each)
        for change in self._changes:
            self._last(change)
        self._changes = []

    # What happens to it.

    def freeze(self):
        """Keep SQLite's files as they are at this instant; to be called at the moment of death."""
        home = self.root / ".paragon"
        self._image = {}
        for name in ("state.db", "state.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                self._image[home / name] = (home / name).read_bytes()

    def restore(self, *, power):
        """Become what a process finds that is started after a kill, or after a power cut."""
        for file in list(self.open_now):
            self._real.close(file)
        self.open_now = {}
        if power:
            self._rebuild()
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            with contextlib.suppress(FileNotFoundError):
                (self.root / ".paragon" / name).unlink()
        for path, data in self._image.items():
            if not power or (self.root / ".paragon/state.db") in self._live:
                path.write_bytes(data)

    def _event(self, kind, path, *words):
        """Tell the world; raise where the call fails, and where nobody is left to call."""
        if not self._world.dead:
            where = [
                each.relative_to(self.root) if isinstance(each, Path) else each
                for each in (path, *words)
            ]
            self._world.happens(kind, *where)
        number = errno.EIO if self._world.dead else self._spell(kind)
        if number:
            self._world.note("refused", kind, number)
            raise OSError(number, os.strerror(number), str(path))

    def _name(self, entries):
        for path, inode in entries.items():
            self._live.pop(path, None)
            if inode is not None:
                self._live[path] = inode
        self._changes.append(Change(entries))

    def _lose(self, path):
        inode = self._live.get(path)
        if isinstance(inode, Inode) and inode.is_dirty:
            inode.last = path.read_bytes()

    def _flush(self, path):
        inode = self._live.get(path)
        if isinstance(inode, Inode) and inode.is_dirty:
            inode.durable, inode.is_dirty = path.read_bytes(), False

    def _last(self, change):
        for path, inode in change.entries.items():
            self._kept.pop(path, None)
            if inode is not None:
                self._kept[path] = inode

    def _rebuild(self):
        """Keep what was flushed, and of the rest what chance lets be."""
        for change in self._survivors():
            self._last(change)
        paths = {id(inode): path for path, inode in self._live.items()}
        files = {id(i): i for i in (*self._kept.values(), *self._live.values()) if i is not FOLDER}
        bytes_ = {key: self._left_of(inode, paths.get(key)) for key, inode in files.items()}
        kept = {path: inode for path, inode in self._kept.items() if self._is_reachable(path)}
        wanted = [
            (path, None if inode is FOLDER else bytes_.get(id(inode)), inode)
            for path, inode in kept.items()
        ]
        shutil.rmtree(self.root)
        self._live, self._kept, self._changes = {}, {}, []
        for path, data, inode in sorted(wanted, key=lambda each: len(each[0].parts)):
            if data is None:
                path.mkdir()
            elif not inode.is_database:
                path.write_bytes(data)
            self._live[path] = (
                inode if data is None or inode.is_database else Inode(data, None, is_dirty=False)
            )
        self._kept = dict(self._live)

    def _survivors(self):
        match self._dice.randrange(4):
            case 0:
                return []
            case 1:
                return self._changes
            case 2:
                return self._changes[: self._dice.randrange(len(self._changes) + 1)]
            case _:
                return [change for change in self._changes if self._dice.random() < 0.5]

    def _is_reachable(self, path):
        return path == self.root or (
            self._kept.get(path.parent) is FOLDER and self._is_reachable(path.parent)
        )

    def _left_of(self, inode, path):
        """Return the bytes that a file has after a power cut."""
        if inode.is_database or not inode.is_dirty:
            return inode.durable
        try:
            live = path.read_bytes() if path else inode.last or b""
        except FileNotFoundError:
            live = inode.last or b""
        safe = len(os.path.commonprefix([inode.durable, live]))  # noqa: RUF071  # bytes, no paths
        cut = self._dice.randint(safe, len(live))
        match self._dice.randrange(4):
            case 0:
                return inode.durable
            case 1:
                return live
            case 2:
                return live[:cut]
            case _:
                return live[:cut] + bytes(len(live) - cut)
