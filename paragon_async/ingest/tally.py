"""Counts what a run does, and tells whoever watches, a few times a second at most."""

from __future__ import annotations

import attrs

from paragon_async.clock import Clock
from paragon_async.ingest.values import OnProgress, Progress, Report

_EVERY = 0.1


@attrs.define(eq=False, kw_only=True)
class Tally:
    """The running figures of one run; *report* becomes its report."""

    clock: Clock
    on_progress: OnProgress | None = None
    report: Report = attrs.field(factory=Report)
    remaining: int | None = None
    total: int | None = None
    in_flight: int = 0
    bytes_in_flight: int = 0
    _begun: float = attrs.field(init=False)
    _told: float = attrs.field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        self._begun = self.clock.monotonic()

    @property
    def progress(self) -> Progress:
        """How far the run is now."""
        self.report.seconds = self.clock.monotonic() - self._begun
        return Progress(
            report=attrs.evolve(self.report),
            remaining=self.remaining,
            total=self.total,
            in_flight=self.in_flight,
            bytes_in_flight=self.bytes_in_flight,
        )

    def tell(self, *, now: bool = False) -> None:
        """Call the watcher, unless that was a moment ago."""
        if self.on_progress is None:
            return
        moment = self.clock.monotonic()
        if now or moment - self._told >= _EVERY:
            self._told = moment
            self.on_progress(self.progress)
