"""A part file beside its target, and threads that are never left behind.

Part.write / write_behind   append and hash
Part.commit                 sync, rename, sync the folder
Part.discard                remove; harmless after a commit
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from paragon_async.errors import DownloadError

T = TypeVar("T")
P = ParamSpec("P")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run *work* in a thread. Cancelling waits for it to end: a thread cannot be called back."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    return await finished(task)


async def finished(task: asyncio.Future[T]) -> T:
    """Await *task* to its real end, also when the caller is cancelled meanwhile."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()
        raise


class Part:
    """One file on its way. All methods but `write_behind` and `settle` block: use `in_thread`."""

    def __init__(self, target: Path, algorithms: Iterable[str]) -> None:
        self.target = target
        self.size = 0
        self._algorithms = tuple(algorithms)
        self._hashes = self._fresh()
        self._path = target.with_name(f".paragon-{secrets.token_hex(8)}.part")
        self._file: int | None = None
        self._behind: asyncio.Future[None] | None = None

    def write(self, chunks: Iterable[bytes]) -> None:
        """Append *chunks*, all or an error."""
        try:
            file = self._open()
            for chunk in chunks:
                for running in self._hashes.values():
                    running.update(chunk)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(file, rest) :]
                self.size += len(chunk)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    async def write_behind(self, chunks: list[bytes]) -> None:
        """Hand *chunks* to a thread and return as soon as the batch before them is written."""
        await self.settle()
        self._behind = asyncio.ensure_future(asyncio.to_thread(self.write, chunks))

    async def settle(self) -> None:
        """Wait for the batch that is being written."""
        behind, self._behind = self._behind, None
        if behind is not None:
            await finished(behind)

    def restart(self) -> None:
        """Throw away what has come and begin at zero."""
        try:
            if self._file is not None:
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        self.size = 0
        self._hashes = self._fresh()

    def digests(self) -> dict[str, str]:
        """Return the hex digest of what was written, by algorithm."""
        return {name: running.hexdigest() for name, running in self._hashes.items()}

    def commit(self) -> None:
        """Make the file durable under its final name; only then does the old one go."""
        try:
            file = self._open()
            os.fsync(file)
            self._file = None
            os.close(file)
            self._path.replace(self.target)
            _sync_folder(self.target.parent)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    def discard(self) -> None:
        """Close and remove the part file, if there still is one."""
        file, self._file = self._file, None
        # Whatever made the download fail is what the caller must hear of, not this.
        with contextlib.suppress(OSError, ValueError):
            if file is not None:
                os.close(file)
        with contextlib.suppress(OSError, ValueError):
            self._path.unlink(missing_ok=True)

    async def abandon(self) -> None:
        """Let the batch under way end, then `discard`, whatever else happens to the caller."""
        behind, self._behind = self._behind, None
        try:
            with contextlib.suppress(DownloadError):
                if behind is not None:
                    await finished(behind)
        finally:
            await in_thread(self.discard)

    def _open(self) -> int:
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.open(self._path, flags, 0o666)
        return self._file

    def _fresh(self) -> dict[str, Any]:
        return {name: hashlib.new(name, usedforsecurity=False) for name in self._algorithms}

    def _refused(self, error: OSError | ValueError) -> DownloadError:
        reason = getattr(error, "strerror", None) or str(error)
        return DownloadError(f"cannot write {str(self.target)!r}: {reason}")


def _sync_folder(folder: Path) -> None:
    """Make a rename last: without it a power cut can bring the old name back."""
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot do it, and do not need it.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(handle)
