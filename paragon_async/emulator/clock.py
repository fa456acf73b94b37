"""The emulator's time: the machine's, until somebody freezes, sets or advances it.

Runs, back-off, rate limits and every date that is made up here follow this clock. Tokens do not: they
are minted by clients, which know the machine's time only. Our choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970, as everything in the emulator sees them."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._frozen: float | None = None
        self._sleepers: set[asyncio.Event] = set()

    @property
    def is_frozen(self) -> bool:
        """Whether the time stands still."""
        return self._frozen is not None

    @property
    def ahead(self) -> float:
        """How many seconds the clock is ahead of the machine's, when it runs."""
        return self._ahead

    def now(self) -> float:
        """Return the time."""
        return time.time() + self._ahead if self._frozen is None else self._frozen

    def iso(self, seconds: float | None = None) -> str:
        """Return a time, or the present one, in the service's form."""
        moment = datetime.fromtimestamp(self.now() if seconds is None else seconds, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def freeze(self, at: float | None = None) -> None:
        """Stand still, now or at a given time."""
        self._frozen = self.now() if at is None else at
        self._wake()

    def run(self) -> None:
        """Go on from the time that is shown."""
        if self._frozen is not None:
            self._ahead = self._frozen - time.time()
            self._frozen = None
        self._wake()

    def advance(self, seconds: float) -> None:
        """Jump ahead; what becomes due meanwhile happens."""
        if self._frozen is None:
            self._ahead += seconds
        else:
            self._frozen += seconds
        self._wake()

    def restore(self, *, ahead: float, frozen: float | None) -> None:
        """Take up the time of an earlier emulator."""
        self._ahead, self._frozen = ahead, frozen
        self._wake()

    async def sleep(self, due: float | None, woken: asyncio.Event) -> None:
        """Return when *due* has come, or when *woken* is set or the clock was moved.

        The caller looks again at what is due. None waits to be woken.
        """
        self._sleepers.add(woken)
        waiting = None if due is None or self.is_frozen else max(0.0, due - self.now())
        if due is not None and due <= self.now():
            waiting = 0.0
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(waiting):
                    await woken.wait()
        finally:
            woken.clear()
            self._sleepers.discard(woken)

    def _wake(self) -> None:
        for woken in self._sleepers:
            woken.set()
