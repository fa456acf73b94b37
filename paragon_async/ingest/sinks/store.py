"""A mirror in an object store: S3, Google Cloud Storage, Azure, or what speaks like them.

<prefix>files/<record id>/<name>            contents
<prefix>records/<feed>-<number>.jsonl       records, one object a write; see `StoreSegments`
<prefix>.paragon-owner                      which state the mirror belongs to
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paragon_async.download import Evidence
from paragon_async.errors import ConfigurationError, SinkError
from paragon_async.ingest.sinks.bucket import Bucket
from paragon_async.ingest.sinks.owner import path_of
from paragon_async.ingest.sinks.protocol import Adopted, Index, Mark, Row
from paragon_async.ingest.sinks.store_owner import claim
from paragon_async.ingest.sinks.store_segments import StoreSegments
from paragon_async.names import distinct_name

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_FILES = "files"
_PLAIN_ID = re.compile(r"[a-z0-9_-]{1,100}")
_FULL = 32 << 20
# What says where a store is, in obstore's settings. Everything else may be a secret.
_WHERE = ("account_name", "container_name", "bucket")


class ObjectStoreSink:
    """Mirror into an object store, below *prefix*.

    *store* is a store of obstore, or a URL for `obstore.store.from_url`, which finds credentials in
    the environment. *full* is the size in bytes that objects of records are merged up to,
    *batch_rows* how many records are written as one. What a method did before it returned is in the
    store, whole; time-outs and retries are the store's own: give `retry_config` and `client_options`
    where you make it. A content of up to 5 MiB is one request, a larger one a multipart upload of
    at most 20 MiB in memory (more only above 45 GiB); an upload broken off can leave parts that are
    no object: let the bucket expire them. obstore's `LocalStore` does not sync, so no promise holds
    through a power cut there: for a disk take the folder sink.

    Raises `ConfigurationError` when obstore is not installed, or *store* or *prefix* cannot be one.
    Every method raises `SinkError` when the store refuses. Cancelling waits for the request under
    way. The objects are whole at every instant, old or new.
    """

    contents = True
    settles = False

    def __init__(
        self,
        store: ObjectStore | str,
        *,
        prefix: str = "",
        full: int = _FULL,
        batch_rows: int = 5_000,
    ) -> None:
        steps = prefix.strip("/").split("/") if prefix.strip("/") else []
        if any(step in {"", ".", ".."} or not step.isprintable() for step in steps):
            raise ConfigurationError(
                f"*prefix* must be plain names between slashes, not {prefix!r}"
            )
        self._bucket = Bucket(store, "".join(step + "/" for step in steps))
        self._full = full
        self._rows: StoreSegments | None = None
        self.batch_rows = batch_rows
        self.identity = _identity(self._bucket.store, steps)

    async def claim(self, owner: str, *, is_new: bool) -> None:
        """Take the prefix for a state; its owner stands in the object `.paragon-owner`.

        Of several at once one wins, in stores that put an object only where there is none; in one
        that cannot, the last.
        """
        await self._bucket.run(
            f"claim {self.identity!r}", claim, self._bucket, self.identity, owner, is_new=is_new
        )

    async def open(self, feed: int, marks: Mapping[str, int]) -> None:
        """Make ready for one feed: delete its objects of records that are not in *marks*."""
        rows = StoreSegments(self._bucket, feed, full=self._full, batch_rows=self.batch_rows)
        await rows.open(marks)
        self._rows = rows

    async def write(
        self,
        rows: Sequence[Row],
        gone: Sequence[Mapping[str, object]],  # noqa: ARG002  # objects of rows are not changed
    ) -> Mark | None:
        """Write *rows* as one object; None where there are none. *gone* is for the state alone."""
        return await self._segments().write(rows) if rows else None

    async def put(self, source: Path, record_id: str, name: str) -> str:
        """Upload *source*, which stays, and return its location below the prefix.

        A content of the same name is there until the new one takes its place, in one instant.
        """
        location = _location(record_id, name)

        def upload() -> None:
            self._bucket.put(location, source, source.stat().st_size)

        await self._bucket.run(f"put {location!r}", upload)
        return location

    async def move(self, location: str, record_id: str, name: str) -> str | None:
        """Copy the content to its new name; the old one stays until `remove`."""
        new = _location(record_id, name)

        def copy() -> bool:
            if self._bucket.size(location) is None:
                return self._bucket.size(new) is not None
            if new != location:
                self._bucket.copy(location, new)
            return True

        return new if await self._bucket.run(f"copy {location!r}", copy) else None

    async def adopt(
        self,
        record_id: str,  # noqa: ARG002  # the protocol's form
        name: str,  # noqa: ARG002  # as above
        evidence: Evidence,  # noqa: ARG002  # as above
    ) -> Adopted | None:
        """Return None: what is in a store costs as much to read as to send again."""
        return None

    async def settle(self) -> None:
        """Do nothing: what was put and moved already lasts."""

    async def remove(self, record_id: str, keep: str | None = None) -> None:
        """Delete the contents of a record, all but *keep*."""

        def clear() -> None:
            found = self._bucket.sizes(_folder(record_id))
            self._bucket.delete([location for location in found if location != keep])

        await self._bucket.run(f"remove the contents of {record_id!r}", clear)

    async def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Tell whether the content is there with *size*; with *sha256* it is read, in pieces."""
        return await self._bucket.run(
            f"read {location!r}", self._bucket.holds, location, size, sha256
        )

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the places that are missing or of another size."""
        return await self._segments().lacks(marks)

    async def differs(self, index: Index) -> list[str]:
        """Return the places that do not hold what was written; all of them are read, in pieces."""
        return await self._segments().differs(index)

    async def tidy(self, index: Index) -> None:
        """Rewrite objects with rows that count no more, merge small ones; see `StoreSegments`."""
        await self._segments().tidy(index)

    async def aclose(self) -> None:
        """Do nothing: a store has nothing open between two calls."""

    def _segments(self) -> StoreSegments:
        if self._rows is None:
            raise SinkError("the sink is not open: call `open` first")
        return self._rows


def _identity(store: ObjectStore, steps: list[str]) -> str:
    """Name the place without its credentials, the same for a store and for its URL."""
    settings = getattr(store, "config", None) or {}
    above = getattr(store, "prefix", None)
    kind = type(store).__name__.lower().removesuffix("store")
    if kind == "local":
        # The path comes last, whole: the state makes it a relative one where it is near.
        return f"store:local:{path_of(Path(above or os.sep).joinpath(*steps))}"
    where = [_host(str(settings["endpoint"]))] if settings.get("endpoint") else []
    where += [str(settings[key]) for key in _WHERE if key in settings]
    where += [above.strip("/")] if isinstance(above, str) and where else []
    # What is in memory is another store each time.
    where += [] if where else [hex(id(store))]
    return "store:" + "/".join([kind, *where, *steps])


def _host(endpoint: str) -> str:
    """Return host and port of a URL, which may hold a password."""
    return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").netloc.rpartition("@")[2]


def _folder(record_id: str) -> str:
    plain = _PLAIN_ID.fullmatch(record_id)
    return f"{_FILES}/{record_id if plain else distinct_name(record_id, record_id)}"


def _location(record_id: str, name: str) -> str:
    # obstore keeps names with such an end to itself, in a folder of this machine.
    return f"{_folder(record_id)}/{re.sub(r'#(?=[0-9]+$)', '_', name)}"
