"""Files with obstore's HTTP store, Rust underneath: streamed in pieces of 1 MiB, or whole."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from obstore.store import HTTPStore

from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.storing import each, put
from benchmarks.task import Figure, Item, Task

_PIECE = 1 << 20


async def stream(task: Task) -> Figure:
    """Write the pieces of each file as they come."""
    store = _store(task)

    async def fetch(item: Item, path: Path) -> int:
        size = 0
        found = await store.get_async(f"{item.id}/content")
        with path.open("wb") as file:  # in the loop: a hop for each piece costs more
            async for piece in found.stream(min_chunk_size=_PIECE):
                size += file.write(piece)
        return size

    with Measure() as measure:
        size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


async def small(task: Task) -> Figure:
    """Read each file whole, write it beside its place and rename it."""
    store = _store(task)

    async def fetch(item: Item, path: Path) -> int:
        found = await store.get_async(f"{item.id}/content")
        return put(path, await found.bytes_async())

    with Measure() as measure:
        size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


def _store(task: Task) -> HTTPStore:
    options = {"allow_http": True, "default_headers": task.headers, "timeout": "600s"}
    return HTTPStore.from_url(task.records_url, client_options=options)


if __name__ == "__main__":
    perform({"stream": stream, "small": small})
    # All is measured and told. Its threads can abort a process whose interpreter is ending under them.
    sys.stdout.flush()
    os._exit(0)
