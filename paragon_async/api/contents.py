"""Contents on their way to a disk: where they go, and how they are fetched, one or many."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal, get_args

import attrs

from paragon_async.api import endpoints, subject
from paragon_async.api.bulk import Complete, OnError, Source, checked, crew
from paragon_async.api.subject import Subject
from paragon_async.disk import Disk
from paragon_async.download import Durability, Progress, Saved, save
from paragon_async.errors import ConfigurationError, DestinationError, DownloadError, ParagonError
from paragon_async.threads import Inline, in_thread
from paragon_async.transport.channel import Channel
from paragon_async.transport.protocols import Response

_log = logging.getLogger("paragon_async.download")
DurabilityOfMany = Literal["file", "batch", "none"]


@attrs.frozen(eq=False, kw_only=True)
class Contents:
    """Fetches contents of one sync, all in the same way."""

    channel: Channel
    user: str | None
    inline: Inline
    sync_id: str
    durability: DurabilityOfMany = attrs.field()
    sha256: bool
    disk: Disk

    @durability.validator
    def _check(self, _: Any, value: object) -> None:
        if value not in get_args(DurabilityOfMany):
            raise ConfigurationError(f"no durability {value!r}: pass 'file', 'batch' or 'none'")

    async def bring(
        self, record: object, to: str | os.PathLike[str], progress: Progress | None
    ) -> Saved:
        """Store one content at *to*, a file or a folder."""
        if self.durability == "batch":
            raise ConfigurationError("durability 'batch' is for many files: use download_all")
        item = subject.of(record)
        path = target(to, item)
        return await self._save(item, lambda: path, progress)

    def bring_all(
        self,
        records: Source,
        folder: str | os.PathLike[str],
        concurrency: int,
        on_error: OnError | None,
    ) -> AsyncGenerator[Saved, None]:
        """Store many contents in *folder*; yields each as it is done, and settled."""
        checked(records, concurrency)
        place = Path(folder)
        try:
            is_there = stat.S_ISDIR(_mode(place) or 0)
        except (OSError, ValueError) as error:
            raise DownloadError(f"cannot write to {place}: {error}") from error
        if not is_there:
            raise DownloadError(f"there is no folder {place}")

        async def one(item: Subject, complete: Complete) -> Saved:
            return await self._save(item, lambda: place / item.file_name, None, complete)

        async def settle() -> None:
            try:
                await in_thread(self.disk.sync_all, place)
            except OSError as error:
                raise DestinationError(
                    f"cannot flush {str(place)!r}: {error.strerror}", errno=error.errno
                ) from error

        return crew(
            records,
            one,
            concurrency=concurrency,
            settle=settle if self.durability == "batch" else None,
            on_error=on_error,
        )

    async def _save(
        self,
        item: Subject,
        path: Callable[[], Path],
        progress: Progress | None,
        complete: Complete | None = None,
    ) -> Saved:
        each: Durability = "file" if self.durability == "file" else "none"

        def fetch(headers: Mapping[str, str]) -> AbstractAsyncContextManager[Response]:
            request = endpoints.record_content(self.sync_id, item.id, headers)
            return self.channel.open(request, self.user)

        return await save(
            fetch,
            path,
            item.evidence,
            again=self._again,
            progress=progress,
            durability=each,
            sha256=self.sha256,
            record_id=item.id,
            disk=self.disk,
            inline=self.inline,
            complete=complete,
        )

    async def _again(self, error: ParagonError, attempt: int) -> bool:
        wait = self.channel.patience(error, attempt)
        _log.debug("content broke off at attempt %d: %s; next in %s s", attempt, error, wait)
        if wait is None:
            return False
        await self.channel.clock.sleep(wait)
        return True


def target(given: str | os.PathLike[str], item: Subject) -> Path:
    """Return the file to write: *given* itself, or a safe name in it where it is a folder."""
    if item.is_folder:
        raise DownloadError(f"record {item.id} is a folder: it has no content to download")
    to = Path(given)
    try:
        mode = _mode(to)
        if mode is not None and stat.S_ISDIR(mode):
            return to / item.file_name
        if os.fspath(given).endswith(os.sep):
            raise DownloadError(f"there is no folder {to}")
        if mode is not None and not stat.S_ISREG(mode):
            raise DownloadError(f"cannot write {to}: it is no regular file")
        above = _mode(to.parent) if mode is None else stat.S_IFDIR
        if above is None or not stat.S_ISDIR(above):
            raise DownloadError(f"cannot write {to}: the folder {to.parent} does not exist")
    except OSError as error:
        raise DownloadError(f"cannot write {to}: {error.strerror}") from error
    except ValueError as error:
        raise DownloadError(f"cannot write to this name: {error}") from error
    return to


def _mode(path: Path) -> int | None:
    """Return what lies at *path*, links followed, or None for nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
