"""From a request to its answer: token, gate, attempts, and somebody who watches.

call(request, user)  one JSON call, read and deciphered
open(request, user)  the same up to the headers; the body is the caller's
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NoReturn, TypeVar

import attrs

from paragon_async.auth import Rejection, Secret, TokenSource
from paragon_async.clock import Clock
from paragon_async.errors import (
    ApiError,
    AuthenticationError,
    ParagonError,
    RateLimitError,
    TimedOutError,
)
from paragon_async.transport import wire
from paragon_async.transport.gate import Gate
from paragon_async.transport.protocols import Response, Session, Timeouts
from paragon_async.transport.retry import Retry, RetryBudget
from paragon_async.transport.wire import Reply, Request

T = TypeVar("T")
log = logging.getLogger("paragon_async.http")
LARGEST_PAGE = 64 << 20
_LARGEST_REFUSAL = 64 << 10
_SUCCESS = range(200, 300)
_WORTH_A_WORD = 60.0


@attrs.frozen(kw_only=True)
class Exchange:
    """One attempt, as an observer sees it. *seconds* includes neither the gate nor the wait.

    *error* is the name of the error's class, *wait* the seconds until the next attempt, None when
    this was the last.
    """

    method: str
    path: str
    attempt: int
    status: int | None
    error: str | None
    seconds: float
    wait: float | None


Observer = Callable[[Exchange], None]


@attrs.define(eq=False, repr=False)
class Tries:
    """What is remembered between the attempts of one call."""

    number: int = 1
    renewed: bool = False
    fresh: Secret | None = None
    status: int | None = None
    token: Secret | None = None
    service_time: float | None = None
    begun: float = 0.0


@attrs.define(eq=False, repr=False)
class Channel:
    """Carries every call of one client."""

    session: Session
    tokens: TokenSource
    gate: Gate
    retry: Retry
    budget: RetryBudget
    timeouts: Timeouts
    clock: Clock
    observe: Observer | None = None

    async def call(self, request: Request[T], user: str | None) -> T:
        """Return the deciphered answer. Cancelling drops the attempt and its connection."""

        async def once(tries: Tries, token: Secret) -> T:
            async with self.gate.slot(download=False):
                tries.begun = self.clock.monotonic()
                reply = await self._exchange(request, token, tries)
            return wire.decipher(request, reply, now=self.clock.wall())

        return await self.persist(request, user, once)

    def open(
        self, request: Request[Any], user: str | None
    ) -> AbstractAsyncContextManager[Response]:
        """Hold a successful answer whose body is still to come. Retries end with the headers."""
        return _Open(self, request, user)

    def patience(
        self, error: ParagonError, attempt: int, *, repeatable: bool = True
    ) -> float | None:
        """Return the wait before trying again, paying for it, or None to give up."""
        wait = self.retry.wait_after(
            error, attempt=attempt, chance=self.clock.chance(), repeatable=repeatable
        )
        if wait is None or not self.budget.spend(error):
            return None
        return wait

    async def _exchange(self, request: Request[T], token: Secret, tries: Tries) -> Reply:
        try:
            async with asyncio.timeout(self.timeouts.total):
                async with self.session.open(request, token) as response:
                    tries.status = response.status
                    if response.status not in _SUCCESS:
                        return await self.refused(response, token, tries)
                    body = await response.read(LARGEST_PAGE)
                    return Reply(response.status, response.headers, body)
        except TimeoutError:
            raise TimedOutError(f"no whole answer in {self.timeouts.total} seconds") from None

    async def refused(self, response: Response, token: Secret, tries: Tries) -> Reply:
        """Read a refusal; a service that quotes our token in it does not get it into a message."""
        tries.service_time = wire.service_time(response.headers)
        body = b""
        # However the body ends, the status is the answer.
        with contextlib.suppress(ParagonError):
            while len(body) < _LARGEST_REFUSAL and (chunk := await response.next_chunk()):
                body += chunk
        body = body.replace(token.reveal().encode(), "…".encode())
        return Reply(response.status, response.headers, body)

    async def persist(
        self,
        request: Request[Any],
        user: str | None,
        once: Callable[[Tries, Secret], Awaitable[T]],
    ) -> T:
        """Try *once* until it succeeds, or nothing is left to try."""
        tries = Tries()
        while True:
            tries.token, tries.fresh = tries.fresh or await self.tokens.token(user), None
            tries.status = tries.service_time = None
            tries.begun = self.clock.monotonic()
            try:
                result = await once(tries, tries.token)
            except ParagonError as error:
                wait = await self._after(error, tries, request, user)
                self._tell(request, tries, error, wait)
                if wait is None:
                    raise
            else:
                self.budget.refund()
                self._tell(request, tries, None, None)
                return result
            await self.clock.sleep(wait)

    async def _after(
        self, error: ParagonError, tries: Tries, request: Request[Any], user: str | None
    ) -> float | None:
        """Decide what follows a failed attempt; a refused token is replaced once, for free."""
        if isinstance(error, ApiError):
            error.attempts = tries.number
        if isinstance(error, AuthenticationError):
            return await self._renewed(error, tries, user)
        wait = self.patience(error, tries.number, repeatable=request.repeatable)
        if isinstance(error, RateLimitError):
            named = error.retry_after or wait or 0.0
            self.gate.pause(min(named, self.retry.longest_retry_after))
        tries.number += wait is not None
        return wait

    async def _renewed(
        self, error: AuthenticationError, tries: Tries, user: str | None
    ) -> float | None:
        assert tries.token is not None  # noqa: S101  # an answer came, so a token was sent
        if not tries.renewed:
            tries.renewed = True
            rejection = Rejection(tries.token, tries.service_time)
            tries.fresh = await self.tokens.token(user, rejected=rejection)
            if tries.fresh != tries.token:
                return 0.0
        skew = self.clock.wall() - (tries.service_time or self.clock.wall())
        if abs(skew) > _WORTH_A_WORD:
            side = "ahead of" if skew > 0 else "behind"
            error.hint = f"this machine's clock is {abs(skew):.0f} seconds {side} the service's"
        return None

    def _tell(
        self, request: Request[Any], tries: Tries, error: ParagonError | None, wait: float | None
    ) -> None:
        # Nearly always nobody listens, and a small file is done in a ten-thousandth of a second.
        if self.observe is None and not log.isEnabledFor(logging.DEBUG):
            return
        exchange = Exchange(
            method=request.method,
            path=request.path,
            attempt=tries.number
            - (wait is not None and not isinstance(error, AuthenticationError)),
            status=tries.status,
            error=type(error).__name__ if error else None,
            seconds=self.clock.monotonic() - tries.begun,
            wait=wait,
        )
        log.debug("%s", exchange)
        if self.observe:
            try:
                self.observe(exchange)
            except Exception:
                log.exception("the observer failed; the call goes on")


class _Open(AbstractAsyncContextManager[Response]):
    """An answer and its place at the gate, held until the block is left.

    A class, where a stack of context managers would be shorter: those cost a tenth of a small file.
    """

    __slots__ = ("_channel", "_held", "_request", "_user")

    def __init__(self, channel: Channel, request: Request[Any], user: str | None) -> None:
        self._channel = channel
        self._request = request
        self._user = user
        self._held: AbstractAsyncContextManager[Response] | None = None

    async def __aenter__(self) -> Response:
        return await self._channel.persist(self._request, self._user, self._once)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held, self._held = self._held, None
        assert held is not None  # noqa: S101  # it was entered
        try:
            await held.__aexit__(kind, error, trace)
        finally:
            self._channel.gate.leave(download=self._request.download)

    async def _once(self, tries: Tries, token: Secret) -> Response:
        channel, download = self._channel, self._request.download
        await channel.gate.enter(download=download)
        try:
            tries.begun = channel.clock.monotonic()
            held = channel.session.open(self._request, token)
            response = await held.__aenter__()
            tries.status = response.status
            if response.status not in _SUCCESS:
                await self._refuse(held, response, tries, token)
        except BaseException:
            channel.gate.leave(download=download)
            raise
        self._held = held
        return response

    async def _refuse(
        self,
        held: AbstractAsyncContextManager[Response],
        response: Response,
        tries: Tries,
        token: Secret,
    ) -> NoReturn:
        try:
            reply = await self._channel.refused(response, token, tries)
        finally:
            await held.__aexit__(None, None, None)
        raise wire.refusal(self._request, reply, now=self._channel.clock.wall())
