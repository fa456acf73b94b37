"""Finds the bytes behind a record. Source: api.md 5.

Policies where the service is silent: the content of a folder, and of a record of the CRM pipelines,
is refused with 400; of a file that is no longer there with 404; records that were put into a
sync by hand have none.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from paragon_async.emulator import exports
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.folder import locate
from paragon_async.emulator.generate import Spec, virtual_of
from paragon_async.emulator.items import Items
from paragon_async.emulator.mount import Mount
from paragon_async.emulator.sources import DiskSource, MemorySource, Source, VirtualSource
from paragon_async.emulator.tickets import ticket_zip

_LARGEST_DOCUMENT = 10_000_000


class Contents:
    """The contents of all accounts."""

    def __init__(self, items: Items, mounts: Mapping[str, Mount], specs: Iterable[Spec]) -> None:
        self._items = items
        self._mounts = mounts
        self._specs = list(specs)

    async def of(self, sync: sqlite3.Row, record: sqlite3.Row) -> Source:
        """Return where the content of a record comes from, or refuse."""
        if sync["pipeline"] == "tickets":
            return MemorySource(ticket_zip(json.loads(record["body"])), "application/zip")
        if sync["pipeline"] != "files":
            raise Refusal(400, f"Records of {sync['pipeline']} have no content")
        if record["kind"] == "folder":
            raise Refusal(400, "A folder has no content")
        if record["origin"] == "generated":
            virtual = virtual_of(record["external"], self._specs)
            if virtual is not None:
                return VirtualSource(virtual)
        item = self._items.get(sync["account"], "files", record["external"] or "")
        path = None if item is None else self.path(sync["account"], item)
        if item is None or path is None:
            raise Refusal(404, "Record has no content")
        if exports.native_type(path.name):
            return await asyncio.to_thread(_exported, path, item["mime"])
        return DiskSource(path, item["mime"])

    def path(self, account: str, item: sqlite3.Row) -> Path | None:
        """Return the file on this machine that an item stands for."""
        mount = self._mounts.get(account)
        return None if mount is None or item["path"] is None else locate(mount.root, item["path"])


def _exported(path: Path, mime: str) -> Source:
    """Convert one of Google's own documents, as its export does; ten megabytes are its limit."""
    if os.stat(path).st_size > _LARGEST_DOCUMENT:  # noqa: PTH116  # one call
        raise Refusal(403, "This file is too large to be exported")
    data, content_type = exports.export(mime, path.read_text(errors="replace"))
    return MemorySource(data, content_type)
