"""An object store below a prefix, and rows in it as JSON lines.

    Bucket          blocking calls of obstore, and `run`, which makes them from the event loop
    StoreSegments   rows: one object a write, because an object cannot be appended to

Only obstore's blocking calls are used, in threads: its own async calls can abort the interpreter when
the program ends right after them (ecosystem.md 4.2). Errors that leave `run` quote one line of the
store's words, without the path and query of a URL, and keep nothing of the error that they stand for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec

from paragon_async.errors import ConfigurationError, ParagonError, SinkError
from paragon_async.ingest.sinks.protocol import Index, Mark, Place, Row
from paragon_async.ingest.sinks.tidying import groups
from paragon_async.part import in_thread

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
P = ParamSpec("P")

_ROWS = "records"
_PIECE = 8 << 20
_PART = 5 << 20
_PARTS_AT_ONCE = 4
_MOST_PARTS = 9_000
_COPIED_AT_ONCE = 5_000_000_000
_LONGEST = 200
_URL = re.compile(r"(\w+://)(?:[^\s/@]*@)?([^\s/?#]*)\S*")


class Bucket:
    """Objects by their location below *prefix*. All methods but `run` block, and raise anything."""

    def __init__(self, store: ObjectStore | str, prefix: str) -> None:
        self._obstore = _obstore()
        self._prefix = prefix
        self.store = _from_url(store) if isinstance(store, str) else store

    async def run(self, doing: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do *work* in a thread; raises `SinkError` that says what could not be done, and why."""
        try:
            return await in_thread(work, *args, **kwargs)
        except ParagonError:
            raise
        except Exception as error:  # noqa: BLE001  # a store runs its owner's code for credentials
            refusal = SinkError(f"cannot {doing}: {_reason(error)}")
        # Raised out here, it does not carry the foreign error along, nor what that one quotes.
        raise refusal

    def is_empty(self) -> bool:
        """Tell whether nothing is here."""
        listing = self._obstore.list(self.store, self._prefix or None, chunk_size=2)
        # A console's empty "folder" object shows as the prefix itself.
        return not any(entry["path"] + "/" != self._prefix for chunk in listing for entry in chunk)

    def size(self, location: str) -> int | None:
        """Return the bytes of an object, None where there is none."""
        try:
            return int(self._obstore.head(self.store, self._prefix + location)["size"])
        except FileNotFoundError:
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all objects in a folder, at any depth, by location."""
        listing = self._obstore.list(self.store, f"{self._prefix}{folder}/", chunk_size=1_000)
        start = len(self._prefix)
        return {entry["path"][start:]: entry["size"] for chunk in listing for entry in chunk}

    def pieces(self, location: str, size: int) -> Iterator[memoryview]:
        """Read an object in pieces, each a request of its own: a long one would time out."""
        for start in range(0, size, _PIECE):
            end = min(size, start + _PIECE)
            key = self._prefix + location
            yield memoryview(self._obstore.get_range(self.store, key, start=start, end=end))

    def read(self, location: str, size: int) -> bytearray:
        """Return an object that must have *size*."""
        if self.size(location) != size:
            raise SinkError(f"{location!r} is missing or altered in the store: verify the mirror")
        data = bytearray()
        for piece in self.pieces(location, size):
            data += piece
        return data

    def holds(self, location: str, size: int, sha256: str | None) -> bool:
        """Tell whether an object has *size*, and the hash *sha256* where one is given."""
        if self.size(location) != size:
            return False
        if sha256 is None:
            return True
        running = hashlib.sha256()
        try:
            for piece in self.pieces(location, size):
                running.update(piece)
        except FileNotFoundError:
            # It was removed meanwhile.
            return False
        return running.hexdigest() == sha256.lower()

    def put(self, location: str, content: Path | bytes | bytearray, size: int) -> None:
        """Store *size* bytes, whole or not at all, and ask the store whether it has them."""
        self._obstore.put(
            self.store,
            self._prefix + location,
            content,
            chunk_size=_part(size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        self._check(location, size)

    def copy(self, old: str, new: str, at_once: int = _COPIED_AT_ONCE) -> None:
        """Copy an object; one of more than *at_once* bytes, which no store copies, goes through us."""
        size = self.size(old)
        if size is None:
            # A move that is repeated after a crash finds its work done.
            if self.size(new) is None:
                raise SinkError(f"there is nothing at {old!r} in the store: verify the mirror")
            return
        if size > at_once:
            self._send(new, self.pieces(old, size), size)
        else:
            self._obstore.copy(self.store, self._prefix + old, self._prefix + new)
        self._check(new, size)

    def delete(self, locations: Collection[str]) -> None:
        """Delete objects; one that is not there is deleted."""
        for location in locations:
            try:
                self._obstore.delete(self.store, self._prefix + location)
            except FileNotFoundError:
                continue

    def _send(self, location: str, pieces: Iterator[memoryview], size: int) -> None:
        # Not as a context: that would close it after an error, and give a torn object its name.
        writer = self._obstore.open_writer(
            self.store,
            self._prefix + location,
            buffer_size=_part(size),
            max_concurrency=_PARTS_AT_ONCE,
        )
        for piece in pieces:
            writer.write(piece)
        writer.close()

    def _check(self, location: str, size: int) -> None:
        found = self.size(location) or 0
        if found != size:
            raise SinkError(f"the store shows {found} of the {size} bytes put to {location!r}")


class StoreSegments:
    """`Segments` in a bucket: `records/<feed>-<number>.jsonl`, a record a line, numbers rising.

    Tidying holds an old object, its ids and the new one in memory: about three times *full* bytes.
    """

    def __init__(self, bucket: Bucket, feed: int, *, full: int, batch_rows: int) -> None:
        self.batch_rows = batch_rows
        self._bucket = bucket
        self._full = full
        self._start = f"{_ROWS}/{feed:03d}-"
        self._last = 0

    async def open(self, marks: Mapping[str, int]) -> None:
        """Delete the objects of this feed that are not in *marks*."""
        found = await self._bucket.run("list the records", self._bucket.sizes, _ROWS)
        numbers = {place: self._number(place) for place in {*found, *marks}}
        self._last = max([self._last, *numbers.values()])
        stray = [place for place in found if numbers[place] and place not in marks]
        await self._bucket.run("delete records of no commit", self._bucket.delete, stray)

    async def write(self, rows: Sequence[Row]) -> Mark:
        """Write *rows* as an object of their own."""

        def encode() -> bytes:
            return b"".join(row.line + b"\n" for row in rows)

        return await self._write(await in_thread(encode), len(rows))

    async def lacks(self, marks: Mapping[str, int]) -> list[str]:
        """Return the places that are missing or of another size."""
        found = await self._bucket.run("list the records", self._bucket.sizes, _ROWS)
        return [place for place, size in marks.items() if found.get(place) != size]

    async def tidy(self, index: Index) -> None:
        """Rewrite places with rows that count no more; merge small ones once there are many.

        An old object goes after the index has committed the new one. Raises `SinkError` for an old
        one that is missing, altered or no records; what was committed until then is good.
        """
        places = await index.places()
        for group in groups(places, self._full, None):
            await self._merge(index, places, group)

    async def _merge(self, index: Index, places: Mapping[str, Place], group: list[str]) -> None:
        old: list[str] = []
        ids: list[str] = []
        body = bytearray()
        for place in group:
            data, spans = await self._bucket.run(
                f"read {place!r}", self._load, place, places[place].size
            )
            living = await index.current(place, list(spans))
            kept = {one: span for one, span in spans.items() if one in living}
            # The groups are made by estimates; here the sizes are known, and memory is bounded.
            if body and len(body) + sum(map(len, kept.values())) > self._full:
                await self._replace(index, old, body, ids)
                old, ids, body = [], [], bytearray()
            await in_thread(_append, body, data, kept)
            ids += kept
            old.append(place)
        await self._replace(index, old, body, ids)

    async def _replace(self, index: Index, old: list[str], body: bytearray, ids: list[str]) -> None:
        mark = await self._write(body, len(ids)) if ids else None
        await index.moved(old, mark, ids)
        await self._bucket.run("delete merged records", self._bucket.delete, old)

    async def _write(self, body: bytes | bytearray, rows: int) -> Mark:
        self._last += 1
        place = f"{self._start}{self._last:06d}.jsonl"
        await self._bucket.run(f"write {place!r}", self._bucket.put, place, body, len(body))
        return Mark(place, len(body), rows)

    def _load(self, place: str, size: int) -> tuple[bytearray, dict[str, range]]:
        data = self._bucket.read(place, size)
        try:
            return data, _spans(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            pass
        raise SinkError(f"{place!r} holds a line that is no record: verify the mirror")

    def _number(self, place: str) -> int:
        """Return the number of a place of this feed, zero for any other object."""
        found = re.fullmatch(re.escape(self._start) + r"([0-9]{6,})\.jsonl", place)
        return int(found[1]) if found else 0


class _Head(msgspec.Struct):
    id: str


def _spans(data: bytearray) -> dict[str, range]:
    """Return where the last line of each id lies, with its end."""
    decoder = msgspec.json.Decoder(_Head)
    whole = memoryview(data)
    found: dict[str, range] = {}
    start = 0
    while start < len(data):
        end = data.index(b"\n", start) + 1
        found[decoder.decode(whole[start:end]).id] = range(start, end)
        start = end
    return found


def _append(body: bytearray, data: bytearray, spans: Mapping[str, range]) -> None:
    whole = memoryview(data)
    for span in spans.values():
        body += whole[span.start : span.stop]


def _part(size: int) -> int:
    """Return the bytes of one part: stores take ten thousand of them at most."""
    return max(_PART, size // _MOST_PARTS)


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    text = _URL.sub(r"\1\2", lines[0])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _obstore() -> Any:
    try:
        import obstore  # noqa: PLC0415  # optional, and only for this sink
        import obstore.store  # noqa: PLC0415  # the same
    except ImportError:
        raise ConfigurationError(
            "an object store needs obstore: pip install paragon-async[cloud]"
        ) from None
    return obstore


def _from_url(url: str) -> ObjectStore:
    refusal: ConfigurationError
    try:
        store: ObjectStore = _obstore().store.from_url(url)
    except Exception as error:  # noqa: BLE001  # each kind of store has errors of its own
        refusal = ConfigurationError(
            "*store* is no URL of an object store, such as s3://bucket/prefix, gs://… or az://…: "
            f"{type(error).__name__}"
        )
    else:
        return store
    # A URL can hold a password: neither it nor the error that quotes it goes along.
    raise refusal
