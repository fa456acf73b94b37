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
from typing import Protocol, TypeVar

_NOT_A_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_WAY = getattr(os, "O_PATH", os.O_RDONLY) | _FOLDER | _NOT_A_LINK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOT_A_LINK
# Opening a pipe to write to it would wait for somebody to read.
_OLD = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NOT_A_LINK | getattr(os, "O_NONBLOCK", 0)

T = TypeVar("T")

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
    """The disk of the machine.

    Files are made for their owner alone, folders too; another *mode* is cut by the umask. What lies
    below *within* is reached folder by folder, none of them a link: whoever swaps one for a link while
    we work gets an error from us, and no file anywhere else.
    """

    _mode = 0o600
    _prefix: str | None = None

    def __init__(self, *, within: Path | None = None, mode: int = 0o600) -> None:
        self._mode = mode
        if within is not None and os.open in os.supports_dir_fd:
            root = os.fspath(within)
            self._prefix = "" if root == "." else root.rstrip("/") + "/"

    def create(self, path: Path) -> int:
        """Open a new file, never through a link."""
        return self._in(path, lambda name, home: os.open(name, _NEW, self._mode, dir_fd=home))

    def append(self, path: Path) -> int:
        """Open a file at its end; a pipe in its place is an error, not a wait."""
        return self._in(path, lambda name, home: os.open(name, _OLD, self._mode, dir_fd=home))

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
        rename = os.replace

        def between(old: str, source: int | None) -> None:
            self._in(target, lambda new, home: rename(old, new, src_dir_fd=source, dst_dir_fd=home))

        try:
            self._in(path, between)
        except OSError as error:
            if error.filename2 is not None:
                error.filename, error.filename2 = os.fspath(path), os.fspath(target)
            raise

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        with contextlib.suppress(FileNotFoundError):
            self._in(path, lambda name, home: os.unlink(name, dir_fd=home))

    def make_folder(self, path: Path) -> bool:
        """Make one folder; a link in its place is an error: it would lead out of the mirror."""
        # Who may read may also look for what there is to read.
        mode = self._mode | (self._mode & 0o444) >> 2

        def make(name: str, home: int | None) -> bool:
            try:
                os.mkdir(name, mode, dir_fd=home)
            except FileExistsError:
                found = os.stat(name, dir_fd=home, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    return False
                raise NotADirectoryError(
                    errno.ENOTDIR, "there is something else in place of this folder", str(path)
                ) from None
            return True

        return self._in(path, make)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        with contextlib.suppress(FileNotFoundError):
            self._in(path, lambda name, home: os.rmdir(name, dir_fd=home))

    def names(self, path: Path) -> list[str]:
        """List a folder."""
        try:
            if self._steps(path) is None:
                return os.listdir(path)  # noqa: PTH208  # names, not paths
            handle = self._look(path)
        except FileNotFoundError:
            return []
        try:
            return os.listdir(handle)  # noqa: PTH208  # a Path has no descriptor
        finally:
            os.close(handle)

    def sync_folder(self, path: Path) -> None:
        """Flush a folder; some network file systems cannot, and do not need it."""
        handle = self._look(path)
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

    def _look(self, path: Path) -> int:
        """Open a folder to look at it; one that is watched must be no link."""
        flags = os.O_RDONLY | _FOLDER | (0 if self._steps(path) is None else _NOT_A_LINK)
        return self._in(path, lambda name, home: os.open(name, flags, dir_fd=home))

    def _in(self, path: Path, work: Callable[[str, int | None], T]) -> T:
        """Do *work* on a name in its folder, which is None where no way has to be watched."""
        steps = None if self._prefix is None else self._steps(path)
        if steps is None:
            return work(os.fspath(path), None)
        home: int | None = None
        try:
            for step in steps[:-1]:
                above, home = home, os.open(step, _WAY, dir_fd=home)
                if above is not None:
                    os.close(above)
            return work(steps[-1], home)
        except OSError as error:
            if error.filename2 is None and "/" not in str(error.filename):
                error.filename = os.fspath(path)
            raise
        finally:
            if home is not None:
                os.close(home)

    def _steps(self, path: Path) -> list[str] | None:
        """Return the way down to *path*, the first step with all that lies above *within*."""
        text, prefix = os.fspath(path), self._prefix
        if prefix is None or not text.startswith(prefix) or (not prefix and text.startswith("/")):
            return None
        steps = text[len(prefix) :].split("/")
        if ".." in steps:
            raise OSError(errno.EINVAL, "the way leads out of the folder it belongs to", text)
        steps[0] = prefix + steps[0]
        return steps


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
