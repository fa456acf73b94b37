"""How a command ends: what goes wrong leaves as one sentence, a hint and a status.

The statuses stand in `exits`. A traceback is shown with --debug only.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from paragon_async.cli.exits import Exit
from paragon_async.cli.safe import paint, plain
from paragon_async.cli.settings import now
from paragon_async.cli.signals import INTERRUPTED, SIGNALLED, Signals

T = TypeVar("T")
WRONG = Exit.WRONG
STOPPED = Exit.STOPPED
_DOCTOR = "`paragon-async doctor` tells what is wrong with key, audience, clock or address"
_HINTS = {
    "AuthenticationError": _DOCTOR,
    "PermissionDeniedError": _DOCTOR,
    "CertificateError": _DOCTOR,
    "ConnectionFailedError": _DOCTOR,
    "NotFoundError": "is it this user's? `paragon-async syncs list --user USER` shows their syncs",
    "SyncFailedError": "`paragon-async syncs reenable SYNC` resumes it",
}
_NOT_FOUND = 404
_NO_CREDENTIALS = (
    "`paragon-async help environment` shows what can be set, `emulator` needs no account"
)
__all__ = ["INTERRUPTED", "STOPPED", "WRONG", "fail", "perform", "plain", "stop"]


def perform(work: Coroutine[Any, Any, T], *, interrupted: str = INTERRUPTED) -> T:
    """Run *work* to its end; what goes wrong becomes one sentence, a hint and a status.

    Ctrl-C and SIGTERM cancel it: when it has let go, *interrupted* is said, and the status is 130 or
    143. A second signal ends the process at once, and so does one before the work has begun. In a
    thread, where signals cannot be set, they are left to the main one.
    """
    signals = Signals(interrupted, as_json=now().log_json)
    signals.heed()
    try:
        return _performed(work, signals, interrupted)
    finally:
        # Where an interrupt came before it was begun, nobody else would.
        work.close()
        signals.release()


def _performed(work: Coroutine[Any, Any, T], signals: Signals, interrupted: str) -> T:
    import asyncio

    from paragon_async.cli import narrate

    try:
        with narrate.narrated(now()), asyncio.Runner() as runner:
            return runner.run(signals.over(work))
    except KeyboardInterrupt:
        stop(interrupted, Exit.INTERRUPTED)
    except asyncio.CancelledError:
        if signals.number is None:
            raise
        signals.is_told = True
        stop(interrupted, SIGNALLED + signals.number)
    except Exception as error:  # noqa: BLE001  # `fail` tells each kind as what it is
        fail(error)


def fail(error: Exception) -> NoReturn:
    """End the process because of *error*: its sentence, its hint, its status."""
    from paragon_async.errors import ParagonError

    if isinstance(error, BrokenPipeError):
        gone()
    if now().debug:
        _trace(error)
    if isinstance(error, ParagonError) or type(error).__name__ == "EmulatorError":
        stop(str(error), _status(error), _hint(error), error)
    if isinstance(error, OSError):
        stop(_told(error), Exit.STOPPED, None, error)
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    stop(
        f"this should not happen: {what}",
        Exit.FAULT,
        "--debug shows where; please report it",
        error,
    )


def gone() -> NoReturn:
    """End quietly: nobody reads standard output any more."""
    silence()
    raise SystemExit(Exit.NO_READER)


def silence() -> None:
    """Let go of standard output: what is left in its buffer would fail again when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop(
    sentence: str, status: int, hint: str | None = None, error: Exception | None = None
) -> NoReturn:
    """End the process with one sentence on standard error, and a *hint* what to do, if there is one."""
    if now().log_json:
        from paragon_async.cli.narrate import spoken

        retryable = bool(getattr(error, "retryable", False))
        kind = None if error is None else type(error).__name__
        more = {"hint": hint, "status": int(status), "error": kind, "retryable": retryable}
        print(spoken("error", sentence, more), file=sys.stderr)
    else:
        name = "paragon-async:"
        if status < SIGNALLED:
            name = paint(name, "red", sys.stderr)
        print(f"{name} {plain(sentence)}", file=sys.stderr)
        if hint:
            print(f"{paint('hint:', 'cyan', sys.stderr)} {plain(hint)}", file=sys.stderr)
    raise SystemExit(status)


def _status(error: Exception) -> Exit:
    from paragon_async.errors import ConfigurationError

    if isinstance(error, ConfigurationError) or type(error).__name__ == "EmulatorError":
        return Exit.WRONG
    return Exit.LATER if getattr(error, "retryable", False) else Exit.STOPPED


def _hint(error: Exception) -> str | None:
    if _status(error) is Exit.WRONG:
        return _NO_CREDENTIALS if str(error).startswith("no credentials") else None
    if pause := getattr(error, "retry_after", None):
        return f"the service asks to wait {pause:.0f} seconds"
    if (
        getattr(error, "path", None) == "/api/syncs"
        and getattr(error, "status", None) == _NOT_FOUND
    ):
        return _DOCTOR  # no sync was named: what is not there is the service
    kinds = (kind.__name__ for kind in type(error).__mro__)
    return next((_HINTS[kind] for kind in kinds if kind in _HINTS), None)


def _told(error: OSError) -> str:
    """Say what the system says, without its number."""
    where = f": {error.filename}" if error.filename is not None else ""
    return f"{error.strerror}{where}" if error.strerror else str(error)


def _trace(error: Exception) -> None:
    import traceback

    # Its lines stay lines, and what they quote is made safe.
    for line in "".join(traceback.format_exception(error)).splitlines():
        print(plain(line), file=sys.stderr)
