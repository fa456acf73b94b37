"""Files as the sinks see them: errors, looking without following links, and a file on its way.

refusals        errors of the system, and damage, as `SinkError`
Beside          a file on its way to be a place: written beside, synced, renamed
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from paragon_async.disk import Disk
from paragon_async.errors import SinkError

_BLOCK = 1 << 20
DAMAGE = (ValueError, msgspec.MsgspecError, FileNotFoundError)
VERIFY = "; verify the mirror"


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the system, or a damaged file, raises about *path* into a `SinkError`."""
    try:
        yield
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = VERIFY if isinstance(error, DAMAGE) else ""
        raise SinkError(f"{str(path)!r} cannot be used: {reason}{advice}") from error


def size_of(path: Path) -> int:
    """Return the bytes of a regular file, -1 where there is none; a link is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = path.lstat()
        return found.st_size if stat.S_ISREG(found.st_mode) else -1
    return -1


def make_folders(folder: Path, disk: Disk) -> None:
    """Make *folder* and what is missing above it, durably."""
    missing = itertools.takewhile(lambda each: not each.is_dir(), [folder, *folder.parents])
    for each in reversed(list(missing)):
        disk.make_folder(each)
        disk.sync_folder(each.parent)


def is_file(path: Path) -> bool:
    """Tell whether a regular file lies there; a link is none."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_folder(path: Path) -> bool:
    """Tell whether a folder lies there; a link is none."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def blocks(path: Path) -> Iterator[bytes]:
    """Yield what is in a file, a MiB at once."""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def digests(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Return the hex digest of a file by algorithm."""
    running = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    for block in blocks(path):
        for one in running.values():
            one.update(block)
    return {name: one.hexdigest() for name, one in running.items()}


class Beside(ABC):
    """A file on its way to be a place, made of rows of old ones. All methods block."""

    def __init__(self, folder: Path, prefix: str, disk: Disk) -> None:
        self.size = 0
        self._disk = disk
        self._path = folder / f".paragon-{prefix}-{secrets.token_hex(8)}.part"
        self._file: int | None = None

    @abstractmethod
    def take(self, path: Path, size: int, numbers: set[int]) -> None:
        """Copy the rows with these *numbers*, counted from 0, of the first *size* bytes of *path*."""

    def write(self, data: bytes) -> None:
        """Append *data*; the first call makes the file."""
        if self._file is None:
            self._file = self._disk.create(self._path)
        self._disk.write(self._file, data)
        self.size += len(data)

    def commit(self, target: Path) -> None:
        """Give what was written its name, for good."""
        file, self._file = self._file, None
        if file is None:
            raise ValueError("nothing was written")
        try:
            self._disk.sync(file)
        finally:
            self._disk.close(file)
        self._disk.replace(self._path, target)
        self._path = target
        self._disk.sync_folder(target.parent)

    def discard(self) -> None:
        """Remove what was written, under whichever name it lies by now."""
        file, self._file = self._file, None
        # Whatever went wrong is what the caller must hear of, not this.
        with contextlib.suppress(OSError, ValueError):
            if file is not None:
                self._disk.close(file)
        with contextlib.suppress(OSError, ValueError):
            self._disk.unlink(self._path)
