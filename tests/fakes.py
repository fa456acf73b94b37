"""Real implementations of the protocols, for tests: a clock that does not wait, a scripted session."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from multidict import CIMultiDict

from paragon_async import FixedToken, Limits, Retry, Timeouts
from paragon_async.api.permissions import Permissions
from paragon_async.api.records import Records
from paragon_async.api.syncs import Syncs
from paragon_async.auth import Secret
from paragon_async.convert import dump
from paragon_async.errors import DecodeError
from paragon_async.transport.channel import Channel
from paragon_async.transport.gate import Gate
from paragon_async.transport.retry import RetryBudget
from paragon_async.transport.wire import Request


class FakeClock:
    """Time that passes only by sleeping; chance that is always the same."""

    def __init__(self, chance: float = 0.5, wall: float = 1_700_000_000.0) -> None:
        self.now = 1000.0
        self.start = wall
        self.luck = chance
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.start + self.now - 1000.0

    def chance(self) -> float:
        return self.luck

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(0.0, seconds)
        await asyncio.sleep(0)


class FakeResponse:
    """An answer from memory; *broken* is raised after the chunks."""

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        chunks: list[bytes] | None = None,
        broken: Exception | None = None,
        framed: bool = True,
        length: int | None = None,
    ) -> None:
        self.status = status
        self.headers = CIMultiDict(headers or {})
        self.framed = framed
        self.length = length
        self._chunks = [body] if chunks is None else list(chunks)
        self._broken = broken

    def anew(self) -> FakeResponse:
        """Return the same answer unread, for a script that gives it more than once."""
        again = copy.copy(self)
        again._chunks = list(self._chunks)
        return again

    def bulk(self):
        return None

    async def next_chunk(self) -> bytes:
        await asyncio.sleep(0)
        while self._chunks:
            if chunk := self._chunks.pop(0):
                return chunk
        if self._broken:
            raise self._broken
        return b""

    async def read(self, limit: int) -> bytes:
        body = b""
        while chunk := await self.next_chunk():
            body += chunk
        if len(body) > limit:
            raise DecodeError("$", "too large")
        return body


def answer(value: object = None, status: int = 200, **headers: str) -> FakeResponse:
    """Make a JSON answer; underscores in header names stand for dashes."""
    named = {key.replace("_", "-"): text for key, text in headers.items()}
    return FakeResponse(status, b"" if value is None else dump(value), named)


Script = FakeResponse | Exception | Callable[[Request[Any]], FakeResponse]


class FakeSession:
    """Answers from a script, and remembers what it was asked, with which token."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.requests: list[Request[Any]] = []
        self.tokens: list[str] = []
        self.open_now = 0
        self.most_open = 0
        self.closed = False

    @asynccontextmanager
    async def open(self, request: Request[Any], token: Secret) -> AsyncGenerator[Any, None]:
        self.requests.append(request)
        self.tokens.append(token.reveal())
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(step):
            step = step(request)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, FakeResponse):
            step = step.anew()
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            await asyncio.sleep(0)
            yield step
        finally:
            self.open_now -= 1

    async def aclose(self) -> None:
        self.closed = True


def channel(
    *script: Script,
    clock: FakeClock | None = None,
    retry: Retry | None = None,
    limits: Limits | None = None,
    tokens: Any = None,
    observe: Any = None,
    timeouts: Timeouts | None = None,
) -> Channel:
    """Make a channel over a scripted session, which stands in its `session`."""
    clock = clock or FakeClock()
    retry = retry or Retry()
    return Channel(
        session=FakeSession(*script),
        tokens=tokens or FixedToken("fixed-token"),
        gate=Gate(limits or Limits(), clock),
        retry=retry,
        budget=RetryBudget(retry.budget),
        timeouts=timeouts or Timeouts(),
        clock=clock,
        observe=observe,
    )


def syncs(*script: Script) -> tuple[Syncs, FakeSession]:
    made = channel(*script)
    return Syncs(made, "u1"), made.session  # type: ignore[return-value]  # a fake


def records(*script: Script) -> tuple[Records, FakeSession]:
    made = channel(*script)
    return Records(made, "u1"), made.session  # type: ignore[return-value]  # a fake


def permissions(*script: Script) -> tuple[Permissions, FakeSession]:
    made = channel(*script)
    return Permissions(made, "u1"), made.session  # type: ignore[return-value]  # a fake
