"""Rows as JSON lines in numbered files of a folder, and what all numbered files have in common.

    Places              numbers, leftovers, and the rewriting of places, for any format
    ├── LineSegments    files that grow by a line for each row
    └── ParquetSegments in parquet.py: a file for each write

A place is the name of its file. A number that was ever seen is never given again, so a file that a
power cut brings back is never taken for another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from paragon_async.disk import Disk, SystemDisk
from paragon_async.errors import SinkError
from paragon_async.ingest.sinks.files import DAMAGE, VERIFY, Beside, make_folders, refusals, size_of
from paragon_async.ingest.sinks.held import Held, agrees
from paragon_async.ingest.sinks.protocol import Index, Mark, Place, Row
from paragon_async.ingest.sinks.tidying import groups
from paragon_async.threads import finished, in_thread

_FULL = 32 << 20
_BLOCK = 100
_ASK = 500


class _Identified(msgspec.Struct):
    id: str


_read = msgspec.json.Decoder(_Identified).decode


class Places(ABC):
    """Numbered files of one prefix in one folder; the methods are those of `Segments`.

    A file that is being made has a name that begins with a dot, and is swept by the next `open`.
    Every method raises `SinkError` when the disk refuses or a place is damaged.
    """

    batch_rows = 1
    _suffix: str

    def __init__(
        self, folder: Path, prefix: str, *, full: int = _FULL, disk: Disk | None = None
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._full = full
        self._disk = disk or SystemDisk()
        self._number = 0
        self._name = re.compile(rf"{re.escape(prefix)}-([0-9]{{6,}}){re.escape(self._suffix)}")
        self._part = re.compile(rf"\.paragon-{re.escape(prefix)}-[0-9a-f]{{16}}\.part")
        self._place: str | None = None  # the one that still grows, in a format that can

    async def open(self, marks: Mapping[str, int]) -> None:
        """Make the folder, and drop what no commit knows of; *marks* is size by place.

        Places of this prefix that are not in *marks* are removed, bytes after a mark's size are cut
        off. A place that is missing or too short is left as it is, for `lacks` to find.
        """
        if others := [place for place in marks if not place.endswith(self._suffix)]:
            raise SinkError(
                f"the rows of this mirror are {_format(others[0])}: it cannot go on as "
                f"{_format(self._suffix)}, open it with the format it began with"
            )
        await in_thread(self._open, marks)

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the places that are missing, hold less than their mark says, or cannot be read."""
        return await in_thread(lambda: [p for p in marks if not self._is_whole(p, marks[p])])

    async def differs(self, index: Index) -> list[str]:
        """Read all places; return those in which a current row is missing or not what was written.

        Never raises for damage. Holds the ids of one place in memory.
        """
        places = await index.places()
        return [name for name in places if not await self._is_true(index, name, places[name])]

    async def tidy(self, index: Index) -> None:
        """Rewrite places so that each record stands once, in its current form; merge small places.

        Holds ids of one old and one new place, and a block of rows. A new place is durable before
        *index* hears of it, the old ones go after that: wherever this ends, `open` finds each current
        row once. Cancelling drops the new place, or finishes it. A place that is damaged, or has fewer
        current rows than *index* says, is an error and stays untouched.
        """
        places = await index.places()
        for group in groups(places, self._full, self._place):
            await self._rewrite(index, {name: places[name] for name in group})

    @abstractmethod
    def _survey(self, path: Path, size: int) -> dict[str, int]:
        """Return the number of the last row of each id in the first *size* bytes of *path*."""

    @abstractmethod
    def _held(self, path: Path, size: int) -> Held:
        """Read the first *size* bytes of *path*; may raise anything that `refusals` turns."""

    @abstractmethod
    def _beside(self) -> Beside: ...

    async def _is_true(self, index: Index, name: str, place: Place) -> bool:
        if not await in_thread(self._is_whole, name, place.size):
            return False
        try:
            held = await in_thread(self._held, self._folder / name, place.size)
        except (OSError, *DAMAGE):
            return False
        return await agrees(index, name, place, held)

    def _is_whole(self, place: str, size: int) -> bool:
        with contextlib.suppress(OSError):
            path = self._folder / place
            return size_of(path) >= size and os.access(path, os.R_OK)
        return False

    def _open(self, marks: Mapping[str, int]) -> None:
        with refusals(self._folder):
            make_folders(self._folder, self._disk)
            found = self._disk.names(self._folder)
            matches = filter(None, map(self._name.fullmatch, {*found, *marks}))
            self._number = max([self._number, *(int(match[1]) for match in matches)])
            ours = [n for n in found if self._name.fullmatch(n) or self._part.fullmatch(n)]
            self._remove([name for name in ours if name not in marks])

    def _remove(self, names: Sequence[str]) -> None:
        """Remove files for good: a power cut must not bring back what counts no more."""
        for name in names:
            self._disk.unlink(self._folder / name)
        if names:
            self._disk.sync_folder(self._folder)

    def _next(self) -> str:
        self._number += 1
        return f"{self._prefix}-{self._number:06d}{self._suffix}"

    async def _rewrite(self, index: Index, old: Mapping[str, Place]) -> None:
        copy = self._beside()
        ids: list[str] = []
        mark = None
        try:
            for name, place in old.items():
                living = await self._living(index, name, place)
                ids += living
                with refusals(path := self._folder / name):
                    await in_thread(copy.take, path, place.size, set(living.values()))
            if ids:
                with refusals(path := self._folder / self._next()):
                    await in_thread(copy.commit, path)
                mark = Mark(path.name, copy.size, len(ids))
        except BaseException:
            await in_thread(copy.discard)
            raise
        # From here on nobody may guess how far it came: it runs to its end, also when cancelled.
        await finished(asyncio.ensure_future(self._moved(index, list(old), mark, ids)))

    async def _living(self, index: Index, name: str, place: Place) -> dict[str, int]:
        """Return the ids whose current row is in a place, and the numbers of these rows."""
        with refusals(path := self._folder / name):
            if size_of(path) < place.size:
                raise ValueError("it is missing, or shorter than it was")
            last = await in_thread(self._survey, path, place.size)
        ids = list(last)
        living: dict[str, int] = {}
        for start in range(0, len(ids), _ASK):
            block = ids[start : start + _ASK]
            current = await index.current(name, block)
            living |= {found: last[found] for found in block if found in current}
        if len(living) < (wanted := place.rows - place.stale):
            raise SinkError(
                f"{str(path)!r} has {len(living)} current records, not {wanted}{VERIFY}"
            )
        return living

    async def _moved(self, index: Index, old: list[str], mark: Mark | None, ids: list[str]) -> None:
        await index.moved(old, mark, ids)
        with refusals(self._folder):
            await in_thread(self._remove, old)


class LineSegments(Places):
    """Files `<prefix>-000001.jsonl` in *folder*, a line for each row; the next begins at *full* bytes.

    A write is appended and synced, never begun where another one failed: what that left is cut off
    first. Only the file with the highest number grows, so that later lines are newer ones.
    """

    _suffix = ".jsonl"
    _size = 0  # bytes of the growing place that a returned mark stands for

    async def write(self, rows: Sequence[Row]) -> Mark:
        """Append *rows* to one place, durably; failed or cancelled, nothing of them counts."""
        return await self.append([row.line for row in rows])

    async def append(self, lines: Sequence[bytes]) -> Mark:
        """Append *lines*, each without its end; promises as for `write`."""
        try:
            with refusals(self._folder):
                size = await in_thread(self._append, lines)
        except BaseException:
            await in_thread(self._retract)
            raise
        self._size = size
        return Mark(self._place or "", size, len(lines))

    def _open(self, marks: Mapping[str, int]) -> None:
        super()._open(marks)
        for place, size in marks.items():
            with refusals(self._folder / place):
                self._cut(self._folder / place, size)
        matches = filter(None, map(self._name.fullmatch, marks))
        _, self._place = max(((int(m[1]), m[0]) for m in matches), default=(0, None))
        self._size = marks[self._place] if self._place else 0

    async def _moved(self, index: Index, old: list[str], mark: Mark | None, ids: list[str]) -> None:
        # Should this fail, nobody knows which place counts: then the next write begins a new one.
        place, self._place = self._place, None
        await super()._moved(index, old, mark, ids)
        if mark is not None:
            self._place, self._size = mark.place, mark.size
        elif place not in old:
            self._place = place

    def _cut(self, path: Path, size: int) -> None:
        if size_of(path) <= size:
            return
        file = self._disk.append(path)
        try:
            self._disk.truncate(file, size)
            self._disk.sync(file)
        finally:
            self._disk.close(file)

    def _append(self, lines: Sequence[bytes]) -> int:
        data = b"".join(part for line in lines for part in (line, b"\n"))
        path = self._folder / self._growing()
        file = self._disk.append(path) if self._size else self._disk.create(path)
        try:
            self._disk.truncate(file, self._size)
            self._disk.write(file, data)
            self._disk.sync(file)
        finally:
            self._disk.close(file)
        if not self._size:
            self._disk.sync_folder(self._folder)
        return self._size + len(data)

    def _growing(self) -> str:
        """Return the place to append to: the last one, unless it is full, or somebody cut it."""
        intact = self._place and size_of(self._folder / self._place) >= self._size
        if self._place and intact and 0 < self._size < self._full:
            return self._place
        self._place, self._size = self._next(), 0
        return self._place

    def _retract(self) -> None:
        # The next write makes sure of it; this is for readers that come before.
        with contextlib.suppress(OSError, ValueError):
            if self._place and self._size:
                self._cut(self._folder / self._place, self._size)
            elif self._place:
                self._disk.unlink(self._folder / self._place)

    def _survey(self, path: Path, size: int) -> dict[str, int]:
        return {_read(line).id: number for number, line in enumerate(_lines(path, size))}

    def _held(self, path: Path, size: int) -> Held:
        held = Held()
        for line in _lines(path, size):
            held.add(line[:-1])
        return held

    def _beside(self) -> Beside:
        return _LinesBeside(self._folder, self._prefix, self._disk)


class _LinesBeside(Beside):
    def take(self, path: Path, size: int, numbers: set[int]) -> None:
        kept = (line for number, line in enumerate(_lines(path, size)) if number in numbers)
        while block := b"".join(itertools.islice(kept, _BLOCK)):
            self.write(block)


def _lines(path: Path, size: int) -> Iterator[bytes]:
    """Yield the lines, with their ends, of the first *size* bytes of a file."""
    with path.open("rb") as file:
        while size:
            line = file.readline(size)
            if not line.endswith(b"\n"):
                raise ValueError("it ends too early, or within a line")
            size -= len(line)
            yield line


def _format(place: str) -> str:
    return "Parquet" if place.endswith(".parquet") else "JSON lines"
