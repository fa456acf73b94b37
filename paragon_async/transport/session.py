"""Requests, by aiohttp's client; `response` has their answers. Source: failures.md 0 and 2.

Session.open(request, token)  → Response     one exchange; redirects followed, errors mapped
Response             see `response`
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from paragon_async._version import __version__
from paragon_async.auth import Secret
from paragon_async.convert import dump
from paragon_async.errors import (
    ConfigurationError,
    RedirectRefusedError,
)
from paragon_async.transport import idle, lean, redirects
from paragon_async.transport.bulk import Blocks
from paragon_async.transport.protocols import Response, Timeouts
from paragon_async.transport.response import AiohttpResponse, Answer, host_of, mapped
from paragon_async.transport.wire import Request

USER_AGENT = f"paragon-async/{__version__} aiohttp/{aiohttp.__version__}"
# Shorter than the idle time of common load balancers, so that they are rarely first to hang up.
_KEEPALIVE = 15.0
_LONGEST_LINE = 32_768  # a signed Location can be long
_KEPT = 4 << 20
_LEAN_IS_POSSIBLE = lean.is_possible()


class _LostError(Exception):
    """Stands for a lost connection where aiohttp would silently send the request again."""


_FAILURES = (
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    _LostError,
    idle.StrayError,
    ValueError,
    RuntimeError,
)


def _once(learn: Callable[[aiohttp.ClientRequest], None]) -> aiohttp.ClientMiddlewareType:
    """Keep aiohttp from sending a request again in silence; *learn* sees those that were answered.

    A function, for tools that mock aiohttp copy what they are given, and all that it leads to.
    """

    async def send(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            answer = await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            raise _LostError from None
        learn(request)
        return answer

    return send


class _GuardedRequest(aiohttp.ClientRequest):
    """Refuses a pooled connection on which bytes came unasked: they would answer this request."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        idle.refuse_strays(conn)
        return await super().send(conn)


class AiohttpSession:
    """One aiohttp session, made in the loop that first uses it and closed by who made it."""

    def __init__(
        self, base_url: str, timeouts: Timeouts, session: aiohttp.ClientSession | None = None
    ) -> None:
        self.base_url = base_url
        self._home = redirects.origin(base_url)
        self.timeouts = timeouts
        self.blocks = Blocks()
        self._limits = aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, sock_read=timeouts.idle
        )
        self._given = session
        self._like: aiohttp.ClientRequest | None = None
        self._session = session
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._closed = False

    def open(self, request: Request[Any], token: Secret) -> AbstractAsyncContextManager[Response]:
        """Send *request*; *token* goes to the service's own origin and nowhere else."""
        return _Held(self, request, token)

    async def aclose(self) -> None:
        """Close the session, unless it was given."""
        self._closed = True
        if self._session is not None and self._given is None:
            await self._session.close()

    def _ready(self) -> aiohttp.ClientSession:
        here = (os.getpid(), asyncio.get_running_loop())
        if self._closed:
            raise ConfigurationError("this client is closed")
        if self._owner is None:
            self._owner = here
            # glibc maps and unmaps each buffer of a socket read, page by page, until a larger block
            # was freed once: an eighth of the time of a large file. Elsewhere it does nothing.
            _ = bytes(_KEPT)
            self._session = self._session or _make_session()
        if self._owner != here:
            raise ConfigurationError(
                "this client belongs to another event loop or process: make one in each"
            )
        assert self._session is not None  # noqa: S101  # set together with the owner
        return self._session

    async def follow(self, request: Request[Any], token: Secret) -> Answer:
        """Send *request*, and after its redirects; the answer is the caller's to release."""
        session = self._ready()
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = self.base_url + request.path + query
        bearer: Secret | None = token
        is_lean = request.streams and request.method == "GET" and request.body is None
        for _ in range(redirects.MOST_HOPS + 1):
            answer = await self._send(session, request, url, bearer, is_lean)
            # Where a redirect leads is not ours to write down unread.
            is_lean = False
            if answer.status not in redirects.STATUSES:
                return answer
            answer.release()
            if request.method != "GET":
                raise RedirectRefusedError(f"a redirect of a {request.method} is refused")
            url = redirects.target(url, answer.headers.get("Location"), base=self.base_url)
            bearer = token if redirects.origin(url) == self._home else None
        raise RedirectRefusedError(f"more than {redirects.MOST_HOPS} redirects in a row")

    async def _send(
        self,
        session: aiohttp.ClientSession,
        request: Request[Any],
        url: str,
        bearer: Secret | None,
        is_lean: bool,  # noqa: FBT001  # a fact among others
    ) -> Answer:
        limits, like, connector = self.timeouts, self._like, session.connector
        try:
            async with asyncio.timeout(limits.connect + limits.headers):
                if like is None or connector is None or not is_lean:
                    return await self._usual(session, request, url, bearer)
                return await lean.get(
                    connector,
                    like,
                    url,
                    lambda: lean.head(url, like.headers["Host"], _headers(request, bearer)),
                    limits=self._limits,
                    longest=_LONGEST_LINE,
                )
        except _FAILURES as error:
            failure = mapped(error, host_of(url))
        # Raised out here, so that no aiohttp error, whose repr holds the token, hangs on to it.
        raise failure

    async def _usual(
        self,
        session: aiohttp.ClientSession,
        request: Request[Any],
        url: str,
        bearer: Secret | None,
    ) -> aiohttp.ClientResponse:
        return await session.request(
            request.method,
            URL(url, encoded=True),
            # Never in a variable: reports of errors can show those.
            headers=_headers(request, bearer),
            data=None if request.body is None else dump(request.body),
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            middlewares=(_once(self._learn),),
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            timeout=self._limits,
        )

    def _learn(self, request: aiohttp.ClientRequest) -> None:
        """Keep how the service was reached, for contents; a session that was given keeps its ways."""
        is_ours = self._given is None and redirects.origin(str(request.url)) == self._home
        if self._like is None and is_ours and _LEAN_IS_POSSIBLE:
            self._like = lean.example(request)


class _Held(AbstractAsyncContextManager[Response]):
    """An answer that is let go when the block is left."""

    __slots__ = ("_answer", "_request", "_session", "_token")

    def __init__(self, session: AiohttpSession, request: Request[Any], token: Secret) -> None:
        self._session = session
        self._request = request
        self._token = token
        self._answer: Answer | None = None

    async def __aenter__(self) -> Response:
        self._answer = await self._session.follow(self._request, self._token)
        try:
            return AiohttpResponse(self._answer, self._session.timeouts, self._session.blocks)
        except BaseException:
            self._answer.release()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._answer is not None:
            self._answer.release()


def _make_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # The gate bounds what is under way; a second bound here could only deadlock with it.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        request_class=_GuardedRequest,
        trust_env=False,
    )


def _headers(request: Request[Any], token: Secret | None) -> dict[str, str]:
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "*/*" if request.streams else "application/json",
        # Offsets and sizes of contents must be those of the file itself.
        "Accept-Encoding": "identity" if request.streams else "gzip",
        **request.headers,
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if token is not None:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    return headers
