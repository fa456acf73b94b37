"""httpx and pydantic, as a generated SDK uses them: one client, a model for every answer."""

from __future__ import annotations

import httpx

from benchmarks.clients.frame import Measure, perform
from benchmarks.clients.pydantic_models import Page
from benchmarks.task import Figure, Task


async def pull(task: Task) -> Figure:
    """Pull all records of one sync into pydantic models."""
    count = 0
    cursor: str | None = None
    remain: int | None = 1
    async with httpx.AsyncClient(headers=task.headers) as client:
        with Measure() as measure:
            while remain:
                query = {"pageSize": "1000"} | ({"cursor": cursor} if cursor else {})
                answer = await client.get(task.records_url, params=query)
                answer.raise_for_status()
                page = Page.model_validate_json(answer.content)
                for _ in page.data:
                    count += 1
                cursor, remain = page.paging.cursor, page.paging.remaining_records
    return measure.figure(count=count)


if __name__ == "__main__":
    perform({"pull": pull})
