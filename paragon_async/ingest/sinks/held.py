"""Whether places of rows still hold what was written to them.

Held        what is found in one place
agrees      whether that is what the state knows
"""

from __future__ import annotations

import attrs
import msgspec

from paragon_async.ingest.sinks.protocol import Index, Place
from paragon_async.ingest.values import digest_of

_ASK = 500


class _Head(msgspec.Struct):
    id: str
    deleted: msgspec.Raw = msgspec.Raw()


_read = msgspec.json.Decoder(_Head).decode


@attrs.define
class Held:
    """The ids of a place with the digest of their last line, None where its format has checksums.

    *tombstones* counts lines that tell of a delete: rows for the state, but of no record.
    """

    last: dict[str, bytes | None] = attrs.field(factory=dict)
    tombstones: int = 0

    def add(self, line: bytes) -> None:
        """Count a line, given without its end; raises `MsgspecError` where it is no record."""
        head = _read(line)
        self.last[head.id] = digest_of(line)
        self.tombstones += bytes(head.deleted) == b"true"


async def agrees(index: Index, name: str, place: Place, held: Held) -> bool:
    """Tell whether every current row of a place was found there, as it was written."""
    found = 0
    ids = list(held.last)
    for start in range(0, len(ids), _ASK):
        digests = await index.digests(name, ids[start : start + _ASK])
        found += len(digests)
        for id_, digest in digests.items():
            # An owed row, without a digest, is written again anyway.
            if digest and held.last[id_] not in {None, digest}:
                return False
    return found + held.tombstones >= place.rows - place.stale
