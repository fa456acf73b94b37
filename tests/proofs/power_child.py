"""The process whose machine loses its power: a server that forks one work for each line it is told.

    power_child.py URL PROJECT SYNC CONCURRENCY PAGE_SIZE      the signing key in PARAGON_SIGNING_KEY

A line is `{"work", "durability", "honest", "folder"}`, with the name of one of `WORKS`. The child says
`begin PID`, `saved {…}` for each content that it was told is saved, `failed …` for what stopped it; its
parent says `ended STATUS` once it is gone. Without *honest* the disk flushes nothing, and says it did.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from paragon_async import File, Paragon, Retry
from paragon_async.disk import SystemDisk
from paragon_async.ingest import FolderSink, Ingest, State


class LyingDisk(SystemDisk):
    """A disk that says it has flushed, and has not."""

    def sync(self, file):
        """Do nothing."""

    def sync_folder(self, path):
        """Do nothing."""

    def sync_all(self, path):
        """Do nothing."""


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def say_saved(saved):
    say("saved", json.dumps({"path": str(saved.path), "id": saved.record_id}))


async def ingest(user, sync_id, wish):
    disk = None if wish["honest"] else LyingDisk()
    concurrency, page_size = map(int, sys.argv[4:])
    one = Ingest(
        user,
        sync_id,
        FolderSink(wish["folder"], durability=wish["durability"], disk=disk),
        State(wish["folder"], disk=disk),
        concurrency=concurrency,
        page_size=page_size,
    )
    report = await one.run()
    assert not report.dead_letters, report


async def one_by_one(user, sync_id, wish):
    disk = None if wish["honest"] else LyingDisk()
    async for record in user.records.pull(sync_id, File):
        if not record.is_folder:
            say_saved(await user.records.download(sync_id, record, wish["folder"], disk=disk))


async def many(user, sync_id, wish):
    disk = None if wish["honest"] else LyingDisk()
    async for saved in user.records.download_all(
        sync_id,
        user.records.pull(sync_id, File),
        wish["folder"],
        concurrency=4,
        durability=wish["durability"],
        disk=disk,
    ):
        say_saved(saved)


WORKS = {work.__name__: work for work in (ingest, one_by_one, many)}


async def work(wish):
    url, project, sync_id = sys.argv[1:4]
    async with Paragon(project_id=project, base_url=url, retry=Retry(attempts=2)) as paragon:
        await WORKS[wish["work"]](paragon.user("user-1"), sync_id, wish)


def main():
    for line in sys.stdin:
        wish = json.loads(line)
        child = os.fork()
        if not child:
            status = 1
            try:
                say("begin", os.getpid())
                asyncio.run(work(wish))
                status = 0
            except BaseException as error:  # noqa: BLE001  # a forked child must never return into its parent's loop
                say("failed", repr(error).replace("\n", " "))
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
