"""What is served: pages of File records of real shape, and files, in a folder in memory.

    room(size)            an empty folder with space, in memory where there is a tmpfs
    page(...)             one page of records, as bytes
    Corpus.pages(...)     pages of 100,000 records, one file each, found by size and cursor
    Corpus.files(...)     files of one size; no two are alike, none is sparse

A record has the documented fields of a File (documentation: file schema), two that integrations add
(`fullPath`, `metadata`), and every tenth one a field that no model here knows.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from benchmarks.task import Item

RECORDS = 100_000
SYNC = "7d0c8c26-7e5f-5ce4-9a3a-1d3f0e6b9a11"
_MIB = 1 << 20
_HOLE = "00000000"  # where the number of a record goes: eight hexadecimal digits
_VARIANTS = 1000
_KINDS = (
    ("pdf", "application/pdf"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("png", "image/png"),
    ("txt", "text/plain"),
)


@attrs.frozen
class Room:
    """A folder and where it is: `memory (tmpfs)` or `temporary folder`."""

    path: Path
    kind: str


@contextlib.contextmanager
def room(size: int, *, in_memory: bool = True) -> Iterator[Room]:
    """Make an empty folder with space for *size* bytes, in memory if it can be; it is removed."""
    places = [Path("/dev/shm"), Path("/run/shm")] if in_memory else []  # noqa: S108  # usual tmpfs
    chosen = next((place for place in places if _holds(place, size)), None)
    folder = Path(tempfile.mkdtemp(prefix="paragon-benchmark-", dir=chosen))
    try:
        yield Room(folder, "memory (tmpfs)" if chosen else "temporary folder")
    finally:
        shutil.rmtree(folder)


def _holds(place: Path, size: int) -> bool:
    try:
        with tempfile.TemporaryFile(dir=place):
            return shutil.disk_usage(place).free > size + 256 * _MIB
    except OSError:
        return False


def record_id(number: int) -> str:
    """Return the id of the record with a number: in the form of a UUID of version 5."""
    return f"{number:08x}-3b1e-5f2a-8b3c-4d5e6f708192"


def cursor_of(number: int) -> str:
    """Return the cursor that stands for the record with a number."""
    return f"c{number}"


def page(
    cursor: str | None, size: int, total: int = RECORDS, *, variants: int = _VARIANTS
) -> bytes:
    """Return the page of up to *size* records after *cursor*, of *total* numbered from 1."""
    first = int(cursor[1:]) if cursor else 0
    count = max(0, min(size, total - first))
    parts = _records(variants)
    records = b",".join(
        parts[number % variants].replace(_HOLE.encode(), b"%08x" % number)
        for number in range(first + 1, first + count + 1)
    )
    paging = {
        "totalRecords": total,
        "totalActiveRecords": total,
        "remainingRecords": total - first - count,
        "cursor": cursor_of(first + count),
        "lastSeen": first + count,
    }
    return b'{"data":[%s],"paging":%s}' % (records, _compact(paging))


@functools.cache
def _records(variants: int) -> list[bytes]:
    return [_compact(_record(number)) for number in range(variants)]


def _record(number: int) -> dict[str, object]:
    """Make a record that lacks its number only."""
    chance = random.Random(number)  # noqa: S311  # it must repeat
    kind, mime_type = chance.choice(_KINDS)
    team = chance.choice(("finance", "legal", "research", "sales"))
    year, month, day = 2019 + number % 7, 1 + number % 12, 1 + number % 28
    name = f"{team} report {number:04d} of {year}.{kind}"
    external = f"1{chance.randbytes(9).hex()}_{_HOLE}"
    made: dict[str, object] = {
        "id": record_id(0),
        "externalId": external,
        "name": name,
        "mimeType": mime_type,
        "size": chance.randrange(1_000, 50_000_000),
        "url": f"https://drive.example.com/file/d/{external}/view",
        "thumbnailUrl": f"https://drive.example.com/thumbnails/{external}=s220",
        "createdAt": f"{year}-{month:02d}-{day:02d}T08:15:{number % 60:02d}.123Z",
        "updatedAt": f"{year + 1}-{month:02d}-{day:02d}T17:40:{number % 60:02d}.456Z",
        "hash": {"type": "MD5", "value": chance.randbytes(16).hex()},
        "parentFolderId": f"0{chance.randbytes(12).hex()}",
        "customFields": {"fullPath": f"/{team}/{year}/{name}", "metadata": {"reviewed": True}},
        "syncedAt": f"2026-01-{day:02d}T03:00:{number % 60:02d}.789Z",
    }
    return made | ({"labels": ["internal", team]} if number % 10 == 0 else {})


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@attrs.define
class Corpus:
    """A folder of pages and files, in the layout that `serving` knows; *records* in all.

    *specs* say the same to the emulator, which makes such records and files by itself.
    """

    folder: Path
    records: int = 0
    items: list[Item] = attrs.field(factory=list)
    specs: list[str] = attrs.field(factory=list)

    def pages(self, size: int = 1000, total: int = RECORDS) -> None:
        """Write the pages of *total* records: pages/SIZE/CURSOR, the first one as `first`."""
        place = self.folder / "pages" / str(size)
        place.mkdir(parents=True)
        for number in range(0, total, size):
            cursor = cursor_of(number) if number else None
            (place / (cursor or "first")).write_bytes(page(cursor, size, total))
        self.records = total
        self.specs = [f"files:{total}"]

    def files(self, count: int, size: int) -> None:
        """Write *count* files of *size* bytes: files/ID."""
        place = self.folder / "files"
        place.mkdir(exist_ok=True)
        for number in range(1, count + 1):
            identity = record_id(number)
            with (place / identity).open("wb") as file:
                for piece in content(number, size):
                    file.write(piece)
            self.items.append(Item(id=identity, size=size, name=f"{identity}.bin"))
        self.specs = [f"files:{count}x{size}"]

    def digest(self, item: Item) -> str:
        """Return the SHA-256 of a file, in hex."""
        hasher = hashlib.sha256()
        for piece in content(int(item.id[:8], 16), item.size):
            hasher.update(piece)
        return hasher.hexdigest()


def content(number: int, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file: random ones that repeat, begun elsewhere for each number."""
    block = _block()
    turned = number * 4099 % len(block)
    piece = block[turned:] + block[:turned]
    while size > 0:
        yield piece[:size]
        size -= len(piece)


@functools.cache
def _block() -> bytes:
    return random.Random(7).randbytes(_MIB)  # noqa: S311  # it must repeat
