"""The disk behind one protocol, so that every refusal it can make can be tested exactly.

All methods block: call them from a thread. They raise what the operating system raises, `OSError`,
or `ValueError` for a name that cannot be one. Source: failures.md F90 to F101.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_OLD = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)

# Reasons of a disk that concern one name alone, such as something else in its place; all others
# concern every file to come.
OF_ONE_NAME = frozenset({
    None, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST,
    errno.ENOTEMPTY, errno.ELOOP,
})  # fmt: skip


class Disk(Protocol):
    """What is asked of a disk. Files are descriptors, names are paths."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; it must not exist, not even as a link."""
        ...

    def append(self, path: Path) -> int:
        """Open a file, new or not, to write at its end; never through a link."""
        ...

    def write(self, file: int, data: bytes | memoryview) -> None:
        """Write all of *data*."""
        ...

    def truncate(self, file: int, size: int) -> None:
        """Cut a file to *size* bytes and go on writing there."""
        ...

    def sync(self, file: int) -> None:
        """Make what was written last through a power cut."""
        ...

    def close(self, file: int) -> None:
        """Close a file."""
        ...

    def replace(self, path: Path, target: Path) -> None:
        """Give a file its name; what had that name before is gone in the same instant."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file; harmless where there is none."""
        ...

    def make_folder(self, path: Path) -> bool:
        """Make one folder; False where it is already. A link is no folder."""
        ...

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder; harmless where there is none."""
        ...

    def names(self, path: Path) -> list[str]:
        """Return what lies in a folder; nothing where there is no folder."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder last: without it a power cut can bring the old ones back."""
        ...

    def sync_all(self, path: Path) -> None:
        """Make everything last that was written on the file system of *path*."""
        ...


class SystemDisk:
    """The disk of the machine."""

    def create(self, path: Path) -> int:
        """Open a new file, never through a link."""
        return os.open(path, _NEW, 0o666)

    def append(self, path: Path) -> int:
        """Open a file at its end."""
        return os.open(path, _OLD, 0o666)

    def write(self, file: int, data: bytes | memoryview) -> None:
        """Write all of *data*, in as many steps as the system takes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]

    def truncate(self, file: int, size: int) -> None:
        """Cut a file and stand at its end."""
        os.ftruncate(file, size)
        os.lseek(file, size, os.SEEK_SET)

    def sync(self, file: int) -> None:
        """Flush a file to the device."""
        os.fsync(file)

    def close(self, file: int) -> None:
        """Close a file."""
        os.close(file)

    def replace(self, path: Path, target: Path) -> None:
        """Rename, replacing what is there."""
        os.replace(path, target)  # noqa: PTH105  # the method makes a Path that nobody wants

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink(missing_ok=True)

    def make_folder(self, path: Path) -> bool:
        """Make one folder; a link in its place is an error: it would lead out of the mirror."""
        try:
            path.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise NotADirectoryError(
                    errno.ENOTDIR, "there is something else in place of this folder", str(path)
                ) from None
            return False
        return True

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()

    def names(self, path: Path) -> list[str]:
        """List a folder."""
        try:
            return [entry.name for entry in path.iterdir()]
        except FileNotFoundError:
            return []

    def sync_folder(self, path: Path) -> None:
        """Flush a folder; some network file systems cannot, and do not need it."""
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
                raise
        finally:
            os.close(handle)

    def sync_all(self, path: Path) -> None:
        """Flush the file system of *path*; all file systems where one alone cannot be."""
        handle = os.open(path, os.O_RDONLY)
        try:
            if not _syncfs(handle, path):
                os.sync()
        finally:
            os.close(handle)


def _syncfs(handle: int, path: Path) -> bool:
    """Call the C library's `syncfs`, which Python does not offer; False where there is none."""
    import ctypes  # noqa: PLC0415  # heavy, and for flushing many files only

    try:
        flush: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError, TypeError):
        return False
    if flush(handle):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return True
