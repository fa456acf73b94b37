"""One run of a sync: what its account holds becomes what its feed shows.

A full run compares everything and finds every deletion; an incremental one reads what changed since
the last. With *deletes* "full_run" only full runs notice that something is gone, as on services whose
incremental runs cannot see it. A `folderId` that is not in the account makes the sync ERRORED.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from paragon_async.emulator.describe import row_of, tombstone
from paragon_async.emulator.errors import EmulatorError, SourceFailed
from paragon_async.emulator.feed import Feed, Row, Then
from paragon_async.emulator.generate import Spec, rows
from paragon_async.emulator.items import ROOT, Items

_AT_ONCE = 2000
Ready = Callable[[sqlite3.Row], Awaitable[None]]


class Reader:
    """Reads accounts into feeds."""

    def __init__(
        self, items: Items, feed: Feed, specs: Iterable[Spec], deletes: str, ready: Ready
    ) -> None:
        if deletes not in {"at_once", "full_run"}:
            raise EmulatorError("deletes must be at_once or full_run")
        self.ready = ready
        self._items = items
        self._feed = feed
        self._specs = list(specs)
        self._deletes = deletes

    def incremental(self, sync: sqlite3.Row, now: float, then: Then) -> None:
        """Bring what is new in the account into the feed, and call *then* in the same step."""
        changed = self._items.since(_accounts(sync), sync["pipeline"], sync["item"])
        chosen = self._chosen(sync)
        new, gone = [], []
        for item in changed:
            if item["gone"] or not chosen(item):
                gone.append(item)
            else:
                new.append(row_of(item, sync))
        rows_gone = [] if self._deletes == "full_run" else self._buried(sync, gone)
        self._feed.put(sync["id"], [*self._other(sync, new), *rows_gone], now, then)

    async def full(self, sync: sqlite3.Row, now: float, then: Then) -> None:
        """Compare the whole account with the feed, in steps that let others work.

        *then* is called in every step with its changes.
        """
        chosen = self._chosen(sync)
        present: set[str] = set()
        listed = (i for i in self._items.all(_accounts(sync), sync["pipeline"]) if chosen(i))
        everything = list(listed)
        made = (row_of(item, sync) for item in everything)
        while batch := list(islice(made, _AT_ONCE)):
            present.update(row.id for row in batch)
            self._feed.put(sync["id"], self._other(sync, batch), now, then)
            await asyncio.sleep(0)
        lost = [r for r in self._feed.living(sync["id"], "item") if r["id"] not in present]
        buried = [tombstone(r["id"], r["external"], r["parent"], r["kind"]) for r in lost]
        for start in range(0, len(buried), _AT_ONCE):
            self._feed.put(sync["id"], buried[start : start + _AT_ONCE], now, then)
            await asyncio.sleep(0)

    async def fill(self, sync: sqlite3.Row, now: float) -> None:
        """Put what is generated for this pipeline into a new sync's feed."""
        name = json.loads(sync["configuration"]).get("customObjectName") or ""
        for spec in self._specs:
            if spec.pipeline != sync["pipeline"]:
                continue
            made = rows(spec, sync["id"], object_type=name or "Product_Catalog__c")
            while batch := list(islice(made, _AT_ONCE)):
                # What an earlier run put there before it was stopped keeps its place.
                self._feed.put(sync["id"], self._other(sync, batch), now)
                await asyncio.sleep(0)

    def last_item(self) -> int:
        """Return the number of the latest change in any account."""
        return self._items.last()

    def has_news(self, sync: sqlite3.Row) -> bool:
        """Tell whether an account changed since a sync read it."""
        return self._items.count_since(_accounts(sync), sync["pipeline"], sync["item"], 1) > 0

    def count(self, sync_id: str) -> int:
        """Return how many records a feed shows."""
        return self._feed.totals(sync_id)[1]

    def needs_full(self, sync: sqlite3.Row) -> bool:
        """Tell whether news are too many for one step, or may have moved into or out of a part."""
        if json.loads(sync["configuration"]).get("folderId"):
            return True
        news = (_accounts(sync), sync["pipeline"], sync["item"], _AT_ONCE)
        return self._deletes == "at_once" and self._items.count_since(*news) == _AT_ONCE

    def _other(self, sync: sqlite3.Row, made: list[Row]) -> Iterator[Row]:
        """Leave out what the feed shows already."""
        for row in made:
            old = self._feed.get(sync["id"], row.id)
            if old is None or old["body"] != row.body:
                yield row

    def _buried(self, sync: sqlite3.Row, gone: list[sqlite3.Row]) -> list[Row]:
        buried = []
        for item in gone:
            old = self._feed.by_external(sync["id"], item["external"])
            if old is not None and old["origin"] == "item" and not old["deleted"]:
                buried.append(tombstone(old["id"], item["external"], item["parent"], item["kind"]))
        return buried

    def _chosen(self, sync: sqlite3.Row) -> Any:
        """Return the test for what belongs to a sync by its configuration."""
        configuration = json.loads(sync["configuration"])
        below = self._below(sync, configuration)
        types = set(configuration.get("mimeTypes") or ())
        wanted = configuration.get("customObjectName")

        def is_chosen(item: sqlite3.Row) -> bool:
            if below is not None and item["external"] not in below:
                return False
            if types and item["kind"] == "file" and item["mime"] not in types:
                return False
            if wanted and item["body"] is not None:
                return bool(json.loads(item["body"]).get("objectType", wanted) == wanted)
            return True

        return is_chosen

    def _below(self, sync: sqlite3.Row, configuration: dict[str, Any]) -> set[str] | None:
        folder = configuration.get("folderId")
        if not folder or folder == ROOT or sync["pipeline"] != "files":
            return None
        found = self._items.get(sync["account"], "files", folder)
        if found is None or found["kind"] != "folder":
            raise SourceFailed(f"The folder {folder!r:.80} is not in this account")
        shallow = configuration.get("shallowSync") is True
        return self._items.below(sync["account"], folder, shallow=shallow)


def _accounts(sync: sqlite3.Row) -> tuple[str, str]:
    """Return whose items a sync reads: its mount's, and what was loaded for its user or for all."""
    if sync["pipeline"] == "files":
        return sync["account"], sync["account"]
    return "", sync["user"]
