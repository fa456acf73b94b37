"""The emulator as a server: how fast a client that is not ours drains it, and what depth costs.

The emulator runs in a process of its own; the client is plain aiohttp, which reads the bytes of a page,
takes its cursor from the decoded JSON and makes no objects of the records.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import jwt
import msgspec

_ROUNDS = 5
_SAMPLES = 40


async def measure(*, is_quick: bool) -> None:
    """Print records a second, and the time of a deep page beside that of the first."""
    drained, deep = (5_000, 20_000) if is_quick else (100_000, 1_001_000)
    async with _serving(drained) as client:
        print(f"{drained:,} generated contacts, pages of 1,000, plain aiohttp", flush=True)
        rates = [await client.drain() for _ in range(2 if is_quick else _ROUNDS)]
        shown = ", ".join(f"{rate:,.0f}" for rate in sorted(rates))
        print(f"  records/s: median {statistics.median(rates):,.0f} ({shown})", flush=True)
    async with _serving(deep) as client:
        print(f"{deep:,} generated contacts: one page of 1,000, first and last in turn", flush=True)
        first, last = await client.compare(deep // 1000 - 1)
        print(f"  ms: page 1 {first * 1000:.2f}, page {deep // 1000} {last * 1000:.2f}, ", end="")
        print(f"ratio {last / first:.3f}", flush=True)


class _Client:
    """A client that is not ours, of one sync."""

    def __init__(self, session: aiohttp.ClientSession, sync: str) -> None:
        self._session = session
        self._sync = sync

    async def page(self, cursor: str | None) -> tuple[int, str, int]:
        query = {"pageSize": "1000"} | ({"cursor": cursor} if cursor else {})
        async with self._session.get(f"{self._sync}/records", params=query) as answer:
            page = msgspec.json.decode(await answer.read())
        paging = page["paging"]
        return len(page["data"]), paging["cursor"], paging["remainingRecords"]

    async def drain(self) -> float:
        begun, total, cursor, left = time.perf_counter(), 0, None, 1
        while left:
            count, cursor, left = await self.page(cursor)
            total += count
        return total / (time.perf_counter() - begun)

    async def compare(self, before: int) -> tuple[float, float]:
        """Return the median seconds of the first page and of the one after *before* pages."""
        cursor = None
        for _ in range(before):
            _, cursor, _ = await self.page(cursor)
        times: dict[str | None, list[float]] = {None: [], cursor: []}
        for _ in range(_SAMPLES):
            for place, taken in times.items():
                begun = time.perf_counter()
                await self.page(place)
                taken.append(time.perf_counter() - begun)
        return statistics.median(times[None]), statistics.median(times[cursor])


@contextlib.asynccontextmanager
async def _serving(count: int) -> AsyncIterator[_Client]:
    """Serve generated contacts from a process of its own until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        options = ["--port", "0", "--generate", f"contacts:{count}", "--seed", "7"]
        command = [sys.executable, "-m", "paragon_async", "emulator", *options]
        command += ["--ready-file", str(ready)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220, S603  # ours
        try:
            while not ready.exists():  # noqa: ASYNC110  # a file tells nobody
                await asyncio.sleep(0.05)
            lines = ready.read_text().splitlines()
            given = dict(shlex.split(line)[1].split("=", 1) for line in lines)
            async with _connected(given) as client:
                yield client
        finally:
            child.terminate()
            child.wait(10)


@contextlib.asynccontextmanager
async def _connected(given: dict[str, str]) -> AsyncIterator[_Client]:
    now = int(time.time())
    audience = f"useparagon.com/{given['PARAGON_PROJECT_ID']}"
    claims = {"sub": "u1", "aud": audience, "iat": now, "exp": now + 3600}
    key = given["PARAGON_SIGNING_KEY"].replace("\\n", "\n")
    bearer = jwt.encode(claims, key, algorithm="RS256")
    headers = {"Authorization": f"Bearer {bearer}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        base = given["PARAGON_BASE_URL"] + "/api/syncs"
        wanted = {"integration": "salesforce", "pipeline": "contacts"}
        async with session.post(base, json=wanted) as answer:
            sync = f"{base}/{(await answer.json())['id']}"
        while True:
            async with session.get(sync) as answer:
                if (await answer.json())["status"] == "IDLE":
                    break
            await asyncio.sleep(0.05)
        yield _Client(session, sync)
