"""What every client here shares: the task from stdin, the measuring, one line of JSON on stdout.

    python -m benchmarks.clients.NAME VERB        a Task as JSON on stdin

    perform({"verb": function, ...})              the main of a client
    with Measure() as measure: ...                around the work alone, after imports and set-up
    return measure.figure(count=..., size=...)    what the function returns
    whole([...], task)                            measures another program from its start to its end

A function takes the `Task` and returns a `Figure`; it may be a coroutine function.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from benchmarks.task import Figure, Task

Verb = Callable[[Task], Figure | Awaitable[Figure]]
_MIB = 1 << 20
_LOOK_EVERY = 0.002


def perform(verbs: Mapping[str, Verb]) -> None:
    """Do the verb that the command line names with the task on stdin; print the figure."""
    task = Task.read(sys.stdin.read())
    outcome = verbs[sys.argv[1]](task)
    figure = asyncio.run(_awaited(outcome)) if inspect.isawaitable(outcome) else outcome
    print(json.dumps(attrs.asdict(figure)), flush=True)


def on_uvloop(verb: Callable[[Task], Awaitable[Figure]]) -> Callable[[Task], Figure]:
    """Make a verb that does the same on uvloop."""

    def run(task: Task) -> Figure:
        import uvloop  # noqa: PLC0415  # only this verb needs it

        return uvloop.run(_awaited(verb(task)))

    return run


class Measure:
    """Wall and CPU seconds of a block, of this process and of the children that end in it."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> Self:
        self._cpu = _spent()
        self._wall = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = _spent() - self._cpu

    def figure(
        self, *, count: int, size: int | None = None, note: str = "", **more: float
    ) -> Figure:
        """Return the figure: *count* records or files, *size* bytes of content, *more* by name."""
        return Figure(
            wall=self.wall,
            cpu=self.cpu,
            memory_mb=peak_memory(),
            count=count,
            bytes=size,
            note=note,
            more=more,
        )


def peak_memory(process: int | None = None) -> float:
    """Return the most memory that a process (this one) ever held, in MB."""
    with contextlib.suppress(OSError, StopIteration, ValueError):
        text = Path(f"/proc/{process or 'self'}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    if process is not None:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def whole(
    argv: Sequence[str],
    *,
    cwd: str | None = None,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    accepts: Sequence[int] = (0,),
) -> Measure:
    """Run a program and measure all of it; the peak memory is in `memory_mb` of the result.

    Memory is polled: the kernel's own figure for a child counts the parent it was forked from.
    Raises `RuntimeError`, with the end of what it printed as an error, when it fails.
    """
    measure = _Whole()
    with measure:
        child = subprocess.Popen(  # noqa: S603  # a program that the suite names
            argv,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        watcher = threading.Thread(target=measure.watch, args=(child.pid,), daemon=True)
        watcher.start()
        _, errors = child.communicate(stdin)
    measure.over.set()
    watcher.join()
    if child.returncode not in accepts:
        said = errors.decode(errors="replace").strip()[-300:]
        raise RuntimeError(f"{argv[0]} ended with {child.returncode}: {said}")
    return measure


class _Whole(Measure):
    """A measure of another process."""

    def __init__(self) -> None:
        super().__init__()
        self.memory_mb = 0.0
        self.over = threading.Event()

    def __enter__(self) -> Self:
        self._children = _spent_by_children()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        # The parent's own work, watching, is not the program's.
        self.cpu = _spent_by_children() - self._children

    def watch(self, process: int) -> None:
        """Look at a process's memory until it is over."""
        while not self.over.wait(_LOOK_EVERY):
            self.memory_mb = max(self.memory_mb, peak_memory(process))

    def figure(
        self, *, count: int, size: int | None = None, note: str = "", **more: float
    ) -> Figure:
        """Return the figure, with the memory of the program that was watched."""
        figure = super().figure(count=count, size=size, note=note, **more)
        return attrs.evolve(figure, memory_mb=self.memory_mb)


async def _awaited(outcome: Awaitable[Figure]) -> Figure:
    return await outcome


def _spent() -> float:
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return mine.ru_utime + mine.ru_stime + _spent_by_children()


def _spent_by_children() -> float:
    theirs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return theirs.ru_utime + theirs.ru_stime
