"""Rows in an object store as JSON lines: one object a write, as an object cannot be appended to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from paragon_async.errors import SinkError
from paragon_async.ingest.sinks.bucket import Bucket
from paragon_async.ingest.sinks.files import DAMAGE, VERIFY
from paragon_async.ingest.sinks.held import Held, agrees
from paragon_async.ingest.sinks.protocol import Index, Mark, Place, Row
from paragon_async.ingest.sinks.tidying import groups
from paragon_async.threads import in_thread

_ROWS = "records"


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

    async def differs(self, index: Index) -> list[str]:
        """Read all objects; return those in which a current row is missing or not what was written."""
        places = await index.places()
        found = []
        for name, place in places.items():
            held = await self._bucket.run(f"read {name!r}", self._held, name, place.size)
            if held is None or not await agrees(index, name, place, held):
                found.append(name)
        return found

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
        raise SinkError(f"{place!r} holds a line that is no record{VERIFY}")

    def _held(self, place: str, size: int) -> Held | None:
        """Read an object in pieces; None when it is not whole, or holds what is no record."""
        if self._bucket.size(place) != size:
            return None
        held = Held()
        try:
            for line in _lines(self._bucket.pieces(place, size)):
                held.add(line)
        except DAMAGE:
            return None
        return held

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


def _lines(pieces: Iterator[memoryview]) -> Iterator[bytes]:
    """Yield the lines in *pieces*, without their ends; the last one must have one too."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + bytes(piece)).split(b"\n")
        yield from lines
    if rest:
        raise ValueError("it ends within a line")


def _append(body: bytearray, data: bytearray, spans: Mapping[str, range]) -> None:
    whole = memoryview(data)
    for span in spans.values():
        body += whole[span.start : span.stop]
