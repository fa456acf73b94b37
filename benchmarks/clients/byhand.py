"""aiohttp and msgspec by hand, no objects made: the floor of records; and other short programs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import msgspec

from benchmarks.clients import consuming
from benchmarks.clients.frame import Measure, perform
from benchmarks.task import Figure, Task


async def _page(
    session: aiohttp.ClientSession, url: str, size: int, cursor: str | None
) -> dict[str, Any]:
    query = {"pageSize": str(size)} | ({"cursor": cursor} if cursor else {})
    async with session.get(url, params=query) as answer:
        answer.raise_for_status()
        page: dict[str, Any] = msgspec.json.decode(await answer.read())
        return page


async def pull(task: Task) -> Figure:
    """Pull all records of one sync: one page after the other, each record looked at once."""
    seconds, size = consuming.work_of(task), int(task.options.get("page_size", 1000))
    count, cursor, remain = 0, None, 1
    async with aiohttp.ClientSession(headers=task.headers) as session:
        with Measure() as measure:
            while remain:
                page = await _page(session, task.records_url, size, cursor)
                for _ in page["data"]:
                    if seconds:
                        consuming.work(seconds)
                    count += 1
                cursor, remain = page["paging"]["cursor"], page["paging"]["remainingRecords"]
    return measure.figure(count=count)


async def many(task: Task) -> Figure:
    """Pull many syncs at once, with a semaphore around each page."""
    syncs, size = int(task.options["syncs"]), int(task.options["page_size"])
    gate = asyncio.Semaphore(task.concurrency)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=task.headers, connector=connector) as session:

        async def one(url: str) -> int:
            count, cursor, remain = 0, None, 1
            while remain:
                async with gate:
                    page = await _page(session, url, size, cursor)
                count += len(page["data"])
                cursor, remain = page["paging"]["cursor"], page["paging"]["remainingRecords"]
            return count

        urls = [f"{task.base_url}/api/syncs/sync-{number}/records" for number in range(syncs)]
        with Measure() as measure:
            counts = await asyncio.gather(*(one(url) for url in urls))
    return measure.figure(count=sum(counts))


async def again(task: Task) -> Figure:
    """Ask for one page, after the option `cursor`, over and over; the median time is in `more`."""
    times: list[float] = []
    async with aiohttp.ClientSession(headers=task.headers) as session:
        await _page(session, task.records_url, 1000, task.options["cursor"])
        with Measure() as measure:
            for _ in range(task.options["times"]):
                begun = time.perf_counter()
                await _page(session, task.records_url, 1000, task.options["cursor"])
                times.append(time.perf_counter() - begun)
    return measure.figure(count=len(times), page_ms=sorted(times)[len(times) // 2] * 1000)


if __name__ == "__main__":
    perform({"pull": pull, "many": many, "again": again})
