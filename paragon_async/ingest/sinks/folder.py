"""A folder as the mirror: contents as files, records as JSON lines or Parquet beside them.

    folder/files/<record id>/<safe name>       one folder a record, so namesakes never meet
    folder/records/001-000001.jsonl            each record once after a run; read them with one glob
    folder/records/.paragon-owner              which state the mirror belongs to

Source: failures.md F92 to F101, finding 5, and its order of operations for one file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from paragon_async.clock import Clock, SystemClock
from paragon_async.disk import Disk, SystemDisk
from paragon_async.download import Evidence
from paragon_async.errors import ConfigurationError, DestinationError
from paragon_async.ingest.sinks.files import blocks, digests, is_file, is_folder, refusals
from paragon_async.ingest.sinks.lines import LineSegments
from paragon_async.ingest.sinks.owner import OWNER, OwnerFile, path_of
from paragon_async.ingest.sinks.protocol import Adopted, Index, Mark, Row, Segments
from paragon_async.names import distinct_name, safe_name
from paragon_async.threads import Inline, in_thread

T = TypeVar("T")
Durability = Literal["file", "batch"]
Format = Literal["jsonl", "parquet"]
_PLAIN_ID = re.compile(r"[a-z0-9_-]{1,100}")


class FolderSink:
    """Mirrors a sync into *folder*, which is made where it is missing.

    *records* is the format of the rows: `jsonl`, or `parquet` (extra `parquet`).

    *durability* `file`: each content, its name and its folder are flushed before its receipt is
    written; after a power cut every receipt has its file, complete, and at most the contents in
    flight are fetched again. `batch`: contents are renamed into place as they come, and flushed
    together once a page; after a power cut a content of the page in flight can be empty or broken
    under its final name, it has no receipt then, and the next run fetches it again. In both, rows
    and state are flushed page by page, and the cursor is never ahead of either.

    Raises `DestinationError` when the disk refuses a content, `SinkError` when it refuses rows. Links
    are never followed out of the mirror. A content that was downloaded to another file system is
    copied, beside the mirror's files first. Raises `ConfigurationError` for another *durability* or
    format of *records*. *disk* and *clock* stand in for the machine's, in tests.
    """

    contents = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        durability: Durability = "file",
        records: Format = "jsonl",
        disk: Disk | None = None,
        clock: Clock | None = None,
    ) -> None:
        _check("durability", durability, Durability)
        _check("records", records, Format)
        self.folder = Path(folder)
        self.identity = f"folder:{path_of(folder)}"
        self.settles = durability == "batch"
        self._format = records
        self._disk = disk or SystemDisk(within=self.folder)
        self._files = self.folder / "files"
        self._records = self.folder / "records"
        self._spool = self.folder / ".paragon-spool"  # of contents from another file system
        self._feed = 0
        self._segments: Segments = self._rows(0)
        self.batch_rows = self._segments.batch_rows
        self._unsettled = False
        self._inline = Inline(clock=(clock or SystemClock()).monotonic)
        self._copies = False  # what is put lies on another file system
        self._fresh: set[Path] = set()  # folders of records whose own names are not yet flushed

    async def claim(self, owner: str, *, is_new: bool) -> None:
        """Take the folder for a state; its owner stands in `records/.paragon-owner`.

        Makes `files` and `records`. What else lies in the folder does not count.
        """
        file = OwnerFile(repr(str(self.folder)), self._records / OWNER, self._disk)
        with refusals(self.folder):
            await in_thread(
                file.take, owner, is_new=is_new, is_empty=self._is_empty, make=self._prepare
            )

    async def open(self, feed: int, marks: Mapping[str, int]) -> None:
        """Make the folders, and drop rows that no commit knows of."""
        self._feed = feed
        self._segments = self._rows(feed)
        await self._do(self._prepare)
        await self._do(self._sweep)
        await self._segments.open(marks)

    async def write(self, rows: Sequence[Row], gone: Sequence[Mapping[str, Any]]) -> Mark | None:  # noqa: ARG002  # a row that is gone is left out when the places are tidied
        """Append *rows*, flushed."""
        return await self._segments.write(rows) if rows else None

    async def put(self, source: Path, record_id: str, name: str) -> str:
        """Move *source* into its place, replacing what was there in one instant."""
        if self.settles and not self._copies:
            try:  # in the loop: two names change, nothing is flushed
                return await self._do(self._put, source, record_id, name, inline=self._inline)
            except DestinationError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copies = True
        return await self._do(self._put_or_copy, source, record_id, name)

    async def move(self, location: str, record_id: str, name: str) -> str | None:
        """Rename a content; done already, it is left as it is."""
        return await self._do(self._move, location, record_id, name)

    async def adopt(self, record_id: str, name: str, evidence: Evidence) -> Adopted | None:
        """Take up the file in this place, if its size and its digest are the record's."""
        return await self._do(self._adopt, record_id, name, evidence)

    async def settle(self) -> None:
        """Flush all that was put, moved and removed, with one flush of the file system."""
        if self._unsettled:
            # Before the flush begins: what is put meanwhile waits for the next one.
            self._unsettled = False
            try:
                await self._do(self._disk.sync_all, self.folder)
            except BaseException:
                self._unsettled = True
                raise

    async def remove(self, record_id: str, keep: str | None = None) -> None:
        """Remove a record's contents, all but *keep*."""
        await self._do(self._remove, record_id, keep)

    async def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Tell whether the file is there as it was; with *sha256*, all of it is read."""
        return await self._do(self._holds, location, size, sha256)

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the files of rows that are missing, cut or unreadable."""
        return await self._segments.lacks(marks)

    async def differs(self, index: Index) -> list[str]:
        """Return the files of rows that do not hold what was written; all of them are read."""
        return await self._segments.differs(index)

    async def tidy(self, index: Index) -> None:
        """Rewrite the files of rows that hold superseded ones."""
        await self._segments.tidy(index)

    async def aclose(self) -> None:
        """Do nothing."""

    def _rows(self, feed: int) -> Segments:
        prefix = f"{feed:03d}"
        if self._format == "jsonl":
            return LineSegments(self._records, prefix, disk=self._disk)
        from paragon_async.ingest.sinks.parquet import ParquetSegments  # noqa: PLC0415  # heavy, and an extra

        return ParquetSegments(self._records, prefix, disk=self._disk)

    async def _do(self, work: Callable[..., T], *args: Any, inline: Inline | None = None) -> T:
        try:
            if inline:
                return await inline.run(lambda: work(*args))
            return await in_thread(work, *args)
        except (OSError, ValueError) as error:
            raise DestinationError(
                f"cannot write to the mirror {str(self.folder)!r}: {_reason(error)}",
                errno=getattr(error, "errno", None),
            ) from error

    def _is_empty(self) -> bool:
        rows = set(self._disk.names(self._records)) - {OWNER}
        return not rows and not self._disk.names(self._files)

    def _prepare(self) -> None:
        self.folder.mkdir(0o755, parents=True, exist_ok=True)
        self._disk.make_folder(self._files)
        self._disk.make_folder(self._records)
        # Each time: a run that made them can have been killed before it flushed their names.
        self._disk.sync_folder(self.folder)
        self._disk.sync_folder(self._files)

    def _sweep(self) -> None:
        """Remove what a run of this feed that was killed left on its way; other feeds may run."""
        if self._spool.is_symlink():
            return
        for name in self._disk.names(self._spool):
            if name.startswith(f"{self._feed:03d}-"):
                self._disk.unlink(self._spool / name)

    def _put_or_copy(self, source: Path, record_id: str, name: str) -> str:
        try:
            return self._put(source, record_id, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        home = self._files / _component(record_id)
        self._copy(source, home / name)
        self._named(home)
        return self._location(home / name)

    def _put(self, source: Path, record_id: str, name: str) -> str:
        if not is_file(source):
            # To flush it would make an empty one.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
        home = self._files / _component(record_id)
        if self._disk.make_folder(home):
            self._fresh.add(home)
        if not self.settles:
            self._flush(source)
        self._disk.replace(source, home / name)
        self._named(home)
        return self._location(home / name)

    def _copy(self, source: Path, target: Path) -> None:
        """Give *target* the bytes of *source*, which is on another file system, and stays."""
        self._disk.make_folder(self._spool)
        part = self._spool / f"{self._feed:03d}-{secrets.token_hex(8)}.part"
        try:
            file = self._disk.create(part)
            try:
                for block in blocks(source):
                    self._disk.write(file, block)
                if not self.settles:
                    self._disk.sync(file)
            finally:
                self._disk.close(file)
            self._disk.replace(part, target)
        except BaseException:
            # What made the copy fail is what the caller must hear of; `open` sweeps what stays.
            with contextlib.suppress(OSError):
                self._disk.unlink(part)
            raise

    def _move(self, location: str, record_id: str, name: str) -> str | None:
        home = self._home(record_id)
        old, new = self.folder / location, home / name
        if old != new and is_file(old):
            self._disk.replace(old, new)
            self._named(home)
        return self._location(new) if is_file(new) else None

    def _adopt(self, record_id: str, name: str, evidence: Evidence) -> Adopted | None:
        home = self._files / _component(record_id)
        path = home / name
        if home.is_symlink() or not is_file(path) or path.stat().st_size != evidence.size:
            return None
        found = digests(path, {"sha256", evidence.algorithm or "sha256"})
        if found[evidence.algorithm or "sha256"] != evidence.digest:
            return None
        self._flush(path)
        # Whoever made the folder may not have come to flush its name.
        self._fresh.add(home)
        self._named(home)
        return Adopted(self._location(path), found["sha256"])

    def _remove(self, record_id: str, keep: str | None) -> None:
        home = self._files / _component(record_id)
        if not is_folder(home):
            return
        kept = None if keep is None else (self.folder / keep).name
        # Folders in it are none of ours, and stay; a link is removed, not what it leads to.
        names = [name for name in self._disk.names(home) if not is_folder(home / name)]
        for name in names:
            if name != kept:
                self._disk.unlink(home / name)
                self._unsettled = True
        if keep is None and not self._disk.names(home):
            self._disk.remove_folder(home)
            self._fresh.discard(home)
            self._unsettled = True

    def _holds(self, location: str, size: int, sha256: str | None) -> bool:
        path = self.folder / location
        if path.parent.is_symlink() or not is_file(path) or path.stat().st_size != size:
            return False
        if sha256 is None:
            return True
        return digests(path, {"sha256"})["sha256"] == sha256

    def _home(self, record_id: str) -> Path:
        home = self._files / _component(record_id)
        _no_link(home)
        return home

    def _named(self, home: Path) -> None:
        """Make a name last: at once, or at the next `settle`."""
        if self.settles:
            self._unsettled = True
            return
        self._disk.sync_folder(home)
        if home in self._fresh:
            self._disk.sync_folder(self._files)
            self._fresh.discard(home)

    def _flush(self, path: Path) -> None:
        file = self._disk.append(path)
        try:
            self._disk.sync(file)
        finally:
            self._disk.close(file)

    def _location(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _component(record_id: str) -> str:
    """Return the name of a record's folder: its id, where that is harmless everywhere."""
    if _PLAIN_ID.fullmatch(record_id) and safe_name(record_id) == record_id:
        return record_id
    return distinct_name(record_id, record_id)


def _no_link(home: Path) -> None:
    """Refuse a link in place of a record's folder: what lies behind it is not ours."""
    if home.is_symlink():
        raise NotADirectoryError(
            errno.ENOTDIR, "it is a link, where a folder of the mirror should be", str(home)
        )


def _check(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        known = " or ".join(repr(each) for each in get_args(choices))
        raise ConfigurationError(f"*{name}* must be {known}, not {value!r}")


def _reason(error: OSError | ValueError) -> str:
    """Say what went wrong, and with which file, where the system tells it."""
    paths = [getattr(error, name, None) for name in ("filename", "filename2")]
    shown = " -> ".join(repr(str(path)) for path in paths if path is not None)
    reason = getattr(error, "strerror", None) or str(error)
    return f"{shown}: {reason}" if shown else reason
