"""The process that is killed: a server that forks one ingest for each line it is told.

A fork costs a hundredth of a fresh interpreter, so that a hundred kills fit into a minute. The child
says `begin PID` when it begins to work; its parent says `ended STATUS` once it is gone.

    child.py URL PROJECT SYNC CONCURRENCY PAGE_SIZE      the signing key in PARAGON_SIGNING_KEY
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from pathlib import Path

from paragon_async import Paragon, Retry
from paragon_async.ingest import FolderSink, Ingest


def say(word, number):
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()


async def ingest(mirror, durability):
    url, project, sync_id, concurrency, page_size = sys.argv[1:]
    async with Paragon(project_id=project, base_url=url, retry=Retry(attempts=2)) as paragon:
        one = Ingest(
            paragon.user("user-1"),
            sync_id,
            FolderSink(mirror, durability=durability),
            mirror,
            concurrency=int(concurrency),
            page_size=int(page_size),
        )
        say("begin", os.getpid())
        report = await one.run()
        assert not report.dead_letters, report


def main():
    for line in sys.stdin:
        durability, mirror = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if not child:
            status = 1
            try:
                asyncio.run(ingest(Path(mirror), durability))
                status = 0
            except BaseException:  # noqa: BLE001  # a forked child must never return into its parent's loop
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
