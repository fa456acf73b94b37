"""Files with httpx: streamed to a file that is written in the loop, or read whole when small."""

from __future__ import annotations

from pathlib import Path

import httpx

from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.storing import each, put
from benchmarks.task import Figure, Item, Task


async def stream(task: Task) -> Figure:
    """Write the pieces of `aiter_bytes` as they come."""
    async with _client(task) as client:

        async def fetch(item: Item, path: Path) -> int:
            size = 0
            async with client.stream("GET", task.content_url(item)) as answer:
                answer.raise_for_status()
                with path.open("wb") as file:  # in the loop: what most people write
                    async for piece in answer.aiter_bytes():
                        size += file.write(piece)
            return size

        with Measure() as measure:
            size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


async def small(task: Task) -> Figure:
    """Read each file whole, write it beside its place and rename it."""
    async with _client(task) as client:

        async def fetch(item: Item, path: Path) -> int:
            answer = await client.get(task.content_url(item))
            return put(path, answer.raise_for_status().content)

        with Measure() as measure:
            size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


def _client(task: Task) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=task.headers, timeout=60.0)


if __name__ == "__main__":
    perform({"stream": stream, "small": small})
