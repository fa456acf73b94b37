"""The receiver as an ASGI 3 application, without any framework.

    hooks = asgi_receiver(router, inbox=Inbox("inbox.db"), secrets=[secret])
    uvicorn.run(hooks)                                       # alone
    app = FastAPI(lifespan=hooks.lifespan)                   # in FastAPI or Starlette
    app.mount("/hooks", hooks)                               # POST /hooks/webhook/{secret}

Starlette runs the lifespan of the outermost application only, so a mounted receiver has to be given
to it, as above, or entered: `async with hooks.lifespan(): ...` inside the outer one's own. Until then
the inbox is closed and every event is answered 503. Body, time and number of requests are bounded
here; connections and headers are the server's to bound (uvicorn: `limit_concurrency`). The secrets
are kept out of the access logs of uvicorn and hypercorn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from paragon_async.auth import Secret
from paragon_async.webhooks.inbox import Inbox
from paragon_async.webhooks.reception import (
    STORED,
    WRONG_METHOD,
    WRONG_PLACE,
    Answer,
    Reception,
)
from paragon_async.webhooks.router import Router
from paragon_async.webhooks.verify import Verifier

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class AsgiReceiver:
    """An ASGI application that receives webhooks; made by `asgi_receiver`."""

    def __init__(self, router: Router, reception: Reception, *, serve: bool) -> None:
        self._router = router
        self._reception = reception
        self._serve = serve

    def lifespan(self, app: object = None) -> AbstractAsyncContextManager[None]:  # noqa: ARG002  # frameworks hand over themselves
        """Return what has to be entered while the application runs: it opens and serves the inbox.

        Raises as `Inbox` does. *app* is ignored, so that this can be given to a framework as it is.
        """
        return self._reception.opened(self._router, serve=self._serve)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or live through one lifespan."""
        match scope["type"]:
            case "http":
                await _send(scope, send, await self._answer(scope, receive))
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            case other:
                raise RuntimeError(f"{other!r} is no scope that is known here")

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        given = self._reception.given(_path(scope))
        if given is None:
            return WRONG_PLACE
        if scope["method"] != "POST":
            return WRONG_METHOD
        is_over = False

        async def more() -> bytes | None:
            nonlocal is_over
            if is_over:
                return None
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionResetError
            is_over = not message.get("more_body", False)
            body: bytes = message.get("body", b"")
            return body

        return await self._reception.take(given, _headers(scope), more)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        stage = "startup"
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
                stage = "shutdown"
        except Exception as error:  # noqa: BLE001  # the server is told, as the protocol wants it
            await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def asgi_receiver(
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
) -> AsgiReceiver:
    """Build an ASGI application that receives webhooks; all options are those of `receiver`.

    It answers as `receiver` does, also under another application's prefix. With *serve* its lifespan
    opens and serves *inbox*; where it is mounted, that has to be asked for: see `lifespan`.
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
    return AsgiReceiver(router, reception, serve=serve)


def _path(scope: Message) -> str:
    """Return the path below the mount: some servers and frameworks leave the prefix in it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path


def _headers(scope: Message) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _send(scope: Message, send: Send, answer: Answer) -> None:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    if answer is WRONG_METHOD:
        headers["Allow"] = "POST"
    if answer is not STORED and scope.get("http_version", "1.1").startswith("1"):
        # What is left of a refused body is not waited for.
        headers["Connection"] = "close"
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})
