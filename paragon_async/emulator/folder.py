"""What a look at a folder shows, and what it means held against the look before. No state, no clock.

Links to files are followed while they stay inside; links to folders are not, they could run in
circles. What vanished, or may not be read, the integration does not see either. A file that was
renamed or moved is known by its inode, size and time, a folder by its inode and what it holds: both
keep their ids, as on the services. Where that cannot be told for sure it is a deletion and a creation.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

GRANTS = b".paragon.toml"


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


def look(root: Path, skip: frozenset[str] = frozenset()) -> list[Seen]:
    """Read the tree, parents first; folders with a name in *skip* are left out with all they hold.

    Raises FileNotFoundError when the root is gone.
    """
    if not root.is_dir():
        raise FileNotFoundError("The folder of this account is gone")
    top = os.fsencode(root)
    inside = Path(os.path.realpath(root))
    found: list[Seen] = []
    hidden = {os.fsencode(name) for name in skip}
    for folder, folders, files in os.walk(top, followlinks=False):
        folders[:] = sorted(
            f
            for f in folders
            if f not in hidden and not os.path.islink(os.path.join(folder, f))  # noqa: PTH114, PTH118  # names are bytes
        )
        for name in [*folders, *sorted(files)]:
            found.extend(_seen(top, os.path.join(folder, name), inside))  # noqa: PTH118  # names are bytes
    return found


def _seen(top: bytes, path: bytes, inside: Path) -> Iterator[Seen]:
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            if not Path(os.fsdecode(os.path.realpath(path))).is_relative_to(inside):
                return
            info = os.stat(path)  # noqa: PTH116  # names are bytes
            if not stat.S_ISREG(info.st_mode):
                return
    except OSError:
        return
    if stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode):
        yield Seen(
            path=os.path.relpath(path, top),
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


def digest(root: Path, one: Seen) -> str | None:
    """Return a file's SHA-256, None if it changed or went while it was read."""
    path = os.path.join(os.fsencode(root), one.path)  # noqa: PTH118  # names are bytes
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # names are bytes
            value = hashlib.file_digest(file, "sha256").hexdigest()
            info = os.fstat(file.fileno())
    except OSError:
        return None
    return value if (info.st_size, info.st_mtime_ns) == (one.size, one.mtime) else None
