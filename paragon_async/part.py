"""A part file beside its target.

Part.write / write_behind   append and hash
Part.commit                 sync, rename, sync the folder
Part.discard                remove; harmless after a commit
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from paragon_async.disk import Disk, SystemDisk
from paragon_async.errors import DestinationError, DownloadError
from paragon_async.threads import begun, both, finished, in_thread

# A view must stay as it is until the batch after its own has been handed over.
Piece = bytes | memoryview


class Part:
    """One file on its way. All methods but `write_behind` and `settle` block: use `in_thread`."""

    def __init__(
        self, target: Callable[[], Path], algorithms: Iterable[str], disk: Disk | None = None
    ) -> None:
        self.size = 0
        self._disk = disk or SystemDisk()
        self._algorithms = tuple(algorithms)
        self._file: int | None = None
        self._behind: asyncio.Future[None] | None = None
        # Names and hashes wait for the first bytes: small files have them made in one go.
        self._name_target = target
        self._target: Path | None = None
        self._path: Path | None = None
        self._hashes: dict[str, Any] | None = None

    @property
    def target(self) -> Path:
        """The file's final name."""
        if self._target is None:
            self._target = self._name_target()
        return self._target

    def write(self, chunks: Sequence[Piece]) -> None:
        """Append *chunks*, all or an error."""
        self._hash(chunks)
        self._append(chunks)

    async def write_behind(self, chunks: Sequence[Piece]) -> None:
        """Hand *chunks* to threads and return as soon as the batch before them is written.

        One thread hashes while another writes: a file is then bound by the slower of the two.
        """
        await self.settle()
        writing = begun(self._append, chunks)
        self._behind = both(writing, begun(self._hash, chunks)) if self._algorithms else writing

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
        self._hashes = None

    def digests(self) -> dict[str, str]:
        """Return the hex digest of what was written, by algorithm."""
        return {name: running.hexdigest() for name, running in self._running().items()}

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
            self._disk.replace(self._part(), self.target)
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
            if self._path is not None:
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

    def _hash(self, chunks: Sequence[Piece]) -> None:
        for running in self._running().values():
            for chunk in chunks:
                running.update(chunk)

    def _append(self, chunks: Sequence[Piece]) -> None:
        try:
            file = self._open()
            for chunk in chunks:
                self._disk.write(file, chunk)
                self.size += len(chunk)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    def _open(self) -> int:
        if self._file is None:
            self._file = self._disk.create(self._part())
        return self._file

    def _part(self) -> Path:
        if self._path is None:
            self._path = self.target.with_name(f".paragon-{secrets.token_hex(8)}.part")
        return self._path

    def _running(self) -> dict[str, Any]:
        if self._hashes is None:
            names = self._algorithms
            self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        return self._hashes

    def _refused(self, error: OSError | ValueError) -> DownloadError:
        reason = getattr(error, "strerror", None) or str(error)
        number = getattr(error, "errno", None)
        return DestinationError(f"cannot write {str(self.target)!r}: {reason}", errno=number)
