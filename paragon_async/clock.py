"""Time and chance behind one protocol, so that waits, deadlines and jitter can be tested exactly."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from. All values are seconds as float."""

    def monotonic(self) -> float:
        """Return a time that never goes back, for measuring."""
        ...

    def wall(self) -> float:
        """Return the Unix time, for tokens and dates."""
        ...

    def chance(self) -> float:
        """Return a random number from 0 up to, not including, 1."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. Cancelling ends the wait."""
        ...


class SystemClock:
    """The clock of the machine and of the running event loop."""

    def monotonic(self) -> float:
        """Return the machine's monotonic time."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the machine's Unix time."""
        return time.time()

    def chance(self) -> float:
        """Return a random number from the process's generator."""
        return random.random()  # noqa: S311  # jitter, not a secret

    async def sleep(self, seconds: float) -> None:
        """Wait in the running event loop."""
        await asyncio.sleep(seconds)
