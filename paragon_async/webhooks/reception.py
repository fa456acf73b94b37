"""What both receivers do with a request, whatever server brings it.

    secret → encoding → announced length → room → body (size, time) → verifiers → inbox → answer

200 the event is safe, or was there already, or is a probe      400 the body is no event
401 the secret or the signature is wrong                        408 the body did not come in time
413 it is too large      415 it is compressed                   503 full: come again after a while

Nothing that a sender can do is a 500: an answer in the 500s that is not about room would only make the
vendor send the same again, and then switch the webhook off. Source: failures.md F130 to F137, S11, S13.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import attrs

from paragon_async.auth import Secret
from paragon_async.errors import ConfigurationError, WebhookError
from paragon_async.webhooks.inbox import Inbox, InboxError
from paragon_async.webhooks.router import Router, is_async
from paragon_async.webhooks.veil import veiled
from paragon_async.webhooks.verify import Verifier, matches, usable

_LONGEST_REASON = 300
_LONGEST_NUMBER = 18
_RETRY_AFTER = 30
_log = logging.getLogger("paragon_async.webhooks")
More = Callable[[], Awaitable[bytes | None]]


@attrs.frozen
class Answer:
    """What a sender is told: a status and, where it is no success, why, and when to come again."""

    status: int
    problem: str | None = None
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers it needs, but for those of the connection."""
        headers = {"Content-Type": "application/json"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        return headers

    @property
    def body(self) -> bytes:
        """Its JSON."""
        if self.problem is None:
            return b'{"success": true}'
        return json.dumps({"success": False, "error": self.problem[:_LONGEST_REASON]}).encode()


STORED = Answer(200)
WRONG_PLACE = Answer(404, "there is nothing here")
WRONG_METHOD = Answer(405, "webhooks come by POST")
_WRONG_SECRET = Answer(401, "the secret is wrong")
_WRONG_SIGNATURE = Answer(401, "the signature is wrong")
_COMPRESSED = Answer(415, "bodies are read as they are, not compressed")
_NO_LENGTH = Answer(400, "the length is no number")
_BROKEN = Answer(400, "the body broke off")
_LATE = Answer(408, "the body did not come in time")
CROWDED = Answer(503, "too many connections", _RETRY_AFTER)
_BUSY = Answer(503, "too many requests are in hand", _RETRY_AFTER)
_NO_ROOM = Answer(503, "the event cannot be kept now", _RETRY_AFTER)


class Reception:
    """Lets in what may come in, and puts it into *inbox*. For the options see `receiver`."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        secrets: Iterable[str | Secret] = (),
        header: str | None = None,
        path: str = "/webhook",
        verifiers: Iterable[Verifier] = (),
        limit: int = 65_536,
        timeout: float = 5.0,
        connections: int = 256,
        insecure: bool = False,
    ) -> None:
        given = secrets if isinstance(secrets, str) else tuple(secrets)
        self._secrets = usable(given) if given else ()
        self._verifiers = tuple(verifiers)
        for verifier in self._verifiers:
            if is_async(verifier):
                raise ConfigurationError("a verifier is a plain function: nobody awaits its answer")
        if not (self._secrets or self._verifiers or insecure):
            raise ConfigurationError(
                "anybody could send events: give secrets or verifiers, or say insecure=True"
            )
        if header is not None and not header.strip():
            raise ConfigurationError("header must name a header, or be None")
        if min(limit, timeout, connections) <= 0:
            raise ConfigurationError("limit, timeout and connections must be more than 0")
        self.path = "/" + path.strip("/")
        self.in_path = bool(self._secrets) and header is None
        self._header = None if header is None else header.strip().lower()
        self._inbox = inbox
        self._limit = limit
        self._timeout = timeout
        self._connections = connections
        self._in_hand = 0
        self._serving: asyncio.Task[None] | None = None
        if "{" in path or "}" in path:
            raise ConfigurationError("path is a plain path, without braces")
        if self.in_path and any(set("/{}") & set(secret.reveal()) for secret in self._secrets):
            raise ConfigurationError("a secret in the path cannot hold a slash or braces")

    def given(self, path: str) -> str | None:
        """Return the secret that a path names, "" where it names none; None for no path of ours."""
        path = path or "/"
        if path == self.path:
            return ""
        before, _, last = path.rpartition("/")
        return last if self.in_path and last and (before or "/") == self.path else None

    async def take(self, given: str, headers: Mapping[str, str], more: More) -> Answer:
        """Take one request in, and return what to answer.

        *given* is the secret that its path names, *headers* have lower-case names, *more* returns the
        next bytes of its body, None at the end, and raises when it breaks. Raises nothing itself.
        """
        refusal = self._refusal(given, headers)
        if refusal is not None:
            return refusal
        if self._serving is not None and self._serving.done():
            # It would be kept, and nobody would ever work on it.
            return _NO_ROOM
        if self._in_hand >= self._connections:
            return _BUSY
        self._in_hand += 1
        try:
            body = await self._read(more)
            return body if isinstance(body, Answer) else await self._keep(headers, body)
        finally:
            self._in_hand -= 1

    def _refusal(self, given: str, headers: Mapping[str, str]) -> Answer | None:
        """Choose whether to refuse a request before its body is read."""
        if self._header is not None:
            given = headers.get(self._header, "")
        if self._secrets and not matches(given, self._secrets):
            return _WRONG_SECRET
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            return _COMPRESSED
        length = headers.get("content-length", "0").strip()
        if not (length.isascii() and length.isdigit()):
            return _NO_LENGTH
        if len(length) > _LONGEST_NUMBER or int(length) > self._limit:
            return self._too_large()
        return None

    async def _read(self, more: More) -> bytes | Answer:
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout):
                while (chunk := await more()) is not None:
                    body += chunk
                    if len(body) > self._limit:
                        return self._too_large()
        except TimeoutError:
            return _LATE
        except Exception:  # noqa: BLE001  # every server has its own errors for a body that breaks off
            return _BROKEN
        return bytes(body)

    async def _keep(self, headers: Mapping[str, str], body: bytes) -> Answer:
        if not all(_verified(verifier, headers, body) for verifier in self._verifiers):
            return _WRONG_SIGNATURE
        try:
            await self._inbox.put(body, limit=self._limit)
        except InboxError as error:
            _log.error("an event was not kept: %s", error)
            return _NO_ROOM
        except WebhookError as error:
            return Answer(400, str(error))
        except Exception:  # noqa: BLE001  # whatever it is, the sender is to come again
            _log.exception("an event was not kept")
            return _NO_ROOM
        return STORED

    def _too_large(self) -> Answer:
        return Answer(413, f"a body may have {self._limit} bytes")

    @asynccontextmanager
    async def opened(self, router: Router, *, serve: bool) -> AsyncGenerator[None]:
        """Keep the secrets out of the servers' logs; with *serve*, open the inbox and serve it."""
        with veiled(secret.reveal() for secret in self._secrets):
            if not serve:
                yield
                return
            async with self._inbox:
                serving = self._serving = asyncio.create_task(self._inbox.serve(router))
                serving.add_done_callback(_ended)
                try:
                    yield
                finally:
                    serving.cancel()
                    await asyncio.gather(serving, return_exceptions=True)
            self._serving = None


def _verified(verifier: Verifier, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        answer: object = verifier(headers, body)
    except Exception:  # noqa: BLE001  # whatever it is, nothing was proven
        _log.exception("a verifier failed; what it was to verify is refused")
        return False
    if not isinstance(answer, bool):
        if inspect.iscoroutine(answer):
            answer.close()
        _log.error("a verifier answered neither True nor False; what it was to verify is refused")
    return answer is True


def _ended(serving: asyncio.Task[None]) -> None:
    if not serving.cancelled() and (error := serving.exception()) is not None:
        _log.critical("the inbox is served no longer: %s", error, exc_info=error)
