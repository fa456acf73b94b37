"""Pages on their way to the mirror, in the form in which they wait: rows as bytes, not as objects.

Job       a page: its plain rows, and what else came of its records
Entry     what came of a record about which more is known, or that has a content
changed   the rows of entries that are not in the mirror as they are
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import attrs

from paragon_async.convert import undisturbed
from paragon_async.ingest.frontier import Ticket
from paragon_async.ingest.sinks.protocol import Row, encoded
from paragon_async.ingest.statements import Known
from paragon_async.ingest.values import DeadLetter, Receipt, digest_of
from paragon_async.models import Record


@attrs.define(kw_only=True)
class Entry:
    """What came of one living record; *is_touched* when its contents may have changed in the sink."""

    id: str
    record: bytes
    known: Known
    receipt: Receipt | None
    is_new: bool = False
    is_touched: bool = False
    dead: DeadLetter | None = None

    @property
    def lost_its_content(self) -> bool:
        """Whether something may lie in the sink that is no content of this record any more."""
        return self.receipt is None and bool(self.known.receipt or self.known.is_suspect)


@attrs.define(eq=False, kw_only=True)
class Job:
    """One page on its way: what is done of it, and how many contents it still waits for.

    Records of which nothing but a row is known, and that need no content, are no *entries*: of them
    *rows* came or changed, with their *digests*; those *replaced* had another row; *unchanged* are as
    they were.
    *doomed* ids are to be deleted; the contents of *intended* ones are worked on; *strays* are gone
    and may have left one, though they have no row.
    """

    ticket: Ticket | None
    ids: frozenset[str]
    rows: list[Row] = attrs.field(factory=list)
    digests: dict[str, bytes] = attrs.field(factory=dict)
    replaced: list[str] = attrs.field(factory=list)
    unchanged: int = 0
    entries: list[Entry] = attrs.field(factory=list)
    doomed: list[str] = attrs.field(factory=list)
    intended: list[str] = attrs.field(factory=list)
    strays: list[str] = attrs.field(factory=list)
    pending: int = 0
    committed: anyio.Event = attrs.field(factory=anyio.Event)

    def plain(self, records: list[Record], digests: dict[str, bytes]) -> None:
        """Take records that need no content, and of which *digests* is all that is known."""
        with undisturbed():
            self._plain(records, digests)

    def _plain(self, records: list[Record], digests: dict[str, bytes]) -> None:
        lines = [encoded(record.data) for record in records]
        ids = [record.data["id"] for record in records]
        found = dict(zip(ids, map(digest_of, lines), strict=True))
        if not digests:
            # A first pull, where all of this is spent on every record.
            self.rows, self.digests = list(map(Row, ids, lines)), found
            return
        for id_, line in zip(ids, lines, strict=True):
            if digests.get(id_) != found[id_]:
                self.rows.append(Row(id_, line))
                self.digests[id_] = found[id_]
        self.replaced = [id_ for id_ in self.digests if id_ in digests]
        self.unchanged = len(ids) - len(self.rows)


def changed(entries: Iterable[Entry]) -> tuple[list[Row], dict[str, bytes]]:
    """Return the rows that are not in the mirror as they are, and their digests."""
    rows: list[Row] = []
    digests: dict[str, bytes] = {}
    for entry in entries:
        receipt = entry.receipt
        row = Row(entry.id, entry.record)
        if receipt:
            row = Row(entry.id, entry.record, receipt.path, receipt.sha256)
        digest = digest_of(row.line)
        if digest != entry.known.digest:
            rows.append(row)
            digests[row.id] = digest
    return rows, digests
