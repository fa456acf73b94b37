"""Figures as a person reads them, and how long the rest of a run will take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from paragon_async.ingest.values import Progress

_STEP = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400
_LONGEST_IN_UNIT = 2
_EIGHTHS = ("", *map(chr, range(0x258F, 0x2588, -1)))


def size(count: float) -> str:
    """Return a number of bytes with its unit: `12 B`, `1.5 MB`."""
    for unit in _UNITS[:-1]:
        if count < _STEP:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _STEP
    return f"{count:.1f} {_UNITS[-1]}"


def span(seconds: float) -> str:
    """Return a length of time in its largest unit: `40 s`, `2 min`, `3 h`, `5 days`."""
    seconds = max(0.0, seconds)
    for unit, length in (("days", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= (_LONGEST_IN_UNIT * length if unit == "days" else length):
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def rate(amount: float, seconds: float) -> float:
    """Return *amount* per second, 0 where no time has passed."""
    return amount / seconds if seconds else 0.0


def bar(value: float, most: float, width: int = 12) -> str:
    """Return a bar of blocks, *width* characters long where *value* is *most*; eighths are drawn."""
    eighths = round(8 * width * value / most) if most > 0 else 0
    return "\u2588" * (eighths // 8) + _EIGHTHS[eighths % 8]


@attrs.define
class Course:
    """Follows one run by its `Progress`: *done* records of *whole*, which is None while unknown.

    The service counts what comes after a page, and all there is; which of both bounds a run depends
    on where it began.
    """

    done: int = 0
    whole: int | None = None
    seconds_left: float | None = None
    _is_fresh: bool | None = None

    def note(self, progress: Progress) -> None:
        """Take up where the run is now."""
        report = progress.report
        if self._is_fresh is None:
            self._is_fresh = report.cursor is None
        # Records count when their page comes, and their contents come long after. What became of
        # them counts when the page is committed, files as they come: the larger one is nearer.
        committed = report.created + report.updated + report.unchanged
        self.done = max(self.done, min(report.records, max(committed, report.files)))
        known = [self.whole or 0]
        if progress.remaining is not None:
            known.append(report.records + progress.remaining)
        if self._is_fresh and progress.total is not None:
            known.append(progress.total)
        self.whole = max(known) if max(known) >= max(1, self.done) else None
        self.seconds_left = None
        if self.whole is not None and self.done:
            self.seconds_left = report.seconds / self.done * (self.whole - self.done)


def told(progress: Progress, course: Course) -> str:
    """Return where a run is, as one line."""
    report = progress.report
    come = report.bytes + progress.bytes_in_flight
    of = f" of {course.whole:,}" if course.whole is not None else ""
    parts = [f"{report.records:,}{of} records"]
    if report.files or progress.in_flight:
        parts += [f"{report.files:,} files", size(come), f"{size(rate(come, report.seconds))}/s"]
    else:
        parts.append(f"{rate(report.records, report.seconds):,.0f} records/s")
    if course.seconds_left:
        parts.append(f"{span(course.seconds_left)} left")
    return ", ".join(parts)
