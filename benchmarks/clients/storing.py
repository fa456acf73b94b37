"""What clients that store files share: where a file goes, and so many workers at once.

each(task, fetch)     calls `fetch(item, path)` for every item, `task.concurrency` at once
put(path, body)       a small file written beside its place and renamed into it
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from benchmarks.task import Item, Task

Fetch = Callable[[Item, Path], Awaitable[int]]


async def each(task: Task, fetch: Fetch) -> int:
    """Fetch every item of the task into its folder; return how many bytes all of them have.

    *fetch* stores one item and returns its bytes. Workers that go on as soon as they are done cost
    less than a task for each file behind a semaphore, so this is what a careful caller writes.
    """
    left = iter(task.items)
    took = await asyncio.gather(*(_worker(task, left, fetch) for _ in range(task.concurrency)))
    return sum(took)


async def _worker(task: Task, left: Iterator[Item], fetch: Fetch) -> int:
    total = 0
    for item in left:
        total += await fetch(item, place(task, item))
    return total


def place(task: Task, item: Item) -> Path:
    """Return the path that an item is stored under."""
    assert task.folder
    return Path(task.folder, item.id)


def put(path: Path | str, body: bytes | bytearray) -> int:
    """Write *body* beside *path* and rename it; return its length.

    By bare system calls: a file object costs more than the write, and would be the peers' cost here.
    """
    part = f"{path}.part"
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        size = os.write(file, body)
    finally:
        os.close(file)
    os.replace(part, path)  # noqa: PTH105  # a Path costs more
    if size != len(body):
        raise OSError(f"{size} bytes were written of {len(body)}")
    return size
