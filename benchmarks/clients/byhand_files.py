"""Files with aiohttp as most people write it by hand: 64 KiB at a time into `anyio.open_file`."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
import anyio

from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.storing import each
from benchmarks.task import Figure, Item, Task

_PIECE = 64 * 1024


async def stream(task: Task) -> Figure:
    """Write each file in pieces, beside its place, and rename it."""
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=task.headers, timeout=timeout) as session:

        async def fetch(item: Item, path: Path) -> int:
            part, size = f"{path}.part", 0
            async with (
                session.get(task.content_url(item), raise_for_status=True) as answer,
                await anyio.open_file(part, "wb") as file,
            ):
                async for piece in answer.content.iter_chunked(_PIECE):
                    size += await file.write(piece)
            os.replace(part, path)  # noqa: PTH105  # cheaper than a thread hop, and than a Path
            return size

        with Measure() as measure:
            size = await each(task, fetch)
    return measure.figure(count=len(task.items), size=size)


if __name__ == "__main__":
    perform({"stream": stream})
