"""The n-th operation fails, of what is no ingest: a download, many of them, an inbox.

The ingest has its own sweep, in test_nth. Source: failures.md R6, F90, F91, F110.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import sqlite3

import pytest

from paragon_async import DownloadError, File
from paragon_async.webhooks import Event, Inbox, InboxError, Router
from tests.fakes import FakeResponse, records
from tests.proofs.test_nth import BreakingDisk, Nth, breaking_connect
from tests.webhooks.sending import event

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
OLD, NEW = b"old", bytes(range(256)) * 10_000
SIZE = len(NEW)


def content(_):
    pieces = [NEW[start : start + 100_000] for start in range(0, SIZE, 100_000)]
    return FakeResponse(200, chunks=pieces, length=SIZE)


@pytest.mark.parametrize(
    ("number", "lasting"), [(errno.EIO, False), (errno.ENOSPC, True), (errno.EACCES, False)]
)
async def test_whichever_disk_operation_fails_a_download_is_whole_or_not(tmp_path, number, lasting):
    """The n-th operation on the disk fails: the old file or the new one is there, and it is said."""
    target = tmp_path / "content"
    file = File(id="r1", name="content", mime_type="application/x-bin", size=SIZE)
    for n in itertools.count(1):
        target.write_bytes(OLD)
        nth = Nth(n, lambda: OSError(number, os.strerror(number)), lasting=lasting)
        made, _ = records(content)
        error = None
        try:
            await made.download("s", file, target, disk=BreakingDisk(nth))
        except DownloadError as failure:
            error = failure
        assert target.read_bytes() in {OLD, NEW}
        # Where even removing fails, a part may stay; it is told by its name.
        names = set(os.listdir(tmp_path)) - {"content"}
        assert not names or nth.failed[-1] == "unlink", (n, nth.failed, names)
        assert all(name.endswith(".part") for name in names)
        if error is None:
            assert target.read_bytes() == NEW
        for name in names:
            (tmp_path / name).unlink()
        if not nth.failed:
            break
    assert n > 6
    assert error is None


def hear(failed):
    return lambda _, error: failed.append(error)


@pytest.mark.parametrize("durability", ["file", "batch"])
async def test_whichever_disk_operation_fails_what_was_told_is_there(tmp_path, durability):
    """The n-th operation fails under many downloads: each that was told is whole, none is half."""
    ids = [f"r{number}" for number in range(5)]
    for n in itertools.count(1):
        folder = tmp_path / str(n)
        folder.mkdir()
        nth = Nth(n, lambda: OSError(errno.EIO, os.strerror(errno.EIO)))
        made, _ = records(content)
        options = {"concurrency": 2, "durability": durability, "disk": BreakingDisk(nth)}
        failed, told = [], []
        try:
            found = made.download_all("s", ids, folder, on_error=hear(failed), **options)
            told += [saved.path async for saved in found]
        except DownloadError as error:
            failed.append(error)
        assert all(path.read_bytes() == NEW for path in told)
        whole = [path for path in folder.iterdir() if not path.name.endswith(".part")]
        assert all(path.read_bytes() == NEW for path in whole)
        if not nth.failed:
            break
    assert n > 10
    assert not failed and len(told) == len(ids)


SQLITE = {
    "full": ("database or disk is full", "SQLITE_FULL"),
    "busy": ("database is locked", "SQLITE_BUSY"),
    "broken": ("disk I/O error", "SQLITE_IOERR_WRITE"),
}


@pytest.mark.parametrize(("kind", "lasting"), [("full", True), ("busy", False), ("broken", False)])
async def test_whichever_statement_fails_no_event_is_lost(tmp_path, kind, lasting):
    """The n-th statement of an inbox fails: what was said to be stored is handled, if not now then later."""
    text, name = SQLITE[kind]

    def fail():
        error = sqlite3.OperationalError(text)
        error.sqlite_errorname = name
        return error

    for n in itertools.count(1):
        path, stored, handled = tmp_path / f"{n}.db", set(), set()
        router = Router()

        @router.on(Event)
        async def note(one, handled=handled):
            handled.add(one.record_id)

        nth = Nth(n, fail, lasting=lasting)
        try:
            async with asyncio.timeout(60), Inbox(path, connect=breaking_connect(nth)) as inbox:
                for record in ("r1", "r2", "r3"):
                    try:
                        await inbox.put(event(record))
                        stored.add(record)
                    except InboxError:
                        continue
                await inbox.drain(router)
        except InboxError:
            assert nth.failed
        async with asyncio.timeout(60), Inbox(path) as inbox:
            await inbox.drain(router)
            assert (await inbox.counts()).waiting == 0
        assert stored <= handled <= {"r1", "r2", "r3"}
        if not nth.failed:
            break
    assert n > 8
    assert stored == handled == {"r1", "r2", "r3"}
