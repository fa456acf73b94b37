"""The sender of webhooks: one task that sleeps until something is due, and sends it.

At least once and in no order (api.md 6.1): what was on its way when the emulator stopped is sent again.
Our choices: eight at once, ten seconds of the machine's time for an answer, no redirects. Only the
status counts; the body is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3

import aiohttp
from multidict import CIMultiDict

from paragon_async.emulator.clock import Clock
from paragon_async.emulator.hooks import Hooks
from paragon_async.emulator.webhook import Webhook

AT_ONCE = 8
_log = logging.getLogger("paragon_async.emulator")
_TIMEOUT = 10.0
_PAUSE = 1.0
_MOST_READ = 4096
_HEADERS = {"Content-Type": "application/json", "User-Agent": "paragon-async-emulator/1"}


class Deliverer:
    """Sends what the queue holds, from `start` until `aclose`."""

    def __init__(self, hooks: Hooks, clock: Clock, *, timeout: float = _TIMEOUT) -> None:
        self._hooks = hooks
        self._clock = clock
        self._timeout = timeout
        self._sending: set[int] = set()
        self._woken = asyncio.Event()
        self._quiet = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        """Begin to send, in the running event loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="webhooks")

    def poke(self) -> None:
        """Look at the queue again, for something was put into it."""
        self._quiet.clear()
        self._woken.set()

    async def settle(self) -> None:
        """Return when nothing is due now and nothing is on its way, or when it was not started."""
        self.poke()
        while (task := self._task) is not None and not self._quiet.is_set():
            waiting = asyncio.create_task(self._quiet.wait())
            try:
                await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if task.cancelled():
                return
            if task.done():
                task.result()

    async def aclose(self) -> None:
        """Stop; what is on its way stays in the queue.

        Raises what ended the sender earlier; a state that cannot be used for a while does not.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if self._session is not None:
            await self._session.close()
            self._session = None
        if task is not None and not task.cancelled():
            task.result()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    due = self._begin(group)
                except sqlite3.Error as error:
                    _log.error("the state cannot be used: %s", error)
                    await asyncio.sleep(_PAUSE)
                    continue
                if not self._sending:
                    self._quiet.set()
                await self._clock.sleep(due, self._woken)

    def _begin(self, group: asyncio.TaskGroup) -> float | None:
        """Send what is due, and return when more will be that there is room for."""
        room = AT_ONCE - len(self._sending)
        hook = self._hooks.webhook()
        if not room or hook is None:
            return None
        for delivery in self._hooks.due(self._clock.now(), room, self._sending):
            self._quiet.clear()
            self._sending.add(delivery["id"])
            group.create_task(self._send(hook, delivery))
        has_room = len(self._sending) < AT_ONCE
        return self._hooks.next_due(self._sending) if has_room else None

    async def _send(self, hook: Webhook, delivery: sqlite3.Row) -> None:
        status, reason = None, None
        try:
            try:
                status = await self._post(hook, delivery["event"])
            except (aiohttp.ClientError, OSError, ValueError) as error:
                reason = self._reason(error)
            if status is not None and 200 <= status < 300:  # noqa: PLR2004  # the class of success
                self._hooks.delivered(delivery["id"], status)
            else:
                self._hooks.failed(delivery["id"], status, reason or f"it answered {status}")
        except sqlite3.Error as error:
            # A full disk, perhaps: the event is still queued, and will be told again.
            _log.error("a delivery could not be noted: %s", error)
            await asyncio.sleep(_PAUSE)
        finally:
            self._sending.discard(delivery["id"])
            self._woken.set()

    async def _post(self, hook: Webhook, body: str) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        headers = CIMultiDict(_HEADERS)
        headers.update(hook.headers)
        sent = self._session.post(
            hook.url, data=body.encode(), headers=headers, allow_redirects=False
        )
        async with sent as answer:
            # The status has been given: a body that breaks off does not take it back.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await answer.content.read(_MOST_READ)
            return answer.status

    def _reason(self, error: Exception) -> str:
        """Say what went wrong, without the URL: it may hold a secret."""
        match error:
            case TimeoutError():
                return f"no answer within {self._timeout:g} s"
            case aiohttp.ClientConnectorDNSError():
                return "the host's name is not known"
            case aiohttp.ClientSSLError():
                return "no secure connection could be made"
            case aiohttp.ServerDisconnectedError():
                return "the connection was closed without an answer"
            case OSError(errno=number) if number:
                return os.strerror(number).lower()
        return f"the request failed: {type(error).__name__}"
