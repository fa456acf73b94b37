"""`ingest`: mirrors, with everything that makes them resumable, against the same without it."""

from __future__ import annotations

import functools
import hashlib
import json

from benchmarks import canned, corpus
from benchmarks.corpus import Corpus
from benchmarks.running import Case, Row, Setting, Table, python
from benchmarks.serving import serving
from benchmarks.task import Task

FILES = "Ingest of 10,000 files of 16 KiB"
RECORDS = "Ingest of 1,000,000 records"
FEWER = "Ingest of 100,000 records"

OURS_FILE = "ours, durability file"
OURS_BATCH = "ours, durability batch"
BARE_FILE = "bare downloads, durability file"
BARE_BATCH = "bare downloads, durability batch"
BARE_NONE = "bare downloads, durability none"
OURS_LINES = "ours, to JSON lines"
OURS_PARQUET = "ours, to Parquet"
PULL = "pull() alone"

_SIZE = 16 * 1024
_PAGE = 1000
_AT_ONCE = 32


def measure(setting: Setting) -> list[Table]:
    """Mirror files with their contents, then records alone in two sizes, whose memory is compared."""
    count, most, fewer = (200, 5000, 1000) if setting.is_quick else (10_000, 1_000_000, 100_000)
    files = _files(setting, count)
    small, large = _rows(setting, FEWER, fewer), _rows(setting, RECORDS, most)
    for name in (OURS_LINES, OURS_PARQUET):
        less, more = small.row(name), large.row(name)
        if less and more:
            large.notes.append(
                f"Peak memory of {name}: {_memory(less):.0f} MB with {fewer:,} records, "
                f"{_memory(more):.0f} MB with {most:,}."
            )
    return [files, large, small]


def _memory(row: Row) -> float:
    return row.median(lambda figure: figure.memory_mb)


def _files(setting: Setting, count: int) -> Table:
    space = count * _SIZE
    with corpus.room(2 * space) as room, corpus.room(2 * space, in_memory=False) as target:
        made = Corpus(room.path)
        made.files(count, _SIZE)
        _describe(made)
        with serving(made) as served:
            case = Case(
                title=FILES,
                task=served.task(concurrency=_AT_ONCE),
                contenders=[
                    python(OURS_BATCH, "ours_ingest", "files", durability="batch", is_ours=True),
                    python(OURS_FILE, "ours_ingest", "files", durability="file", is_ours=True),
                    python(BARE_BATCH, "ours_ingest", "bare", durability="batch"),
                    python(BARE_FILE, "ours_ingest", "bare", durability="file"),
                    python(BARE_NONE, "ours_ingest", "bare", durability="none"),
                ],
                count=count,
                size=space,
                floor=BARE_NONE,
                room=target.path,
                digest=functools.cache(served.digest),
                unit="files",
                notes=[
                    f"From {served.name} to {target.kind}, {_AT_ONCE} at once.",
                    "All verify the record's MD5 and compute SHA-256; bare: no state and no rows.",
                ],
            )
            return setting.run(case)


def _describe(made: Corpus) -> None:
    """Write the pages of records that say the truth about the files: size and MD5."""
    place = made.folder / "pages" / str(_PAGE)
    place.mkdir(parents=True)
    for first in range(0, len(made.items), _PAGE):
        cursor = corpus.cursor_of(first) if first else None
        page = json.loads(corpus.page(cursor, _PAGE, len(made.items)))
        for number, record in enumerate(page["data"], first + 1):
            hasher = hashlib.md5(usedforsecurity=False)
            for piece in corpus.content(number, _SIZE):
                hasher.update(piece)
            record["size"] = _SIZE
            record["hash"] = {"type": "MD5", "value": hasher.hexdigest()}
        (place / (cursor or "first")).write_text(json.dumps(page, separators=(",", ":")))


def _rows(setting: Setting, title: str, count: int) -> Table:
    with (
        corpus.room(2000 * count, in_memory=False) as target,
        canned.canned(records=count, vary=True) as url,
    ):
        case = Case(
            title=title,
            task=Task(base_url=url, sync_id=corpus.SYNC, token="token"),  # noqa: S106  # nobody looks
            contenders=[
                python(OURS_LINES, "ours_ingest", "rows", records="jsonl", is_ours=True),
                python(
                    OURS_PARQUET,
                    "ours_ingest",
                    "rows",
                    "module:pyarrow",
                    records="parquet",
                    is_ours=True,
                ),
                python(PULL, "ours", "pull"),
            ],
            count=count,
            floor=PULL,
            room=target.path,
            notes=[f"{count:,} File records, each new, to {target.kind}; no contents."],
        )
        return setting.run(case)
