"""How a command ends: what goes wrong leaves as one sentence and a status, never as a traceback.

0 done   1 done, but something was not as it should be   2 usage   3 stopped by an error
130 interrupted by Ctrl-C   143 by SIGTERM
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
STOPPED = 3
_SIGNALLED = 128
_INTERRUPTED = 130
_HEEDED = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"


def perform(work: Coroutine[Any, Any, T], *, interrupted: str = "interrupted") -> T:
    """Run *work* to its end; what goes wrong becomes one sentence and a status.

    Ctrl-C and SIGTERM cancel it: when it has let go, *interrupted* is said, and the status is 130 or
    143. A second signal ends the process at once. Where signals cannot be set, in a thread or on
    Windows, Ctrl-C alone is heeded.
    """
    from paragon_async.emulator import EmulatorError
    from paragon_async.errors import ConfigurationError, ParagonError

    signals = _Signals()
    try:
        with asyncio.Runner() as runner:
            return runner.run(signals.heeded(work))
    except (ConfigurationError, EmulatorError) as error:
        stop(str(error), 2)
    except (ParagonError, OSError) as error:
        stop(str(error), STOPPED)
    except KeyboardInterrupt:
        stop(interrupted, _INTERRUPTED)
    except asyncio.CancelledError:
        if signals.number is None:
            raise
        stop(interrupted, _SIGNALLED + signals.number)


def stop(sentence: str, status: int) -> NoReturn:
    """End the process with one sentence on standard error."""
    print(f"paragon-async: {plain(sentence)}", file=sys.stderr)
    raise SystemExit(status)


def plain(text: str) -> str:
    """Return *text* without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)


class _Signals:
    """Turns the first signal into a cancelled task, and the second into the end."""

    def __init__(self) -> None:
        self.number: int | None = None

    async def heeded(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        before = {number: signal.getsignal(number) for number in _HEEDED}

        def cancel(number: int) -> None:
            self.number = number
            for each in _HEEDED:
                loop.remove_signal_handler(each)
                # Not through the loop: it may be what hangs.
                signal.signal(each, _end)
            if task is not None:
                task.cancel()

        # Windows has no such handlers, and only a main thread may set them.
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            for number in _HEEDED:
                loop.add_signal_handler(number, cancel, number)
        try:
            return await work
        finally:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                for number, handler in before.items():
                    loop.remove_signal_handler(number)
                    signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> NoReturn:
    """End at once; what was on its way is dealt with by the next run, as after a crash."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(_SIGNALLED + number)
