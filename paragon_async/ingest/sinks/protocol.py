"""What a destination is to the engine.

    Sink            where a mirror goes: rows of records, and contents of files
    Row             a record as the mirror keeps it
    Mark            how far a place (a file, an object) is filled with rows
    Index           what the state knows of rows and places: which row is the current one
    Segments        the part of a sink that keeps rows in places of a format

The engine calls `write`, `settle`, `tidy` and `remove` one at a time, `put` and `move` from many
workers at once, never two for one record. Whatever a method did before it returned must last through
a power cut, or raise. After a crash the engine repeats calls it cannot know the end of: all of them
must be idempotent by record id. Cancelling a method must leave what was there, or what was to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import msgspec

from paragon_async.download import Evidence

PATH_KEY = "_file"
HASH_KEY = "_sha256"
_PATH, _HASH = PATH_KEY.encode(), HASH_KEY.encode()
encoded = msgspec.json.Encoder().encode


@attrs.define(on_setattr=attrs.setters.frozen)
class Row:
    """A record as the mirror keeps it: as it came, and where its content lies, if it has one.

    *record* is the record as JSON; rows wait in this form, it takes a fifth of the memory. *path* is
    the location that `Sink.put` returned, *sha256* the content's, as hex.
    """

    id: str
    record: bytes
    path: str | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], path: str | None = None, sha256: str | None = None) -> Row:
        """Make the row of a record that was decoded."""
        return cls(data["id"], encoded(data), path, sha256)

    @property
    def data(self) -> dict[str, Any]:
        """The record, decoded anew."""
        found: dict[str, Any] = msgspec.json.decode(self.record)
        return found

    @property
    def line(self) -> bytes:
        """The record as one line of JSON, with the two keys of ours, without a line's end."""
        if self.path is None:
            return self.record
        ours = {PATH_KEY: self.path, HASH_KEY: self.sha256}
        if _PATH in self.record or _HASH in self.record:
            # It may have keys of these names itself, which ours replace.
            return encoded({**self.data, **ours})
        return self.record[:-1] + b"," + encoded(ours)[1:]


@attrs.frozen
class Mark:
    """A *place* holds *size* bytes, durably; the last *rows* rows of it were written just now."""

    place: str
    size: int
    rows: int


@attrs.frozen
class Adopted:
    """A content found in its place: its location and its hex SHA-256. It is durable."""

    location: str
    sha256: str


@attrs.frozen
class Place:
    """What the state knows of a place: bytes, rows in it, and how many of these count no more."""

    size: int
    rows: int
    stale: int


class Index(Protocol):
    """The state's word on which rows count."""

    async def places(self) -> Mapping[str, Place]:
        """Return all places of this feed."""
        ...

    async def current(self, place: str, ids: Sequence[str]) -> set[str]:
        """Return those *ids* whose current row is the last one of that id in *place*."""
        ...

    async def digests(self, place: str, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return, for those *ids* whose current row is in *place*, the digest of its line.

        It is `digest_of(row.line)`, empty for a row that is owed.
        """
        ...

    async def moved(self, old: Sequence[str], mark: Mark | None, ids: Sequence[str]) -> None:
        """Commit that the rows of *ids* lie at *mark* now, and that the *old* places are no more."""
        ...


class Segments(Protocol):
    """Keeps rows in places, each a file or object of a format; a row may stand in several."""

    batch_rows: int

    async def open(self, marks: Mapping[str, int]) -> None:
        """Drop what no commit knows of: places not in *marks*, and bytes after a mark's size.

        *marks* is size by place. A place that is missing or too short is not an error here: `lacks`
        finds it.
        """
        ...

    async def write(self, rows: Sequence[Row]) -> Mark:
        """Write *rows* to the end of one place, durably."""
        ...

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the places that are missing, or hold less than their mark says, or cannot be read."""
        ...

    async def differs(self, index: Index) -> list[str]:
        """Read all places; return those in which a current row is missing or not what was written.

        Held against `Index.digests`, or against checksums of the format's own.
        """
        ...

    async def tidy(self, index: Index) -> None:
        """Rewrite places so that each record stands once, in its current form; merge small places."""
        ...


class Sink(Protocol):
    """A destination. *identity* names it, always the same, within its state.

    *contents* tells whether it takes files. *batch_rows* is how many rows it likes at once; fewer
    come at the end of a feed, and when memory would run short. *settles* tells that `put` and `move`
    last only after the next `settle`.
    """

    identity: str
    contents: bool
    batch_rows: int
    settles: bool

    async def claim(self, owner: str, *, is_new: bool) -> None:
        """Take the destination for the state *owner*, for good; done already, it is left as it is.

        Raises `SinkError`, changing nothing, when another state has it, or when it *is_new* to this
        one and not empty: `open` removes what no commit knows of, and neither somebody else's files
        nor a mirror whose state is lost must be taken for leftovers. Called before `open`.
        """
        ...

    async def open(self, feed: int, marks: Mapping[str, int]) -> None:
        """Make ready for one feed, and drop what no commit knows of; *marks* as for `Segments`.

        *feed* is the number of the feed in its state, for names of places. Raises `SinkError` when
        the destination cannot serve.
        """
        ...

    async def write(self, rows: Sequence[Row], gone: Sequence[Mapping[str, Any]]) -> Mark | None:
        """Take *rows*, durably; *gone* are tombstones, at least an `id` each.

        A sink whose rows lie in places returns the mark, or None where it wrote no row; one that
        keeps them by id always returns None.
        """
        ...

    async def put(self, source: Path, record_id: str, name: str) -> str:
        """Take the file *source*, complete and verified, as the content of a record.

        Returns its location, relative to the destination. *name* is one safe path component. Until
        the new content is complete the old one stays. *source* may be moved, or else stays.
        """
        ...

    async def move(self, location: str, record_id: str, name: str) -> str | None:
        """Give the content at *location* its record's new *name*.

        Returns the new location, also when it was moved before, or None when it is not there.
        """
        ...

    async def adopt(self, record_id: str, name: str, evidence: Evidence) -> Adopted | None:
        """Take up what lies where `put` would place this content, if all of *evidence* agrees.

        A crash between a `put` and its receipt leaves one. *evidence* has a size and a digest. A
        sink that cannot tell cheaply returns None, and the content is fetched again.
        """
        ...

    async def settle(self) -> None:
        """Make all that was put and moved last."""
        ...

    async def remove(self, record_id: str, keep: str | None = None) -> None:
        """Remove the contents of a record, all but the one at location *keep*."""
        ...

    async def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Tell whether a content is there with *size*, and with *sha256* where one is given."""
        ...

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """As `Segments.lacks`."""
        ...

    async def differs(self, index: Index) -> list[str]:
        """As `Segments.differs`."""
        ...

    async def tidy(self, index: Index) -> None:
        """As `Segments.tidy`; called at the end of a run, before its report."""
        ...

    async def aclose(self) -> None:
        """Let go of what is open; calling it again is harmless."""
        ...
