"""What the demo shows: a bar on a terminal, plain lines elsewhere, a short table at the end."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

import attrs
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from paragon_async import Exchange

_MB = 1_000_000
_FAILURES_SHOWN = 10
_STEPS = 4


@attrs.define
class Figures:
    """What a run amounts to. Sizes are bytes, times seconds."""

    records: int = 0
    files: int = 0
    verified: int = 0
    bytes: int = 0
    calls: int = 0
    seconds: float = 0.0
    pull_seconds: float = 0.0
    download_seconds: float = 0.0

    def count_call(self, _: Exchange) -> None:
        """Count one API call; the client's observer."""
        self.calls += 1

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines of the table."""
        return [
            ("records", f"{self.records:,}"),
            ("files verified", f"{self.verified:,} of {self.files:,}"),
            ("bytes", f"{self.bytes / _MB:,.1f} MB"),
            ("seconds", f"{self.seconds:.1f}"),
            ("records per second", f"{_rate(self.records, self.pull_seconds):,.0f}"),
            ("MB per second", f"{_rate(self.bytes / _MB, self.download_seconds):,.1f}"),
            ("API calls", f"{self.calls:,}"),
            ("peak memory", _peak_memory()),
        ]


class Advance:
    """Takes note of bytes that are done; says so now and then where there is no bar."""

    def __init__(self, total: int, display: Display, bar: Progress | None, task: TaskID) -> None:
        self._total = max(1, total)
        self._display = display
        self._bar = bar
        self._task = task
        self._done = 0
        self._told = 0

    def advance(self, size: int) -> None:
        """Add *size* bytes."""
        self._done += size
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
            return
        step = self._done * _STEPS // self._total
        if step > self._told:
            self._told = step
            self._display.line(f"          {self._done / _MB:.1f} of {self._total / _MB:.1f} MB")


class Display:
    """Writes to standard output. Text from outside is never taken for markup or control."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def line(self, text: str) -> None:
        """Print one line."""
        self._console.print(_plain(text), markup=False)

    @contextmanager
    def progress(self, total: int) -> Generator[Advance, None, None]:
        """Show how the download comes on."""
        if not self._console.is_terminal:
            yield Advance(total, self, None, TaskID(0))
            return
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        with Progress(*columns, console=self._console, transient=True) as bar:
            yield Advance(total, self, bar, bar.add_task("download", total=total))

    def summary(self, figures: Figures, failures: list[str]) -> None:
        """Print the table, and what went wrong."""
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in figures.rows():
            table.add_row(Text(name), Text(value, justify="right"))
        self._console.print(table)
        for failure in failures[:_FAILURES_SHOWN]:
            print(f"not as it should be: {_plain(failure)}", file=sys.stderr)
        if len(failures) > _FAILURES_SHOWN:
            print(f"and {len(failures) - _FAILURES_SHOWN} more", file=sys.stderr)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _rate(amount: float, seconds: float) -> float:
    return amount / seconds if seconds else 0.0


def _peak_memory() -> str:
    """Return the most memory this process has held, where the platform tells."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return "unknown"
    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MB:.0f} MB"
