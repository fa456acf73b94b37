"""paragon_async's downloads, used as README shows them.

one     a single file with `download`; the option `watch` tells how late the loop was meanwhile
all     many with `download_all`, and `all-uvloop` the same on uvloop

Options: `durability` and `sha256` as the methods know them; `room`, a folder to work in when the task
names none.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator

from benchmarks.clients.frame import Measure, on_uvloop, perform
from benchmarks.task import Figure, Task
from paragon_async import ConnectedUser, File, Limits, Paragon

_NAP = 0.001


async def one(task: Task) -> Figure:
    """Download the only file of the task."""
    (file,) = _records(task)
    lags: list[float] = []
    with _folder(task) as folder:
        async with _user(task) as user, _watching(task, lags):
            with Measure() as measure:
                saved = await user.records.download(
                    task.sync_id,
                    file,
                    folder,
                    durability=task.options.get("durability", "none"),
                    sha256=task.options.get("sha256", False),
                )
    more = {"lag_p99_ms": _late(lags, 0.99), "lag_max_ms": _late(lags, 1.0)} if lags else {}
    return measure.figure(count=1, size=saved.size, **more)


async def every(task: Task) -> Figure:
    """Download all files of the task, `concurrency` at once."""
    files = _records(task)
    count = size = 0
    with _folder(task) as folder:
        async with _user(task) as user:
            with Measure() as measure:
                async for saved in user.records.download_all(
                    task.sync_id,
                    files,
                    folder,
                    concurrency=task.concurrency,
                    durability=task.options.get("durability", "none"),
                    sha256=task.options.get("sha256", False),
                ):
                    count += 1
                    size += saved.size
    return measure.figure(count=count, size=size)


def _records(task: Task) -> list[File]:
    kind = "application/octet-stream"
    return [File(id=item.id, name=item.name, size=item.size, mime_type=kind) for item in task.items]


@contextlib.asynccontextmanager
async def _user(task: Task) -> AsyncIterator[ConnectedUser]:
    limits = Limits(downloads=task.concurrency)
    async with Paragon(base_url=task.base_url, token=task.token, limits=limits) as paragon:
        yield paragon.user("user-1")


@contextlib.contextmanager
def _folder(task: Task) -> Iterator[str]:
    if task.folder:
        yield task.folder
        return
    with tempfile.TemporaryDirectory(dir=task.options["room"]) as folder:
        yield folder


@contextlib.asynccontextmanager
async def _watching(task: Task, lags: list[float]) -> AsyncIterator[None]:
    """Note how late a task wakes that sleeps 1 ms, again and again; where that is asked for."""
    watcher = asyncio.create_task(_watch(lags)) if task.options.get("watch") else None
    try:
        yield
    finally:
        if watcher:
            watcher.cancel()


async def _watch(lags: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(_NAP)
        lags.append(time.perf_counter() - begun - _NAP)


def _late(lags: list[float], share: float) -> float:
    """Return the lag in ms that a *share* of all stays under."""
    return sorted(lags)[min(int(len(lags) * share), len(lags) - 1)] * 1000


if __name__ == "__main__":
    perform({"one": one, "all": every, "all-uvloop": on_uvloop(every)})
