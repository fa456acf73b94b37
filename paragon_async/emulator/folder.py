"""What a look at a folder shows, and what it means held against the look before. No state, no clock.

Links to files are followed while they stay inside; links to folders are not, they could run in
circles. Of what may not be read nothing is known: it is neither new nor gone. A file that was
renamed or moved is known by its inode, size and time, a folder by its inode and what it holds: both
keep their ids, as on the services. Where that cannot be told for sure it is a deletion and a creation.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

GRANTS = b".paragon.toml"
_PIECE = 1 << 20


class Known(Protocol):
    """A row of what is known already, of which columns are read."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a column."""


@attrs.frozen(kw_only=True)
class Seen:
    """One file or folder as it lies on disk; *path* is relative to the mount."""

    path: bytes
    is_folder: bool
    device: int
    inode: int
    size: int
    mtime: int
    changed: int

    @property
    def identity(self) -> tuple[bool, int, int]:
        """What a rename keeps."""
        return self.is_folder, self.device, self.inode


@attrs.define
class Look:
    """What a look found, and the paths of which nothing is known, for they could not be read."""

    seen: list[Seen] = attrs.field(factory=list)
    unread: dict[bytes, str] = attrs.field(factory=dict)

    def is_unread(self, path: bytes) -> bool:
        """Tell whether a path, or a folder above it, could not be read."""
        while path and path not in self.unread:
            path = above(path)
        return path in self.unread


def look(root: Path, skip: frozenset[str] = frozenset()) -> Look:
    """Read the tree, parents first; folders with a name in *skip* are left out with all they hold.

    Raises FileNotFoundError when the root is gone.
    """
    if not root.is_dir():
        raise FileNotFoundError("The folder of this account is gone")
    top = os.fsencode(root)
    inside = Path(os.path.realpath(root))
    hidden = {os.fsencode(name) for name in skip}
    found = Look()
    folders = [b""]
    while folders:
        folder = folders.pop()
        below = []
        for entry in _entries(top, folder, found):
            one = _seen(entry, folder + b"/" + entry.name if folder else entry.name, inside, found)
            if one is None or (one.is_folder and entry.name in hidden):
                continue
            found.seen.append(one)
            if one.is_folder:
                below.append(one.path)
        folders += reversed(below)
    return found


def _entries(top: bytes, folder: bytes, found: Look) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(top + b"/" + folder if folder else top) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        found.unread[folder] = error.strerror or str(error)
        return []


def _seen(entry: os.DirEntry[bytes], path: bytes, inside: Path, found: Look) -> Seen | None:
    try:
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(info.st_mode):
            if not Path(os.fsdecode(os.path.realpath(entry.path))).is_relative_to(inside):
                return None
            info = entry.stat()
            if not stat.S_ISREG(info.st_mode):
                return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found.unread[path] = error.strerror or str(error)
        return None
    if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
        return None
    return Seen(
        path=path,
        is_folder=stat.S_ISDIR(info.st_mode),
        device=info.st_dev,
        inode=info.st_ino,
        size=info.st_size,
        mtime=info.st_mtime_ns,
        changed=info.st_ctime_ns,
    )


def locate(root: Path, relative: bytes) -> Path | None:
    """Return the regular file behind a record, None if it is gone or leads out of the mount."""
    path = root / os.fsdecode(relative)
    try:
        inside = path.resolve(strict=True).is_relative_to(root.resolve())
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return None
    return path if inside and regular else None


def pair(known: Mapping[bytes, Known], seen: Iterable[Seen]) -> dict[bytes, Known]:
    """Tell which known item each path is now; paths that are new are left out."""
    found = {one.path: one for one in seen}
    pairs = {
        path: known[path]
        for path, one in found.items()
        if path in known and (known[path]["kind"] == "folder") == one.is_folder
    }
    lost = _single((_identity(row), row) for path, row in known.items() if path not in pairs)
    fresh = _single((one.identity, one) for path, one in found.items() if path not in pairs)
    inside = _children(found) if fresh else {}
    held = _children_known(known) if lost else {}
    for identity, one in fresh.items():
        row = lost.get(identity)
        if row is not None and _is_same(one, row, inside, held):
            pairs[one.path] = row
    return pairs


def _identity(row: Known) -> tuple[bool, int, int]:
    return row["kind"] == "folder", row["device"], row["inode"]


def _single(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Keep what is named once: of two hard links nobody can tell which one moved."""
    listed = list(pairs)
    counts = Counter(key for key, _ in listed)
    return {key: value for key, value in listed if counts[key] == 1}


def _is_same(
    one: Seen, row: Known, inside: dict[bytes, set[int]], held: dict[bytes, set[int]]
) -> bool:
    """Tell whether an inode still is the thing it was: numbers of deleted ones are used again."""
    if one.mtime == row["mtime"] and (one.is_folder or one.size == row["size"]):
        return True
    return one.is_folder and bool(inside.get(one.path, set()) & held.get(row["path"], set()))


def _children(found: Mapping[bytes, Seen]) -> dict[bytes, set[int]]:
    children: dict[bytes, set[int]] = {}
    for path, one in found.items():
        children.setdefault(above(path), set()).add(one.inode)
    return children


def _children_known(known: Mapping[bytes, Known]) -> dict[bytes, set[int]]:
    children: dict[bytes, set[int]] = {}
    for path, row in known.items():
        children.setdefault(above(path), set()).add(row["inode"])
    return children


def above(path: bytes) -> bytes:
    """Return the path of the folder that holds a path, b"" for the root."""
    return path.rpartition(b"/")[0]


def digest(root: Path, one: Seen, stop: threading.Event) -> str | None:
    """Return a file's SHA-256, None if it changed or went while it was read, or if *stop* is set.

    Raises OSError when it may not be read.
    """
    path = os.path.join(os.fsencode(root), one.path)  # noqa: PTH118  # names are bytes
    value = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # names are bytes
            while not stop.is_set() and (piece := file.read(_PIECE)):
                value.update(piece)
            info = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    is_whole = (info.st_size, info.st_mtime_ns) == (one.size, one.mtime) and not stop.is_set()
    return value.hexdigest() if is_whole else None
