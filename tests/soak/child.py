"""The process that is watched: it does everything a user does, again and again, and says what it holds.

    child.py URL PROJECT SYNC ROOM STEPS LEAK   the signing key in PARAGON_SIGNING_KEY

It prints a sample when it begins and one after each round, and waits for a line: `go`, `last` for a last
run of the mirror that stays, or the end of its input.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paragon_async import Limits, Paragon, Retry
from tests.soak.leaks import LEAKS
from tests.soak.steps import STEPS, Scene, standing

_THREADS = 6
_CACHE = type(functools.lru_cache(len))
PATIENT = Retry(attempts=8, first_wait=0.002, longest_wait=0.02, budget=1_000_000)


def forget():
    """Empty all caches that have a bound: how far they are filled says nothing. The others may not grow."""
    for each in gc.get_objects():
        if isinstance(each, _CACHE) and each.cache_parameters()["maxsize"] is not None:
            each.cache_clear()


def sample(round_):
    """Return what this process holds, once nothing is under way."""
    forget()
    gc.collect()
    links = _descriptors()
    return {
        "round": round_,
        "rss": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "blocks": sys.getallocatedblocks(),
        "descriptors": len(links),
        "connections": sum(link.startswith("socket:") for link in links),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
    }


def _descriptors():
    """Return what the open files are; the one that lists them is gone when it is looked at."""
    found = []
    for link in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return found


async def settled():
    """Let what was closed go: some turns of the loop."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def one_round(place, steps, number):
    """Do each step once, all with one client."""
    url, project, sync_id, room = place
    limits = Limits(downloads=8)
    async with Paragon(project_id=project, base_url=url, retry=PATIENT, limits=limits) as paragon:
        scene = Scene(paragon.user("user-1"), sync_id, Path(room), number)
        for step in steps:
            await step(scene)


async def main(place, steps):
    loop = asyncio.get_running_loop()
    # All its threads from the beginning: it would make them one by one, whenever work meets work.
    pool = ThreadPoolExecutor(_THREADS)
    barrier = threading.Barrier(_THREADS + 1)
    for _ in range(_THREADS):
        pool.submit(barrier.wait)
    barrier.wait()
    loop.set_default_executor(pool)
    number = 0
    while True:
        await settled()
        sys.stdout.write(json.dumps(sample(number)) + "\n")
        sys.stdout.flush()
        match (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            case "go":
                number += 1
                await one_round(place, steps, number)
            case "last":
                url, project, sync_id, room = place
                async with Paragon(project_id=project, base_url=url) as paragon:
                    await standing(Scene(paragon.user("user-1"), sync_id, Path(room), number))
            case _:
                return


if __name__ == "__main__":
    *place_, wanted, leaking = sys.argv[1:]
    chosen = [step for step in STEPS if step.__name__ in wanted.split()] or list(STEPS)
    asyncio.run(main(place_, chosen + ([LEAKS[leaking]] if leaking else [])))
