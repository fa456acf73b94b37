"""What was asked, as data: whose row of which table, beside whose, and how much of it.

speed      ours is at least so many times as fast as the peer: the median of the rounds' ratios
ideal      ours takes at most so many times the ideal time
memory     our process holds at most so many MB
growth     ours holds at most so many times the memory that it holds in the table *of*
more       a figure of the case's own, the one that *of* names, is at most so much
beyond     ours takes at most so many seconds more than the peer
excess     ours takes at most so many times what the peer does, both beyond the row that *of* names
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from benchmarks.running import Row, Table
from benchmarks.suites import decode, download, importing, ingest, many, pull
from benchmarks.task import Figure

Kind = Literal["speed", "ideal", "memory", "growth", "more", "beyond", "excess"]


_WORDS: dict[Kind, str] = {
    "speed": "{ours}, times as fast as {peer}",
    "ideal": "{ours}, times the ideal time",
    "memory": "{ours}, peak memory in MB",
    "growth": "{ours}, times its own memory in: {of}",
    "more": "{ours}, {of}",
    "beyond": "{ours}, seconds beyond {peer}",
    "excess": "{ours}, times {peer}, both beyond {of}",
}


@attrs.frozen
class Target:
    """One thing asked of the row *ours* in the table of a title."""

    suite: str
    table: str
    kind: Kind
    ours: str
    wanted: float
    peer: str = ""
    of: str = ""

    @property
    def what(self) -> str:
        """Say it in words."""
        return _WORDS[self.kind].format(
            ours=self.ours, peer=self.peer, of=self.of.replace("_", " ")
        )


@attrs.frozen
class Verdict:
    """What came of a target, as the page shows it."""

    what: str
    wanted: str
    reached: str
    outcome: str


TARGETS = (
    Target("pull", pull.DRAIN, "speed", pull.OURS, 0.90, pull.FLOOR),
    Target("pull", pull.DRAIN, "speed", pull.OURS_TYPED, 0.75, pull.FLOOR),
    Target("pull", pull.DRAIN, "speed", pull.OURS, 3.5, pull.HTTPX),
    Target("pull", pull.DRAIN, "speed", pull.OURS_TYPED, 3.5, pull.HTTPX),
    Target("pull", pull.LATENCY, "speed", pull.OURS, 1.5, pull.LOOP),
    Target("decode", decode.TITLE, "speed", decode.OURS, 2.5, decode.DETAILED),
    Target("decode", decode.TITLE, "speed", decode.OURS, 2.0, decode.PYDANTIC),
    Target("download", download.ONE, "speed", download.OURS, 1.6, download.CURL),
    Target("download", download.ONE, "speed", download.OURS, 3.5, download.HTTPX),
    Target("download", download.ONE, "speed", download.OURS, 5.0, download.ANYIO),
    Target("download", download.ONE, "memory", download.OURS, 60),
    Target("download", download.ONE, "more", download.OURS_WATCHED, 20, of="lag_p99_ms"),
    Target("download", download.HASHED, "speed", download.OURS_HASHED, 0.9, download.HASH),
    Target("download", download.ON_DISK, "speed", download.OURS_FILE, 1.3, download.CURL_FLUSHED),
    Target("download", download.OVER_TLS, "speed", download.OURS, 1.0, download.CURL),
    Target("download", download.LARGE, "speed", download.OURS, 1.0, download.CURL),
    Target("download", download.LARGE, "speed", download.OURS, 2.3, download.ARIA2C),
    Target("download", download.LARGE, "speed", download.OURS, 4.0, download.HTTPX),
    Target("download", download.LARGE, "memory", download.OURS, 90),
    Target("download", download.SMALL, "speed", download.OURS, 2.0, download.ARIA2C),
    Target("download", download.SMALL, "speed", download.OURS, 1.25, download.OBSTORE),
    Target("download", download.SMALL, "speed", download.OURS, 8.0, download.HTTPX),
    Target("download", download.SMALL, "speed", download.OURS, 4.0, download.ANYIO),
    Target("download", download.SMALL, "speed", download.OURS, 0.38, download.CURL),
    Target("download", download.SMALL, "speed", download.OURS_UVLOOP, 0.50, download.CURL),
    Target("download", download.SMALL, "speed", download.OURS_BATCH, 0.7, download.OURS),
    Target("download", download.LATENCY, "ideal", download.OURS, 1.1),
    Target("many", many.TITLE, "ideal", many.OURS, 1.15),
    Target("many", many.TITLE, "ideal", many.OURS_TYPED, 1.15),
    Target(
        "import",
        importing.TITLE,
        "excess",
        importing.OURS,
        1.25,
        importing.AIOHTTP,
        importing.NOTHING,
    ),
    Target("ingest", ingest.FILES, "speed", ingest.OURS_BATCH, 0.6, ingest.BARE_BATCH),
    Target("ingest", ingest.FILES, "speed", ingest.OURS_FILE, 0.6, ingest.BARE_FILE),
    Target("ingest", ingest.RECORDS, "speed", ingest.OURS_LINES, 0.5, ingest.PULL),
    Target("ingest", ingest.RECORDS, "speed", ingest.OURS_PARQUET, 0.5, ingest.PULL),
    Target("ingest", ingest.RECORDS, "growth", ingest.OURS_LINES, 1.2, of=ingest.FEWER),
    Target("ingest", ingest.RECORDS, "growth", ingest.OURS_PARQUET, 1.2, of=ingest.FEWER),
    Target("import", importing.TITLE, "beyond", importing.HELP, 0.150, importing.NOTHING),
)


def verdicts(suite: str, tables: Sequence[Table]) -> list[Verdict]:
    """Hold a suite's tables against what was asked of it."""
    by_title = {table.title: table for table in tables}
    return [verdict(target, by_title) for target in TARGETS if target.suite == suite]


def verdict(target: Target, tables: Mapping[str, Table]) -> Verdict:
    """Hold the tables of a suite, by their titles, against one target."""
    sign = "≥" if target.kind == "speed" else "≤"
    wanted, reached = f"{sign} {target.wanted:g}", reached_by(target, tables)
    if reached is None:
        return Verdict(target.what, wanted, "", "not measured: who it takes is missing")
    short = target.wanted - reached if target.kind == "speed" else reached - target.wanted
    outcome = "met" if short <= 0 else f"short by {short / target.wanted:.0%}"
    return Verdict(target.what, wanted, f"{reached:.3g}", outcome)


def reached_by(target: Target, tables: Mapping[str, Table]) -> float | None:
    """Return what was reached, None where a row that it takes has no figures."""
    table = tables.get(target.table)
    ours = table.row(target.ours) if table else None
    if table is None or ours is None:
        return None
    if target.kind == "speed":
        return table.speed(target.ours, target.peer)
    if target.kind == "ideal":
        return ours.median() / table.ideal if table.ideal else None
    if target.kind == "memory":
        return max(_memory(figure) for figure in ours.figures)
    if target.kind == "more":
        return ours.more(target.of)
    return _beside(target, tables, ours)


def _beside(target: Target, tables: Mapping[str, Table], ours: Row) -> float | None:
    """Do it for the kinds that take another row, one of another table or two of the same."""
    if target.kind == "growth":
        less = tables[target.of].row(target.ours) if target.of in tables else None
        return ours.median(_memory) / less.median(_memory) if less else None
    peer, start = (tables[target.table].row(name) for name in (target.peer, target.of))
    if peer is None or (start is None and target.kind == "excess"):
        return None
    if start is None:
        pairs = zip(ours.figures, peer.figures, strict=True)
        return statistics.median(mine.wall - theirs.wall for mine, theirs in pairs)
    three = zip(ours.figures, peer.figures, start.figures, strict=True)
    return statistics.median((a.wall - c.wall) / (b.wall - c.wall) for a, b, c in three)


def _memory(figure: Figure) -> float:
    return figure.memory_mb
