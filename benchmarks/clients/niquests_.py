"""niquests, asynchronously: pages decoded by msgspec without objects, and files streamed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import niquests

from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.storing import each
from benchmarks.task import Figure, Item, Task

_PIECE = 1 << 20


async def pull(task: Task) -> Figure:
    """Follow the cursor to the end, one page after the other."""
    count, cursor, left = 0, "", 1
    query = {"pageSize": str(task.options.get("page_size", 1000))}
    async with niquests.AsyncSession() as session:
        session.headers.update(task.headers)
        with Measure() as measure:
            while left:
                params = query | ({"cursor": cursor} if cursor else {})
                answer = await session.get(task.records_url, params=params)
                page = msgspec.json.decode(answer.raise_for_status().content or b"")
                count += len(page["data"])
                cursor, left = page["paging"]["cursor"], page["paging"]["remainingRecords"]
    return measure.figure(count=count)


async def stream(task: Task) -> Figure:
    """Write pieces of 1 MiB as they come."""
    async with niquests.AsyncSession() as session:
        session.headers.update(task.headers)

        async def fetch(item: Item, path: Path) -> int:
            size = 0
            answer = await session.get(task.content_url(item), stream=True)
            answer.raise_for_status()
            with path.open("wb") as file:  # in the loop: what most people write
                async for piece in await answer.iter_content(_PIECE):
                    size += file.write(piece)
            return size

        with Measure() as measure:
            size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


if __name__ == "__main__":
    perform({"pull": pull, "stream": stream})
