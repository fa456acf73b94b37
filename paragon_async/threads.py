"""Threads that are never left behind, and small work that needs none.

in_thread   work in a thread; cancelling waits for its end
finished    the real end of a task, or of the work that `begun` began; `ended` of many
Inline      small work with the disk, done in the loop, much of it at once
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run *work* in a thread. Cancelling waits for it to end: a thread cannot be called back."""
    return await finished(begun(work, *args, **kwargs))


def begun(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin *work* in a thread; to be awaited with `finished`.

    It is no task: whoever cancels all tasks at the end of a program must not end what waits for it.
    """
    context = contextvars.copy_context()
    call = functools.partial(context.run, work, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(None, call)


def both(*futures: asyncio.Future[None]) -> asyncio.Future[None]:
    """Return a future that is done when all *futures* are, with what one of them raised."""
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(futures)

    def note(_: asyncio.Future[None]) -> None:
        nonlocal left
        left -= 1
        if not left and not outcome.done():
            errors = [error for each in futures if (error := each.exception())]
            outcome.set_exception(errors[0]) if errors else outcome.set_result(None)

    for each in futures:
        each.add_done_callback(note)
    return outcome


async def finished(task: asyncio.Future[T]) -> T:
    """Await *task* to its real end, also when the caller is cancelled meanwhile."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await ended([task])
        finally:
            # Nobody waits for it any more: asyncio is not to log that.
            if not task.cancelled():
                task.exception()
        raise


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Wait until all *tasks* have ended, however; a cancellation meanwhile is raised after that."""
    pending = [task for task in tasks if not task.done()]
    if not pending:
        return
    try:
        await asyncio.wait(pending)
    except asyncio.CancelledError:
        # A cancelled scope of anyio cancels every wait again, which would make this a busy one.
        from anyio import CancelScope  # noqa: PLC0415  # only who is cancelled pays for it

        while not all(task.done() for task in pending):
            with contextlib.suppress(asyncio.CancelledError), CancelScope(shield=True):
                await asyncio.wait(pending)
        raise


class _SlowError(Exception):
    """Stands for work that was not begun: the one before it took too long."""


class Inline:
    """Does small work with the disk in the event loop, as long as the disk answers at once.

    A hop to a thread and back costs more than writing 16 KiB to a page cache, and work that is done
    in one go, for all files that came meanwhile, costs half of what it does one by one. The loop
    is held for *slice* seconds at a time. One work that takes *longest* seconds sends the *spell* after
    it through threads: a slow disk holds up the loop once in a while, and not every time. It belongs
    to one event loop.
    """

    def __init__(
        self,
        *,
        slice: float = 0.003,
        longest: float = 0.01,
        spell: int = 1000,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._slice = slice
        self._longest = longest
        self._spell = spell
        self._clock = clock
        self._left = 0
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()

    async def run(self, work: Callable[[], T]) -> T:
        """Do *work* and return what it returns. Cancelled, it is done whole or not at all."""
        if self._left:
            self._left -= 1
            return await in_thread(work)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._work, loop)
        self._waiting.append((work, outcome))
        try:
            return await outcome
        except _SlowError:
            return await in_thread(work)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._some()
        finally:
            if self._waiting:
                loop.call_soon(self._work, loop)

    def _some(self) -> None:
        begun = now = self._clock()
        while self._waiting and now - begun < self._slice:
            work, outcome = self._waiting.popleft()
            if outcome.cancelled():
                continue
            if self._left:
                outcome.set_exception(_SlowError())
                continue
            _do(work, outcome)
            now, before = self._clock(), now
            if now - before > self._longest:
                self._left = self._spell


def _do(work: Callable[[], Any], outcome: asyncio.Future[Any]) -> None:
    """Do *work*; whatever it raises is raised where it is waited for."""
    try:
        outcome.set_result(work())
    except StopIteration as error:
        # No future takes one.
        broken = RuntimeError("the work raised StopIteration")
        broken.__cause__ = error
        outcome.set_exception(broken)
    except BaseException as error:
        outcome.set_exception(error)
        if not isinstance(error, Exception):
            raise
