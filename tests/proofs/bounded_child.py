"""The process that is measured: it fetches something and says what it cost in memory and in lag.

bounded_child.py WHAT [SIZE]      the service in the environment, or its URL in PARAGON_BASE_URL
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from paragon_async import File, Limits, Paragon, ParagonError, Retry


async def page(user, _):
    return [record async for record in user.records.pull("s")]


async def read(user, _):
    async with user.records.content("s", "r") as content:
        return await content.read()


async def chunks(user, _):
    async with user.records.content("s", "r") as content:
        size = 0
        async for chunk in content.chunks():
            size += len(chunk)
        return size


async def known(user, room):
    file = File(id="r", name="a.bin", mime_type="application/x-bin", size=1 << 20)
    return (await user.records.download("s", file, room)).size


async def files(user, room):
    """All that an emulator's drive holds, 64 at once."""
    sync = await user.syncs.enable("googledrive", "files")
    await user.syncs.wait_until_idle(sync.id, timeout=120)
    found = user.records.pull(sync.id, File)
    done = user.records.download_all(sync.id, found, room, concurrency=64, durability="none")
    return sum([saved.size async for saved in done])


async def probe(late, held):
    """Note how late a task wakes that wants to sleep for a millisecond, and what the loop did meanwhile.

    What the loop's own thread worked is the same however busy the machine is with other things.
    """
    while True:
        wanted, worked = time.perf_counter() + 0.001, time.thread_time()
        await asyncio.sleep(0.001)
        late.append(time.perf_counter() - wanted)
        held.append(time.thread_time() - worked)


def peak():
    """Return the megabytes of memory that this process held at most."""
    # Not ru_maxrss: a child begins with the peak of the process it was forked from.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


async def main(what, room):
    late, held, size, error = [], [], None, None
    retry, limits = Retry(attempts=1), Limits(downloads=64)
    async with Paragon(retry=retry, limits=limits) as paragon:
        watching = asyncio.create_task(probe(late, held))
        await asyncio.sleep(0.01)
        try:
            size = await what(paragon.user("user-1"), room)
        except ParagonError as failure:
            error = type(failure).__name__
        await asyncio.sleep(0.01)
        watching.cancel()
    late.sort()
    return {
        "size": size if isinstance(size, int) else None,
        "error": error,
        "peak": peak(),
        "p99": late[len(late) * 99 // 100],
        "most": late[-1],
        "held": max(held),
        "times": len(late),
    }


WAYS = {work.__name__: work for work in (page, read, chunks, known, files)}
if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
        found = asyncio.run(main(WAYS[sys.argv[1]], Path(folder)))
    sys.stdout.write(json.dumps(found) + "\n")
