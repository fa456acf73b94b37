"""python -m tests.soak.million: how soon a mirror with a million records asks for what is new.

Counted from `Ingest.run()` to the answer to its first request for records, with the state's file out of
the system's cache first, and in it. Goal: two seconds. Source: failures.md R20.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from paragon_async import Paragon
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from paragon_async.ingest import Ingest
from tests.conftest import PROJECT

GOAL = 2.0
_NUMBERS = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < :rows)"
_MORE = (
    # The one record that is there, again and again, under ids that come in no order, as real ones do.
    "CREATE TEMP TABLE ids AS {} SELECT lower(hex(randomblob(16))) id FROM n ORDER BY 1",
    """INSERT INTO records SELECT feed, ids.id, digest, place, deleted_at, doomed, pass
         FROM ids, (SELECT * FROM records LIMIT 1)""",
    """INSERT INTO receipts SELECT feed, ids.id, version, 'files/' || ids.id || '/a report.pdf', size,
         sha256, content_type, verified_by, at FROM ids, (SELECT * FROM receipts LIMIT 1)""",
)


def grow(state, rows):
    """Let a state know so many records and contents more."""
    with contextlib.closing(sqlite3.connect(state)) as database, database:
        for statement in _MORE:
            text = statement.format(_NUMBERS)
            database.execute(text, {"rows": rows} if ":rows" in text else {})


def forget(path):
    """Let the system forget what it has of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def first_answer(user, sync_id, mirror, answers):
    """Run, and return the seconds until records were answered, and until the end."""
    answers.clear()
    begun = time.perf_counter()
    await Ingest(user, sync_id, mirror, mirror).run()
    return min(answers) - begun, time.perf_counter() - begun


async def main(rows):
    """Make such a mirror, and start on it twice."""
    answers, key = [], new_signing_key()

    def note(exchange):
        if "records" in exchange.path:
            answers.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as room:
        drive, mirror = Path(room) / "drive", Path(room) / "mirror"
        drive.mkdir()
        (drive / "a report.pdf").write_bytes(b"%PDF")
        options = {"project_id": PROJECT, "signing_key": key}
        async with (
            Emulator(drive, settle=0, rescan=0, **options) as emulator,
            Paragon(base_url=emulator.url, observe=note, **options) as client,
        ):
            user = client.user("user-1")
            sync = await user.syncs.enable("googledrive", "files")
            await user.syncs.wait_until_idle(sync.id, timeout=10)
            await Ingest(user, sync.id, mirror, mirror).run()
            state = mirror / ".paragon" / "state.db"
            grow(state, rows)
            found = []
            for name in ("from the disk", "from memory"):
                if not found:
                    forget(state)
                first, whole = await first_answer(user, sync.id, mirror, answers)
                found.append(first)
                size = state.stat().st_size >> 20
                print(  # noqa: T201  # a program
                    f"{rows:,} records, a state of {size} MiB {name}: records were answered after "
                    f"{first:.2f} s, the run ended after {whole:.2f} s"
                )
    return int(max(found) > GOAL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak.million", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    sys.exit(asyncio.run(main(parser.parse_args().rows)))
