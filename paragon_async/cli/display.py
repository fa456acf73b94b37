"""What the demo shows: plain lines, a bar on a terminal, a short table at the end."""

from __future__ import annotations

import sys

import attrs

from paragon_async import Exchange
from paragon_async.cli.answers import table
from paragon_async.cli.figures import rate, size
from paragon_async.cli.outcome import plain
from paragon_async.cli.output import console, line, note, warn
from paragon_async.cli.settings import now
from paragon_async.cli.watch import Watch
from paragon_async.ingest import Report

_MB = 1_000_000
_FAILURES_SHOWN = 10


@attrs.define
class Figures:
    """What a demo amounts to. *first* and *second* are the reports of its two ingests."""

    files: int = 0
    verified: int = 0
    files_again: int = 0
    verified_again: int = 0
    calls: int = 0
    contents: int = 0
    seconds: float = 0.0
    first: Report = attrs.field(factory=Report)
    second: Report = attrs.field(factory=Report)

    def count_call(self, exchange: Exchange) -> None:
        """Count one API call; the client's observer."""
        self.calls += 1
        self.contents += exchange.path.endswith("/content")

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines of the table."""
        first, second = self.first, self.second
        return [
            ("records", f"{first.records:,}"),
            ("files verified", f"{self.verified:,} of {self.files:,}"),
            ("bytes", f"{first.bytes / _MB:,.1f} MB"),
            ("seconds", f"{self.seconds:.1f}"),
            ("records per second", f"{rate(first.records, first.seconds):,.0f}"),
            ("MB per second", f"{rate(first.bytes / _MB, first.seconds):,.1f}"),
            ("second run: records", f"{second.records:,}"),
            ("second run: files", f"{second.files:,}"),
            ("second run: files verified", f"{self.verified_again:,} of {self.files_again:,}"),
            ("second run: deleted", f"{second.deleted:,}"),
            ("second run: bytes", size(second.bytes)),
            ("second run: seconds", f"{second.seconds:.2f}"),
            ("API calls", f"{self.calls:,}"),
            ("peak memory", _peak_memory()),
        ]


class Display:
    """Writes to standard output. Text from outside is never taken for markup or control."""

    def __init__(self) -> None:
        self._console = console()

    def line(self, text: str) -> None:
        """Print one line; where standard output is asked for JSON, it is no part of that."""
        if now().json:
            note(text)
        else:
            self._console.print(plain(text), markup=False)

    def watch(self) -> Watch:
        """Return what shows how an ingest comes on."""
        return Watch(self._console)

    def summary(self, figures: Figures, failures: list[str]) -> None:
        """Print the table, and what went wrong."""
        if now().json:
            line({**attrs.asdict(figures), "failures": failures})
        else:
            table(figures.rows())
        for failure in failures[:_FAILURES_SHOWN]:
            warn(f"not as it should be: {failure}")
        if len(failures) > _FAILURES_SHOWN:
            warn(f"and {len(failures) - _FAILURES_SHOWN} more")


def _peak_memory() -> str:
    """Return the most memory this process has held, where the platform tells."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return "unknown"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB:.0f} MB"
