"""A consumer that takes its time, for every client the same."""

from __future__ import annotations

import time

from benchmarks.task import Task


def work_of(task: Task) -> float:
    """Return the seconds that the consumer works on each record."""
    return float(task.options.get("work_us", 0)) / 1e6


def work(seconds: float) -> None:
    """Keep the processor busy, as a real consumer does; sleeping would let others in."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
