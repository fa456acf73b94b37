"""Ctrl-C and SIGTERM: at every moment one sentence and a status, never a traceback.

Before work has begun, and after it has ended, a signal ends the process at once: nothing is under way.
In between, the first one cancels the work, and the second one ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, NoReturn, TypeVar

from paragon_async.cli.words import commands, says

T = TypeVar("T")
INTERRUPTED = "interrupted"
GO_ON = "interrupted: everything before is saved; run the same command again to go on"
SIGNALLED = 128
_HEEDED = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"


class Signals:
    """Heeds signals from `heed` to `release`; each that ends the process says *sentence* first.

    *number* is the signal that cancelled the work, *is_told* that the sentence was said already. In
    a thread, where signals cannot be set, it does nothing. *as_json* is how it is said.
    """

    def __init__(self, sentence: str, *, as_json: bool = False) -> None:
        self.number: int | None = None
        self.is_told = False
        self._sentence = sentence
        self._as_json = as_json
        self._cancel: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}

    def heed(self) -> None:
        """Take the signals over."""
        with contextlib.suppress(ValueError):
            for number in _HEEDED:
                self._before[number] = signal.signal(number, self._heard)

    def release(self) -> None:
        """Give the signals back, unless one of them is ending the process."""
        if self.number is None:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    async def over(self, work: Coroutine[Any, Any, T]) -> T:
        """Do *work*; the first signal cancels it."""
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await work
        finally:
            self._cancel = None

    def _heard(self, number: int, _: FrameType | None) -> None:
        cancel, self._cancel = self._cancel, None
        if cancel is None:
            self._end(number)
        self.number = number
        cancel()

    def _end(self, number: int) -> NoReturn:
        """End at once, not through the loop or an exception: they may be what hangs, or is half done.

        What was on its way is dealt with by the next run, as after a crash.
        """
        with contextlib.suppress(OSError):
            if os.isatty(2):
                os.write(2, _SHOW_CURSOR.encode())
            if not self.is_told:
                os.write(2, self._said(number).encode())
        os._exit(SIGNALLED + number)

    def _said(self, number: int) -> str:
        """Write the line by hand: nothing may be imported here, for an import may be half done."""
        if not self._as_json:
            return f"paragon-async: {self._sentence}\n"
        status = SIGNALLED + number
        return f'{{"level": "error", "message": "{self._sentence}", "status": {status}}}\n'


def heed_early(arguments: Sequence[str]) -> None:
    """Heed signals while the command that *arguments* name is still being imported."""
    command = commands(arguments)
    goes_on = command[:1] == ["ingest"] and command[1:] not in (["status"], ["report"])
    said = GO_ON if goes_on else INTERRUPTED
    Signals(said, as_json=says(arguments, "--log-json")).heed()
