"""What the engine knows, and what it tells: plain values.

Receipt       a content that is safe, and how that is known
DeadLetter    a record that could not be mirrored, and why
Report        what a run amounts to
Progress      how far a run is
Feed          which sync of which user of which project
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from paragon_async.convert import either
from paragon_async.models import Record


@attrs.frozen(kw_only=True)
class Feed:
    """What a mirror is a mirror of. *project* is empty where a fixed token does not tell it."""

    project: str
    user: str
    sync: str

    def __str__(self) -> str:
        return f"sync {self.sync} of user {self.user or '(of the token)'}"


@attrs.frozen(kw_only=True)
class Receipt:
    """A content that is durable at *path*, relative to the destination.

    *version* is what the record said of it (see `version_of`), *size* bytes, *sha256* hex of what
    was stored, *verified_by* the evidence that agreed, empty where there was none.
    """

    id: str
    version: str
    path: str
    size: int
    sha256: str
    content_type: str | None = None
    verified_by: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class DeadLetter:
    """A record that could not be mirrored whole. *kind* is a short word, *reason* a sentence.

    Its content is missing or old; its row is there where the record itself was good. *attempts*
    counts runs that tried, *first_at* and *last_at* are Unix times. *passing* tells that it failed
    for a reason that passes: the next runs try it again by themselves, a few times.
    """

    id: str
    name: str | None
    kind: str
    reason: str
    passing: bool = False
    attempts: int = 1
    first_at: float = 0.0
    last_at: float = 0.0


@attrs.define(kw_only=True)
class Report:
    """What a run did. Counts are of records, *bytes* of contents stored, *seconds* of the wall.

    *records* came in the feed: *created* and *updated* of them changed the mirror, *unchanged* did
    not (a content counts there when it was not fetched again). *files* were stored, *deleted* records
    removed. *dead_letters* counts those of this sync that stand at the end. *cursor* is the saved one.
    *status* is the sync's as the service said it when the run began: unless it is IDLE, more may come.
    """

    records: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    files: int = 0
    bytes: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    cursor: str | None = None
    status: str | None = None


@attrs.frozen(kw_only=True)
class Progress:
    """How far a run is: its *report* until now, and what the service says is still to come.

    *remaining* counts records after the last page that came, *total* all of the sync; both None where
    the service is silent. *in_flight* files are on their way, *bytes_in_flight* of them have come.
    """

    report: Report
    remaining: int | None = None
    total: int | None = None
    in_flight: int = 0
    bytes_in_flight: int = 0


OnProgress = Callable[[Progress], None]
Wanted = Callable[[Record], bool]


def version_of(data: Mapping[str, Any]) -> str:
    """Return what a record says of its content's version.

    With a hash and a size these alone: a renamed or shared file is not another file. Else the date
    of the last change, with size and type; a record that has none is a version as a whole.
    """
    found = data.get("hash")
    digest = found.get("value") or found.get("hash") if isinstance(found, Mapping) else found
    size = data.get("size")
    if isinstance(digest, str) and digest and size:
        return json.dumps(["hash", digest.lower(), size])
    updated = either(data, "updatedAt", "updated_at")
    if updated is None:
        return json.dumps(["record", digest_of(msgspec.json.encode(data)).hex()])
    return json.dumps(["date", str(updated), size, either(data, "mimeType", "mime_type")])


def digest_of(line: bytes) -> bytes:
    """Return a short digest of a record's line: whether it has to be written again."""
    return hashlib.blake2b(line, digest_size=16).digest()
