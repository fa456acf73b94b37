"""A part file beside its target, and threads that are never left behind.

Part.write / write_behind   append and hash
Part.commit                 sync, rename, sync the folder
Part.discard                remove; harmless after a commit
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from paragon_async.disk import Disk, SystemDisk
from paragon_async.errors import DestinationError, DownloadError

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
        # A cancelled scope of anyio cancels every wait again, which would make this a busy one.
        from anyio import CancelScope  # noqa: PLC0415  # only who is cancelled pays for it

        while not task.done():
            with contextlib.suppress(asyncio.CancelledError), CancelScope(shield=True):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise


class Part:
    """One file on its way. All methods but `write_behind` and `settle` block: use `in_thread`."""

    def __init__(self, target: Path, algorithms: Iterable[str], disk: Disk | None = None) -> None:
        self.target = target
        self.size = 0
        self._disk = disk or SystemDisk()
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
                self._disk.write(file, chunk)
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
                self._disk.truncate(self._file, 0)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        self.size = 0
        self._hashes = self._fresh()

    def digests(self) -> dict[str, str]:
        """Return the hex digest of what was written, by algorithm."""
        return {name: running.hexdigest() for name, running in self._hashes.items()}

    def commit(self, *, durable: bool = True) -> None:
        """Give the file its final name; only then does the old one go.

        Not *durable*, a power cut soon after can leave an empty or broken file under that name.
        """
        try:
            file = self._open()
            if durable:
                self._disk.sync(file)
            self._file = None
            self._disk.close(file)
            self._disk.replace(self._path, self.target)
            if durable:
                self._disk.sync_folder(self.target.parent)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    def discard(self) -> None:
        """Close and remove the part file, if there still is one."""
        file, self._file = self._file, None
        # Whatever made the download fail is what the caller must hear of, not this.
        with contextlib.suppress(OSError, ValueError):
            if file is not None:
                self._disk.close(file)
        with contextlib.suppress(OSError, ValueError):
            self._disk.unlink(self._path)

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
            self._file = self._disk.create(self._path)
        return self._file

    def _fresh(self) -> dict[str, Any]:
        return {name: hashlib.new(name, usedforsecurity=False) for name in self._algorithms}

    def _refused(self, error: OSError | ValueError) -> DownloadError:
        reason = getattr(error, "strerror", None) or str(error)
        number = getattr(error, "errno", None)
        return DestinationError(f"cannot write {str(self.target)!r}: {reason}", errno=number)
