"""One gate per client: how many calls at once, how fast, and a pause for all after a 429."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from paragon_async.clock import Clock
from paragon_async.errors import ConfigurationError


@attrs.frozen(kw_only=True)
class Limits:
    """How much one client asks of the service.

    *calls* and *downloads* bound what is under way at once; they are counted apart, so that slow
    downloads never keep a page waiting. *per_second* bounds the starts of both, None for no bound.
    """

    calls: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    downloads: int = attrs.field(default=32, validator=attrs.validators.ge(1))
    per_second: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.gt(0))
    )


class Gate:
    """Every attempt passes through here; first come, first served."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._calls = asyncio.Semaphore(limits.calls)
        self._downloads = asyncio.Semaphore(limits.downloads)
        self._interval = 1 / limits.per_second if limits.per_second else 0.0
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed_until = self._next_start = clock.monotonic()

    async def enter(self, *, download: bool) -> None:
        """Take one place, to be given back by `leave`. Cancelled or failed, none is taken."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            # Waiting for a place that another loop holds would never end.
            raise ConfigurationError(
                "this client belongs to another event loop or process: make one in each"
            )
        places = self._downloads if download else self._calls
        await places.acquire()
        try:
            await self._turn()
        except BaseException:
            places.release()
            raise

    def leave(self, *, download: bool) -> None:
        """Give a place back."""
        (self._downloads if download else self._calls).release()

    @asynccontextmanager
    async def slot(self, *, download: bool) -> AsyncGenerator[None, None]:
        """Hold one place while the body runs. Cancelling gives the place back."""
        await self.enter(download=download)
        try:
            yield
        finally:
            self.leave(download=download)

    def pause(self, seconds: float) -> None:
        """Let nobody start for that long, whatever they want."""
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)

    async def _turn(self) -> None:
        """Wait for the end of a pause, then for the next start that nobody else has booked."""
        while (wait := self._closed_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait)
        if not self._interval:
            return
        start = max(self._clock.monotonic(), self._next_start)
        self._next_start = start + self._interval
        await self._clock.sleep(start - self._clock.monotonic())
        if self._closed_until > self._clock.monotonic():
            await self._turn()
