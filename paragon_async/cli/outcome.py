"""How a command ends: what goes wrong leaves as one sentence and a status, never as a traceback.

0    done
1    done, but something is not as it should be: dead letters, damage, records that wait for deletion
2    a wrong call: an option, a user, a project or a format of rows that does not fit what is there, no
     mirror in the folder, no credentials
3    stopped by an error: the service refuses or fails, the disk refuses, the state is damaged or held
     by another process, the destination holds something else, the fuse, a port that is taken
130  interrupted by Ctrl-C; 143 by SIGTERM
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from paragon_async.cli.signals import INTERRUPTED, SIGNALLED, Signals

T = TypeVar("T")
WRONG = 2
STOPPED = 3
_INTERRUPTED = 130


def perform(work: Coroutine[Any, Any, T], *, interrupted: str = INTERRUPTED) -> T:
    """Run *work* to its end; what goes wrong becomes one sentence and a status.

    Ctrl-C and SIGTERM cancel it: when it has let go, *interrupted* is said, and the status is 130 or
    143. A second signal ends the process at once, and so does one before the work has begun. In a
    thread, where signals cannot be set, they are left to the main one.
    """
    signals = Signals(interrupted)
    signals.heed()
    try:
        return _performed(work, signals, interrupted)
    finally:
        # Where an interrupt came before it was begun, nobody else would.
        work.close()
        signals.release()


def _performed(work: Coroutine[Any, Any, T], signals: Signals, interrupted: str) -> T:
    from paragon_async.emulator import EmulatorError
    from paragon_async.errors import ConfigurationError, ParagonError

    try:
        with asyncio.Runner() as runner:
            return runner.run(signals.over(work))
    except (ConfigurationError, EmulatorError) as error:
        stop(str(error), WRONG)
    except (ParagonError, OSError) as error:
        stop(str(error), STOPPED)
    except KeyboardInterrupt:
        stop(interrupted, _INTERRUPTED)
    except asyncio.CancelledError:
        if signals.number is None:
            raise
        signals.is_told = True
        stop(interrupted, SIGNALLED + signals.number)


def stop(sentence: str, status: int) -> NoReturn:
    """End the process with one sentence on standard error."""
    print(f"paragon-async: {plain(sentence)}", file=sys.stderr)
    raise SystemExit(status)


def plain(text: str) -> str:
    """Return *text* without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in text)
