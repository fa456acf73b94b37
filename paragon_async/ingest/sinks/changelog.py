# ruff: noqa: ARG002  # a protocol's arguments have their names, also where nothing is done with them
"""Sinks without contents: what they have in common, and the log of changes.

RecordsOnly     refuses contents, passes on to one `Segments`
├── LinesSink   every change is a line
└── ParquetSink in parquet.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import msgspec

from paragon_async.disk import Disk, SystemDisk
from paragon_async.download import Evidence
from paragon_async.errors import ConfigurationError, SinkError
from paragon_async.ingest.sinks.files import make_folders, refusals
from paragon_async.ingest.sinks.lines import LineSegments
from paragon_async.ingest.sinks.owner import OWNER, OwnerFile, path_of
from paragon_async.ingest.sinks.protocol import Adopted, Index, Mark, Row, Segments
from paragon_async.threads import in_thread

S = TypeVar("S", bound=Segments)
_FULL = 64 << 20
_SUFFIXES = {"lines": "jsonl", "parquet": "parquet"}


class RecordsOnly(Generic[S]):
    """What sinks have in common that take records and no contents; see `Sink`."""

    identity: str
    contents = False
    settles = False
    batch_rows = 1

    def __init__(self, kind: str, folder: str | os.PathLike[str], disk: Disk | None) -> None:
        self.identity = f"{kind}:{path_of(folder)}"
        self._files = re.compile(rf"records-.*\.{_SUFFIXES[kind]}")
        self._folder = Path(folder)
        self._disk = disk or SystemDisk()
        self._segments: S | None = None

    async def claim(self, owner: str, *, is_new: bool) -> None:
        """Take the folder for a state; its owner stands in `.paragon-owner`.

        Only files named as this sink's count: others may lie in the folder too.
        """
        file = OwnerFile(repr(str(self._folder)), self._folder / OWNER, self._disk)
        with refusals(self._folder):
            await in_thread(
                file.take,
                owner,
                is_new=is_new,
                is_empty=lambda: (
                    not any(map(self._files.fullmatch, self._disk.names(self._folder)))
                ),
                make=lambda: make_folders(self._folder, self._disk),
            )

    async def put(self, source: Path, record_id: str, name: str) -> str:
        """Refuse with `ConfigurationError`: there is no place for contents here."""
        self._refuse()

    async def move(self, location: str, record_id: str, name: str) -> str | None:
        """Refuse with `ConfigurationError`."""
        self._refuse()

    async def adopt(self, record_id: str, name: str, evidence: Evidence) -> Adopted | None:
        """Return None: no content lies here."""
        return None

    async def settle(self) -> None:
        """Do nothing: what was written lasts already."""

    async def remove(self, record_id: str, keep: str | None = None) -> None:
        """Do nothing: there are no contents to remove."""

    async def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Return False: no content lies here."""
        return False

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the places that are missing, hold less than their mark says, or cannot be read."""
        return await self._ready().lacks(marks)

    async def differs(self, index: Index) -> list[str]:
        """As `Places.differs`: every row that counts is read."""
        return await self._ready().differs(index)

    async def aclose(self) -> None:
        """Do nothing: no file is open between two calls."""

    def _ready(self) -> S:
        if self._segments is None:
            raise SinkError(f"the {self.identity} sink is not open")
        return self._segments

    def _refuse(self) -> NoReturn:
        raise ConfigurationError(f"the {self.identity} sink takes records, no contents")


class LinesSink(RecordsOnly[LineSegments]):
    """A log of changes: files `records-<feed>-000001.jsonl`, the next one begins at *full* bytes.

    Every change is one line, also a delete: its tombstone, with `"deleted": true`. Later lines win,
    and later files. Nothing is ever rewritten or removed once it is committed, so that a reader may
    follow the files; whoever wants each record once takes the last line of each id.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, full: int = _FULL, disk: Disk | None = None
    ) -> None:
        super().__init__("lines", folder, disk)
        self._full = full

    async def open(self, feed: int, marks: Mapping[str, int]) -> None:
        """Go on where *marks* end; what was written after them is cut off, its changes come again."""
        segments = LineSegments(
            self._folder, f"records-{feed:03d}", full=self._full, disk=self._disk
        )
        await segments.open(marks)
        self._segments = segments

    async def write(self, rows: Sequence[Row], gone: Sequence[Mapping[str, Any]]) -> Mark | None:
        """Append *rows*, then *gone*, durably; the mark counts both. None when there is neither."""
        lines = [row.line for row in rows]
        lines += [msgspec.json.encode({**tombstone, "deleted": True}) for tombstone in gone]
        return await self._ready().append(lines) if lines else None

    async def tidy(self, index: Index) -> None:
        """Do nothing: a log keeps its history."""
