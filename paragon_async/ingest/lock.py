"""Who works on a state: one process at a time, and the others are told which.

The kernel releases a `flock` however its process ends, so a lock is never stale. On file systems
where it lies, the state's epoch (see `database`) still keeps the first from writing after the second.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from paragon_async.errors import DestinationError, StateHeldError

try:
    import fcntl
except ModuleNotFoundError:  # pragma: no cover  # Windows: the epoch alone has to do
    fcntl = None  # type: ignore[assignment]  # Windows has none


# Through a link, what the holder writes of itself would replace what lies behind it.
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
# A holder writes its name just after it has the lock: one that has not yet is asked again.
_ASKED, _BETWEEN = 20, 0.01


class Lock:
    """Holds a lock file while an ingest works. Both methods block, shortly."""

    def __init__(self, path: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._pause = pause
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock, or raise `StateHeldError` that names the holder."""
        try:
            file = os.open(self._path, _OPEN, 0o600)
        except OSError as error:
            raise DestinationError(
                f"cannot open {str(self._path)!r}: {error.strerror}", errno=error.errno
            ) from error
        try:
            _lock(file)
        except OSError:
            holder = self._holder(file)
            os.close(file)
            raise StateHeldError(
                f"the mirror at {str(self._path.parent.parent)!r} is in use: {holder} works on it; "
                "wait for it to end, or choose another destination",
                holder=holder,
            ) from None
        self._file = file
        # Who holds it is a courtesy: a disk too full to say so does not lose the lock.
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(_me()).encode(), 0)

    def release(self) -> None:
        """Let others in; harmless when it is not held."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(file, 0)
            os.close(file)

    def _holder(self, file: int) -> str:
        for _ in range(_ASKED):
            if (holder := _named(file)) is not None:
                return holder
            self._pause(_BETWEEN)
        return "another process"


def _lock(file: int) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _me() -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": now}


def _named(file: int) -> str | None:
    try:
        found = json.loads(os.pread(file, 4096, 0))
        return f"process {found['pid']} on {found['host']}, since {found['since']},"
    except (OSError, ValueError, KeyError, TypeError):
        return None
