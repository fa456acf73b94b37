"""Cancelling at the k-th step: the loop that counts, the ways that a cancellation comes, the disk.

Source: failures.md A.6.
"""

from __future__ import annotations

import asyncio
import math
import threading

import anyio

from paragon_async.disk import SystemDisk


class Loop(asyncio.SelectorEventLoop):
    """Does something at the k-th time that anything is given to it to be done soon."""

    steps = 0
    at = math.inf
    act = None

    def watch(self, at, act):
        self.steps, self.at, self.act = 0, at, act

    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        self.steps += 1
        if self.steps == self.at:
            super().call_soon(self.act)
        return handle


class CountingDisk:
    """The machine's disk; it knows which calls are under way, and which files are open."""

    def __init__(self):
        self.busy, self.open = 0, 0
        self._lock, self._disk = threading.Lock(), SystemDisk()

    def __getattr__(self, name):
        work = getattr(self._disk, name)

        def call(*args):
            with self._lock:
                self.busy += 1
                self.open -= name == "close"
            try:
                found = work(*args)
            finally:
                with self._lock:
                    self.busy -= 1
            with self._lock:
                self.open += name in {"create", "append"}
            return found

        return call


async def by_cancel(work, at):
    """Cancel the task itself; what it was told it must not swallow."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    told = []
    loop.watch(at, lambda: told.append(task.cancel()))
    await asyncio.wait([task])
    assert task.cancelled() == (told == [True])
    if not task.cancelled():
        task.result()
    return task.cancelled()


async def by_timeout(work, at):
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            done = asyncio.ensure_future(work)
            # A limit that was left cannot be moved any more.
            loop.watch(at, lambda: done.done() or limit.reschedule(loop.time()))
            await done
    except TimeoutError:
        return True
    return False


async def by_scope(work, at):
    loop = asyncio.get_running_loop()
    with anyio.move_on_after(math.inf) as scope:
        loop.watch(at, scope.cancel)
        await work
    return scope.cancelled_caught
