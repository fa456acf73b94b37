"""Requests, by aiohttp's client; `response` has their answers. Source: failures.md 0 and 2.

Session.open(request, token)  → Response     one exchange; redirects followed, errors mapped
Response             see `response`
"""

from __future__ import annotations

import asyncio
import os
import weakref
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from paragon_async._version import __version__
from paragon_async.auth import Secret
from paragon_async.convert import dump
from paragon_async.errors import (
    ConfigurationError,
    RedirectRefusedError,
)
from paragon_async.transport import idle, redirects
from paragon_async.transport.bulk import Blocks
from paragon_async.transport.protocols import Response, Timeouts
from paragon_async.transport.response import AiohttpResponse, host_of, mapped
from paragon_async.transport.wire import Request

USER_AGENT = f"paragon-async/{__version__} aiohttp/{aiohttp.__version__}"
# Shorter than the idle time of common load balancers, so that they are rarely first to hang up.
_KEEPALIVE = 15.0
_LONGEST_LINE = 32_768  # a signed Location can be long
_KEPT = 4 << 20


class _LostError(Exception):
    """Stands for a lost connection where aiohttp would silently send the request again."""


class _StrayError(_LostError):
    """Stands for a connection that was given up before the request was written to it."""

    was_sent = False


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _LostError from None


class _GuardedRequest(aiohttp.ClientRequest):
    """Refuses a pooled connection on which bytes came unasked: they would answer this request."""

    _used: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        protocol = conn.protocol
        if protocol is not None:
            # What TLS says after its handshake waits on a new connection, and is no answer.
            waits = protocol in self._used and idle.has_come(conn.transport)
            if waits or protocol.should_close:
                conn.close()
                raise _StrayError
            self._used.add(protocol)
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

    async def follow(self, request: Request[Any], token: Secret) -> aiohttp.ClientResponse:
        """Send *request*, and after its redirects; the answer is the caller's to release."""
        session = self._ready()
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = self.base_url + request.path + query
        bearer: Secret | None = token
        for _ in range(redirects.MOST_HOPS + 1):
            answer = await self._send(session, request, url, bearer)
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
    ) -> aiohttp.ClientResponse:
        limits = self.timeouts
        try:
            async with asyncio.timeout(limits.connect + limits.headers):
                return await session.request(
                    request.method,
                    URL(url, encoded=True),
                    # Never in a variable: reports of errors can show those.
                    headers=_headers(request, bearer),
                    data=None if request.body is None else dump(request.body),
                    allow_redirects=False,
                    raise_for_status=False,
                    auto_decompress=False,
                    middlewares=(_send_once,),
                    max_line_size=_LONGEST_LINE,
                    max_field_size=_LONGEST_LINE,
                    timeout=self._limits,
                )
        except (aiohttp.ClientError, OSError, _LostError, ValueError, RuntimeError) as error:
            failure = mapped(error, host_of(url))
        # Raised out here, so that no aiohttp error, whose repr holds the token, hangs on to it.
        raise failure


class _Held(AbstractAsyncContextManager[Response]):
    """An answer that is let go when the block is left."""

    __slots__ = ("_answer", "_request", "_session", "_token")

    def __init__(self, session: AiohttpSession, request: Request[Any], token: Secret) -> None:
        self._session = session
        self._request = request
        self._token = token
        self._answer: aiohttp.ClientResponse | None = None

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
