"""How a command ends: what goes wrong leaves as one sentence and a status, never as a traceback.

0 done   1 done, but something was not as it should be   2 usage   3 stopped by an error
130 interrupted
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
STOPPED = 3
_INTERRUPTED = 130


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end; what goes wrong becomes one sentence and a status."""
    from paragon_async.emulator import EmulatorError
    from paragon_async.errors import ConfigurationError, ParagonError

    try:
        return asyncio.run(work)
    except (ConfigurationError, EmulatorError) as error:
        stop(str(error), 2)
    except (ParagonError, OSError) as error:
        stop(str(error), STOPPED)
    except KeyboardInterrupt:
        stop("interrupted", _INTERRUPTED)


def stop(sentence: str, status: int) -> NoReturn:
    """End the process with one sentence on standard error."""
    shown = "".join(c if c.isprintable() else "?" for c in sentence)
    print(f"paragon-async: {shown}", file=sys.stderr)
    raise SystemExit(status)
