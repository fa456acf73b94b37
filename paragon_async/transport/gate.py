"""One gate per client: how many calls at once, how fast, and a pause for all after a 429."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from paragon_async.clock import Clock


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
        self._opens_at = clock.monotonic()

    @asynccontextmanager
    async def slot(self, *, download: bool) -> AsyncGenerator[None, None]:
        """Hold one place while the body runs. Cancelling gives the place back."""
        async with self._downloads if download else self._calls:
            await self._turn()
            yield

    def pause(self, seconds: float) -> None:
        """Let nobody start for that long, whatever they want."""
        self._opens_at = max(self._opens_at, self._clock.monotonic() + seconds)

    async def _turn(self) -> None:
        """Wait until the gate is open; each passage books the next moment for the one behind."""
        while (wait := self._opens_at - self._clock.monotonic()) > 0:
            if self._interval:
                self._opens_at += self._interval
                await self._clock.sleep(wait)
                return
            await self._clock.sleep(wait)
        if self._interval:
            self._opens_at = self._clock.monotonic() + self._interval
