"""Shows how a run comes on: a bar on a terminal, a line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from paragon_async.cli.figures import Course, told
from paragon_async.cli.output import note
from paragon_async.cli.settings import now

if TYPE_CHECKING:
    from paragon_async.ingest.values import Progress as Told

_EVERY = 2.0


class Watch:
    """Watches runs, one after the other: `with Watch(console) as watch`, and `watch.tell` is called.

    Without a *console* it is silent. The bar leaves nothing behind; lines come *every* seconds at most.
    """

    def __init__(self, console: Console | None, *, every: float = _EVERY) -> None:
        self._console = console
        self._every = every
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._course = Course()
        self._told = time.monotonic()

    def tell(self, progress: Told) -> None:
        """Show where a run is."""
        report = progress.report
        if self._console is None or not (report.records or report.files or progress.in_flight):
            return
        self._course.note(progress)
        if self._console.is_terminal and not now().log_json:
            self._draw(self._console, told(progress, self._course))
        elif time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            line = told(progress, self._course)
            if now().log_json:
                note(line)
            else:
                self._console.print(line, markup=False)

    def end(self) -> None:
        """Take the bar away: what is printed next has the terminal for itself."""
        bar, self._bar = self._bar, None
        self._course = Course()
        if bar is not None:
            bar.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _draw(self, console: Console, line: str) -> None:
        if self._bar is None:
            self._bar = Progress(
                BarColumn(bar_width=20),
                TextColumn("{task.description}", markup=False),
                console=console,
                transient=True,
                # Results go to standard output, wherever that leads.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        self._bar.update(
            self._task, description=line, completed=self._course.done, total=self._course.whole
        )
