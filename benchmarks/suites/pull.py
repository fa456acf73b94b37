"""`pull`: records of one sync, from the socket to the loop of who asked for them."""

from __future__ import annotations

from benchmarks import canned, corpus
from benchmarks.corpus import Corpus
from benchmarks.running import Case, Contender, Setting, Table, python
from benchmarks.serving import serving
from benchmarks.task import Task

DRAIN = "Records, pages of 1,000"
LATENCY = "Records, 20 ms a page, a consumer of 10 µs a record"
FLOOR = "aiohttp + msgspec by hand, no objects"
OURS = "ours, pull()"
OURS_TYPED = "ours, pull(File)"
OURS_IN_TURN = "ours, pull(File), pages_ahead=0"
HTTPX = "httpx + pydantic"
NIQUESTS = "niquests + msgspec, no objects"
LOOP = "plain loop: aiohttp + msgspec by hand"


def measure(setting: Setting) -> list[Table]:
    """Drain 100,000 records; then the same with latency and a consumer that works."""
    total = 3_000 if setting.is_quick else corpus.RECORDS
    return [_drained(setting, total), _with_latency(setting, total)]


def _drained(setting: Setting, total: int) -> Table:
    with corpus.room(total * 1000) as room:
        made = Corpus(room.path)
        made.pages(1000, total)
        with serving(made) as served:
            return setting.run(
                Case(
                    title=DRAIN,
                    task=served.task(),
                    contenders=_contenders(),
                    count=total,
                    floor=FLOOR,
                    notes=[f"{total:,} File records from {served.name}, uncompressed."],
                )
            )


def _contenders() -> list[Contender]:
    return [
        python(OURS, "ours", "pull", is_ours=True),
        python(OURS_TYPED, "ours", "pull", model="File", is_ours=True),
        python(FLOOR, "byhand", "pull"),
        python(NIQUESTS, "niquests_", "pull", "module:niquests"),
        python(HTTPX, "httpx_", "pull", "module:httpx", "module:pydantic"),
    ]


def _with_latency(setting: Setting, total: int) -> Table:
    with canned.canned(latency=0.02, records=total) as url:
        return setting.run(
            Case(
                title=LATENCY,
                task=Task(base_url=url, sync_id="sync-1", token="token", options={"work_us": 10}),  # noqa: S106  # nobody looks at it
                contenders=[
                    python(OURS, "ours", "pull", is_ours=True),
                    python(OURS_TYPED, "ours", "pull", model="File", is_ours=True),
                    python(OURS_IN_TURN, "ours", "pull", model="File", pages_ahead=0, is_ours=True),
                    python(LOOP, "byhand", "pull"),
                ],
                count=total,
                floor=LOOP,
                notes=[f"{total:,} File records from a server that waits before it answers."],
            )
        )
