"""`emulator`: how fast a client that is not ours drains the emulator, and what depth costs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks import emulated
from benchmarks.emulated import Emulated
from benchmarks.running import Case, Setting, Table, python
from benchmarks.task import Task

DRAIN = "The emulator: generated contacts, pages of 1,000"
DEPTH = "The emulator: one page of 1,000, near and far"
BYHAND = "aiohttp + msgspec by hand, no objects"
FIRST = "the first page"
LAST = "the last page"
_SAMPLES = 40


def measure(setting: Setting) -> list[Table]:
    """Drain 100,000 contacts; ask for the first and the last of 1,001 pages in turn."""
    drained, deep = (2_000, 5_000) if setting.is_quick else (100_000, 1_001_000)
    return [_drained(setting, drained), _deep(setting, deep)]


def _drained(setting: Setting, total: int) -> Table:
    with _serving(total) as sync:
        return setting.run(
            Case(
                title=DRAIN,
                task=_task(sync),
                contenders=[python(BYHAND, "byhand", "pull")],
                count=total,
                notes=[f"{total:,} records; the emulator has a process of its own."],
            )
        )


def _deep(setting: Setting, total: int) -> Table:
    with _serving(total) as sync:
        last = sync.cursor_before(total - 1000)
        return setting.run(
            Case(
                title=DEPTH,
                task=_task(sync),
                contenders=[
                    python(FIRST, "byhand", "again", cursor=None, times=_SAMPLES),
                    python(LAST, "byhand", "again", cursor=last, times=_SAMPLES),
                ],
                count=_SAMPLES,
                floor=FIRST,
                unit="pages",
                notes=[f"Page {total // 1000:,} of {total:,} records beside page 1."],
            )
        )


def _task(sync: Emulated) -> Task:
    return Task(base_url=sync.base_url, sync_id=sync.sync_id, token=sync.token)


@contextlib.contextmanager
def _serving(count: int) -> Iterator[Emulated]:
    """Serve generated contacts from a process of its own until the block ends."""
    with emulated.running("--generate", f"contacts:{count}", "--seed", "7") as given:
        yield emulated.enabled(given, integration="salesforce", pipeline="contacts")
