"""The receiver as an aiohttp.web application, and a server for it that is safe to leave alone.

    app = receiver(router, inbox=Inbox("inbox.db"), secrets=[secret])
    async with serving(app, port=8080) as url: ...          # or: main.add_subapp("/hooks", app)

aiohttp's server by itself waits for a header or a body for ever, takes any number of connections and
writes whole paths to its log (failures.md finding 16); `serving` does none of it. Behind another
server of aiohttp, such as `web.run_app`, give it `access_log_class=AccessLogger`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from paragon_async.auth import Secret
from paragon_async.errors import ConfigurationError
from paragon_async.webhooks.inbox import Inbox
from paragon_async.webhooks.reception import CROWDED, STORED, Answer, Reception
from paragon_async.webhooks.router import Router
from paragon_async.webhooks.veil import HIDDEN
from paragon_async.webhooks.verify import Verifier

try:
    import resource
except ModuleNotFoundError:  # pragma: no cover  # Windows
    resource = None  # type: ignore[assignment]  # Windows has none

_access_log = logging.getLogger("paragon_async.webhooks.access")
_server_log = logging.getLogger("paragon_async.webhooks.server")
_LINGER = 1.0
_LARGEST_FIELD = 8190
_MOST_FIELDS = 64
_MOST_CONNECTIONS = 256
_MOST_TOLD = 16
_HANDSHAKE = 10.0


def receiver(
    router: Router,
    *,
    inbox: Inbox,
    secrets: Iterable[str | Secret] = (),
    header: str | None = None,
    path: str = "/webhook",
    verifiers: Iterable[Verifier] = (),
    limit: int = 65_536,
    timeout: float = 5.0,
    connections: int = 256,
    serve: bool = True,
    insecure: bool = False,
) -> web.Application:
    """Build an application, or sub-application, that receives webhooks.

    Events come by POST to `{path}/{secret}`, or with *header* to *path*, the secret in that header.
    Every one of *secrets* is valid. All of *verifiers* have to agree, and are asked when the body is
    read. A body may have *limit* bytes and take *timeout* seconds; *connections* of them may be in
    hand. An event is answered 200 as soon as it is durable in *inbox*; with *serve* the application
    opens the inbox when it starts, hands its events to *router*, and closes it when it stops: what is
    being handled then comes again. Should the serving of the inbox end before, every event is
    answered 503. Without *serve* all that is the caller's to do.

    Raises `ConfigurationError` for options that cannot be, and where there are neither secrets nor
    verifiers and *insecure* does not say that this is meant. Starting it raises as `Inbox` does.
    """
    reception = Reception(
        inbox,
        secrets=secrets,
        header=header,
        path=path,
        verifiers=verifiers,
        limit=limit,
        timeout=timeout,
        connections=connections,
        insecure=insecure,
    )

    async def opened(_: web.Application) -> AsyncGenerator[None]:
        async with reception.opened(router, serve=serve):
            yield

    async def take(request: web.Request) -> web.Response:
        return await _take(reception, request)

    app = web.Application()
    app.cleanup_ctx.append(opened)
    app.router.add_post(reception.path, take)
    if reception.in_path:
        app.router.add_post(reception.path.rstrip("/") + "/{secret}", take)
    return app


async def _take(reception: Reception, request: web.Request) -> web.Response:
    async def more() -> bytes | None:
        return await request.content.readany() or None

    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    answer = await reception.take(request.match_info.get("secret", ""), headers, more)
    return _response(answer)


def _response(answer: Answer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
    if answer is not STORED:
        # What is left of a refused body is not waited for.
        response.force_close()
    return response


class AccessLogger(AbstractAccessLogger):
    """Writes method, path, status and milliseconds of each request, and never a secret.

    The path is that of the route, its variable parts hidden; a path that has no route is hidden
    whole, for it may be a mistyped one.
    """

    __slots__ = ()

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Write one line."""
        self.logger.info(
            "%s %s %d %.1f ms", request.method, _shown(request), response.status, time * 1000
        )

    @property
    def enabled(self) -> bool:
        """Whether anybody would read it."""
        return self.logger.isEnabledFor(logging.INFO)


def _shown(request: web.BaseRequest) -> str:
    match_info = getattr(request, "match_info", None)
    resource = None if match_info is None else match_info.route.resource
    if resource is None:
        return f"/{HIDDEN}"
    pieces = resource.canonical.split("/")
    return "/".join(HIDDEN if piece.startswith("{") else piece for piece in pieces)


class _Brief(logging.Filter):
    """Cuts the trace off what the server says of requests that are no HTTP: it quotes their lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = f"{record.msg}: {record.exc_info[0].__name__}"
            record.exc_info = None
        return True


_server_log.addFilter(_Brief())


class _Busy(asyncio.Protocol):
    """Answers a connection too many, and closes it when its sender does, or a moment later.

    Waiting takes a descriptor, so only some are told; beyond, a connection is closed at once.
    """

    def __init__(self, told: set[_Busy]) -> None:
        self._told = told

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # the protocol's form
        self._told.discard(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self._told) >= _MOST_TOLD and isinstance(transport, asyncio.Transport):
            transport.abort()
            return
        self._told.add(self)
        headers = {**CROWDED.headers, "Content-Length": len(CROWDED.body), "Connection": "close"}
        lines = ["HTTP/1.1 503 Service Unavailable", *(f"{k}: {v}" for k, v in headers.items())]
        if isinstance(transport, asyncio.Transport):
            transport.write("\r\n".join([*lines, "", ""]).encode() + CROWDED.body)
        asyncio.get_running_loop().call_later(_LINGER, transport.close)


@asynccontextmanager
async def serving(
    app: web.Application,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    connections: int | None = None,
    idle: float = 30.0,
    shutdown: float = 10.0,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncGenerator[str]:
    """Serve *app* while the block runs; the value is its URL, without a slash at the end.

    *port* 0 is any that is free. A connection that sends no whole header for *idle* seconds is
    closed; of more than *connections*, by default 256 or a quarter of the files that the process may
    have open, whichever is less, some get a 503 and the others are closed at once. Leaving waits up
    to *shutdown* seconds for what is being answered. Raises `ConfigurationError` where *host* and
    *port* cannot be listened on, and whatever starting the application raises. Every request is
    logged by `AccessLogger` to `paragon_async.webhooks.access`.
    """
    runner = web.AppRunner(
        app,
        access_log_class=AccessLogger,
        access_log=_access_log,
        logger=_server_log,
        handler_cancellation=False,
        keepalive_timeout=idle,
        lingering_time=_LINGER,
        max_line_size=_LARGEST_FIELD,
        max_field_size=_LARGEST_FIELD,
        max_headers=_MOST_FIELDS,
        auto_decompress=False,
        shutdown_timeout=shutdown,
    )
    try:
        await runner.setup()
        most = _affordable() if connections is None else connections
        server = await _listen(runner, host, port, most, ssl_context)
        try:
            yield _url(server, host, secure=ssl_context is not None)
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _listen(
    runner: web.AppRunner, host: str, port: int, connections: int, context: ssl.SSLContext | None
) -> asyncio.Server:
    accept = runner.server
    if accept is None:
        raise ConfigurationError("the application did not start")

    loop, told, coming = asyncio.get_running_loop(), set[_Busy](), 0

    def admit() -> asyncio.BaseProtocol:
        nonlocal coming
        if len(accept.connections) + coming >= connections:
            return _Busy(told)
        # The server counts it a turn of the loop later, and many may come in one.
        coming += 1
        loop.call_soon(came)
        return accept()

    def came() -> None:
        nonlocal coming
        coming -= 1

    patience = None if context is None else _HANDSHAKE
    try:
        return await loop.create_server(
            admit, host, port, ssl=context, ssl_handshake_timeout=patience
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}") from None


def _affordable() -> int:
    """Return how many connections leave the rest of the process files to open."""
    if resource is None:  # pragma: no cover  # Windows
        return _MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft < 0 else max(1, min(_MOST_CONNECTIONS, soft // 4))


def _url(server: asyncio.Server, host: str, *, secure: bool) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{name}:{server.sockets[0].getsockname()[1]}"
