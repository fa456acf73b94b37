"""Notices changes in a mounted folder: by the system's own notices, and by looking now and then.

With the extra `watch` the system tells at once; without it, and besides, the folder is looked at
every few seconds, less often where a look takes long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable

from paragon_async.emulator.mount import Mount

_log = logging.getLogger("paragon_async.emulator")
_SHARE = 10


class Watch:
    """The task that keeps one mount up to date."""

    def __init__(
        self, mount: Mount, seen: Callable[[Mount], Awaitable[bool]], rescan: float
    ) -> None:
        self._mount = mount
        self._seen = seen
        self._rescan = rescan
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look; a *rescan* of 0 never does."""
        if self._rescan:
            self._tasks = [
                asyncio.create_task(self._looks()),
                asyncio.create_task(self._notices()),
            ]

    async def aclose(self) -> None:
        """Stop looking."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _looks(self) -> None:
        pause = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()
            try:
                settled = await self._seen(self._mount)
            except sqlite3.Error as error:
                # A full disk, perhaps: what was not stored is found again by the next look.
                _log.error("the state cannot be used: %s", error)
                settled = True
            pause = max(self._rescan if settled else 0.1, self._mount.took * _SHARE)

    async def _notices(self) -> None:
        try:
            from watchfiles import awatch  # noqa: PLC0415  # an extra
        except ImportError:
            return
        with contextlib.suppress(OSError, RuntimeError):
            # A folder that cannot be watched, or too many of them: looking goes on all the same.
            async for _ in awatch(
                self._mount.root, stop_event=self._stop, step=50, rust_timeout=500
            ):
                self._news.set()
