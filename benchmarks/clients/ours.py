"""paragon_async, used as README shows it."""

from __future__ import annotations

import asyncio

from benchmarks.clients import consuming
from benchmarks.clients.frame import Measure, perform
from benchmarks.task import Figure, Task
from paragon_async import ConnectedUser, File, Limits, Paragon, Record

_MODELS: dict[str, type[File | Record]] = {"File": File, "Record": Record}


async def pull(task: Task) -> Figure:
    """Pull all records of one sync, as `Record` or as what the option `model` names."""
    model = _MODELS[task.options.get("model", "Record")]
    ahead = int(task.options.get("pages_ahead", 1))
    size = int(task.options.get("page_size", 1000))
    seconds = consuming.work_of(task)
    _warm()
    count = 0
    async with Paragon(base_url=task.base_url, token=task.token) as paragon:
        user = paragon.user("user-1")
        with Measure() as measure:
            records = user.records.pull(task.sync_id, model, page_size=size, pages_ahead=ahead)
            if seconds:
                async for _ in records:
                    consuming.work(seconds)
                    count += 1
            else:
                async for _ in records:
                    count += 1
    return measure.figure(count=count)


def _warm() -> None:
    """Let the package import what it imports at its first answer: imports have a suite of their own."""
    Record({"id": "1"}).into(File)


async def many(task: Task) -> Figure:
    """Pull the syncs of many users at once, through one client, which signs for each of them."""
    syncs, size = int(task.options["syncs"]), int(task.options["page_size"])
    model = _MODELS[task.options.get("model", "Record")]
    _warm()
    limits = Limits(calls=task.concurrency)
    key = task.options["signing_key"]
    async with Paragon(
        base_url=task.base_url, project_id="benchmark", signing_key=key, limits=limits
    ) as paragon:

        async def one(user: ConnectedUser, sync_id: str) -> int:
            count = 0
            async for _ in user.records.pull(sync_id, model, page_size=size):
                count += 1
            return count

        users = [paragon.user(f"user-{number}") for number in range(syncs)]
        with Measure() as measure:
            counts = await asyncio.gather(
                *(one(user, f"sync-{number}") for number, user in enumerate(users))
            )
    return measure.figure(count=sum(counts))


if __name__ == "__main__":
    perform({"pull": pull, "many": many})
