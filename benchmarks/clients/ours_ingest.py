"""paragon_async's ingest, used as README shows it, and the bare downloads it is held against.

files    records and contents to a folder, with state and receipts; the option `durability`
rows     records alone to a folder, as the option `records` says: `jsonl` or `parquet`
bare     the same files by `pull` and `download_all`: no state, no rows, nothing to go on from
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import attrs

from benchmarks.clients.frame import Measure, perform
from benchmarks.task import Figure, Task
from paragon_async import ConnectedUser, File, Limits, Paragon, Saved, Sync, SyncStatus
from paragon_async.ingest import FolderSink, Ingest


class _Idle:
    """Answers what an ingest asks about its sync: the canned servers know no syncs."""

    async def status(self, sync_id: str) -> SyncStatus:
        return SyncStatus(status="IDLE", id=sync_id)

    async def list(self) -> Sequence[Sync]:
        return []


async def files(task: Task) -> Figure:
    """Mirror the sync, whole."""
    sink = FolderSink(_folder(task), durability=task.options["durability"])
    async with _user(task) as user:
        with Measure() as measure:
            ingest = Ingest(user, task.sync_id, sink, _folder(task), concurrency=task.concurrency)
            report = await ingest.run()
    if report.dead_letters:
        raise RuntimeError(f"{report.dead_letters} dead letters")
    return measure.figure(count=report.files, size=report.bytes)


async def rows(task: Task) -> Figure:
    """Mirror the records of the sync, without contents."""
    sink = FolderSink(_folder(task), records=task.options["records"])
    async with _user(task) as user:
        with Measure() as measure:
            report = await Ingest(user, task.sync_id, sink, _folder(task), contents=False).run()
    if report.created != report.records:
        raise RuntimeError(f"{report.created} rows of {report.records} records")
    return measure.figure(count=report.records)


async def bare(task: Task) -> Figure:
    """Pull the records, and download what they stand for as they come."""
    async with _user(task) as user:
        with Measure() as measure:
            records = user.records.pull(task.sync_id, File)
            made = user.records.download_all(
                task.sync_id,
                records,
                _folder(task),
                concurrency=task.concurrency,
                durability=task.options["durability"],
            )
            stored = [saved async for saved in made]
    _arrange(stored, Path(_folder(task)))
    return measure.figure(count=len(stored), size=sum(saved.size for saved in stored))


def _arrange(stored: Sequence[Saved], folder: Path) -> None:
    """Move each file to a folder of its record's, as in a mirror: there the runner finds it."""
    for saved in stored:
        place = folder / str(saved.record_id)
        place.mkdir()
        saved.path.rename(place / saved.path.name)


@contextlib.asynccontextmanager
async def _user(task: Task) -> AsyncIterator[ConnectedUser]:
    limits = Limits(downloads=task.concurrency)
    async with Paragon(base_url=task.base_url, token=task.token, limits=limits) as paragon:
        yield attrs.evolve(paragon.user("user-1"), syncs=_Idle())


def _folder(task: Task) -> str:
    assert task.folder
    return task.folder


if __name__ == "__main__":
    perform({"files": files, "rows": rows, "bare": bare})
