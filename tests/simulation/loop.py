"""An event loop without a clock and without threads: one queue, and time that jumps to the next timer.

What the engine waits for is a callback, a timer, or work for a thread; here the work is done in the
loop, after a delay that chance decides. When nothing is ready and no timer is set, nothing will ever
happen again: that is a hang, and an error at once.

asyncio runs callbacks in the order in which they were asked for, and so does this. One thing is left
to memory addresses: in which order a cancelled scope of anyio cancels the scopes within it, which it
keeps in a set. Here they wake up in the order in which their tasks were made.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import itertools
import sys
from collections import deque

_MOST_STEPS = 400_000


class HangError(Exception):
    """Nothing is left that could ever happen, or it goes round and round."""


class Task(asyncio.Task):
    """A task that hashes by its number, so that sets of tasks have an order that repeats."""

    def __init__(self, work, *, loop, **options):
        self.number = loop.count()
        super().__init__(work, loop=loop, **options)

    def __hash__(self):
        return self.number

    def cancel(self, msg=None):
        self.get_loop().cancels += 1
        return super().cancel(msg)


class Loop(asyncio.AbstractEventLoop):
    """Runs what one process of the engine does; *delay* gives the seconds that work in a thread takes."""

    def __init__(self, now, delay):
        self.now = now
        self.cancels = 0
        self.steps = 0
        self.complaints = []
        self._delay = delay
        self._ready = deque()
        self._timers = []
        self._tickets = itertools.count()
        self._numbers = itertools.count()
        self._is_deaf = False

    def count(self):
        return next(self._numbers)

    # What asyncio asks of a loop.

    def time(self):
        return self.now

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._tickets), handle))
        return handle

    def _timer_handle_cancelled(self, handle):
        """Leave it in the heap; it is passed over."""

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        return Task(coro, loop=self, name=name, context=context)

    def get_task_factory(self):
        return None

    def run_in_executor(self, executor, func, *args):
        assert executor is None
        outcome = self.create_future()
        self.call_later(self._delay(), self._work, outcome, func, args)
        return outcome

    def _work(self, outcome, func, args):
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001  # raised where it is waited for
            done, value = outcome.set_exception, error
        else:
            done, value = outcome.set_result, result
        if not outcome.cancelled():
            done(value)

    def call_exception_handler(self, context):
        if not self._is_deaf:
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    # What this one is asked.

    def run(self, work, stops):
        """Run *work* to its end and return its task, or give up as soon as *stops* says so."""
        before, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._left)
        try:
            task = self.create_task(work)
            while not task.done() and not stops():
                self._turn()
            if stops():
                self._drain()
            return task
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(before)

    def abandon(self):
        """Let all tasks of a run that will never end go."""
        self.steps = 0
        self.run(self._nothing(), lambda: True)

    async def _nothing(self):
        pass

    def left(self):
        """Return the tasks that are still there."""
        return [task for task in asyncio.all_tasks(self) if not task.done()]

    def _left(self, generator):
        self.complaints.append(f"{generator!r} was left open")

    def _drain(self):
        """Let all tasks end, in a world in which nothing has any effect any more."""
        self._is_deaf = True
        while tasks := sorted(self.left(), key=hash):
            for task in tasks:
                # One that never began would leave what it was made of behind, unawaited.
                if inspect.getcoroutinestate(task.get_coro()) != inspect.CORO_CREATED:
                    task.cancel()
            for _ in range(100):
                if not self.left():
                    break
                self._turn()

    def _turn(self):
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise HangError("it goes round and round")
        while self._timers and (self._timers[0][2].cancelled() or self._timers[0][0] <= self.now):
            _, _, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._ready.append(handle)
        if not self._ready:
            if not self._timers:
                raise HangError("nothing will ever happen again")
            self.now = self._timers[0][0]
            return
        self._step()

    def _step(self):
        handle = self._ready.popleft()
        if handle.cancelled():
            return
        waiting, self.cancels = len(self._ready), 0
        handle._run()
        if self.cancels > 1 and len(self._ready) > waiting + 1:
            woken = [self._ready.pop() for _ in range(len(self._ready) - waiting)]
            woken.reverse()
            self._ready.extend(sorted(woken, key=_number))


def _number(handle):
    """Return the number of the task that a callback wakes; what wakes none comes after."""
    return getattr(getattr(handle._callback, "__self__", None), "number", sys.maxsize)
