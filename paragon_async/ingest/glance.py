"""What the state knows of many records at a glance: little is known of most.

A look makes an object of all that is known of each record. Of most records a pull only needs the digest
of the row, or that there is none: those cost little here but the look-up in the tree.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

import attrs
import msgspec

from paragon_async.ingest import bulk, statements
from paragon_async.ingest.statements import Known

_UNKNOWN = Known()
# A crash leaves receipts, letters and intents of records that have no row yet.
_GLANCE = """
SELECT json_group_object(id, hex(digest)) FILTER (WHERE is_plain),
  json_group_array(id) FILTER (WHERE NOT is_plain)
FROM (
  SELECT i.value AS id, r.digest AS digest,
    (length(r.digest) > 0 AND r.doomed IS NULL AND c.id IS NULL AND d.id IS NULL AND t.id IS NULL)
      IS TRUE AS is_plain
  FROM json_each(?1) i
  LEFT JOIN records r ON r.feed = ?2 AND r.id = i.value
  LEFT JOIN receipts c ON c.feed = ?2 AND c.id = i.value
  LEFT JOIN dead d ON d.feed = ?2 AND d.id = i.value
  LEFT JOIN intents t ON t.feed = ?2 AND t.id = i.value
  WHERE r.id IS NOT NULL OR c.id IS NOT NULL OR d.id IS NOT NULL OR t.id IS NOT NULL)
"""


@attrs.define(eq=False)
class Glance:
    """What is known of records: *digests* of those that have a row and nothing else, else *known*."""

    digests: dict[str, bytes] = attrs.field(factory=dict)
    known: dict[str, Known] = attrs.field(factory=dict)

    def of(self, id_: str) -> Known:
        """Return what is known of one of them, as `statements.look` tells it."""
        digest = self.digests.get(id_)
        return self.known.get(id_, _UNKNOWN) if digest is None else Known(digest=digest)


def glance(db: sqlite3.Connection, feed: int, ids: Collection[str]) -> Glance:
    """Return what `statements.look` does, without an object for each record that has a row alone."""
    listed = bulk.listed(ids)
    if listed is None:
        return Glance(known=statements.look(db, feed, list(ids)))
    ((plain, others),) = db.execute(_GLANCE, (listed, feed)).fetchall()
    return Glance(
        digests={id_: bytes.fromhex(text) for id_, text in msgspec.json.decode(plain).items()},
        known=statements.look(db, feed, msgspec.json.decode(others)),
    )
