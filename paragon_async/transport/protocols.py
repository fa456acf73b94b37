"""What the layers above know of a session: these two protocols and its deadlines, and no aiohttp."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

import attrs

from paragon_async.auth import Secret
from paragon_async.transport.wire import Request


@attrs.frozen(kw_only=True)
class Timeouts:
    """Deadlines in seconds.

    *connect* covers name, connection and TLS; *connect* and *headers* together all until the last line
    of an answer's head; *idle* a head or a body in which nothing comes; *total* a whole JSON call:
    contents have no total.
    A body slower than *slowest* bytes per second over *window* seconds of waiting is given up.
    """

    connect: float = 15.0
    headers: float = 60.0
    idle: float = 60.0
    total: float = 300.0
    slowest: float = 1024.0
    window: float = 30.0


class Bulk(AbstractContextManager["Bulk"], Protocol):
    """The rest of a large body. Left at its end without an error, its memory is used again at once."""

    async def next(self) -> memoryview | bytes:
        """Return what came, b"" at the end. It stays as it is until the next but one call."""
        ...


class Response(Protocol):
    """An answer whose body is still to be read."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        ...

    @property
    def length(self) -> int | None:
        """The announced size of the decoded body in bytes."""
        ...

    @property
    def framed(self) -> bool:
        """Whether the end of the body can be told from a lost connection."""
        ...

    async def next_chunk(self) -> bytes:
        """Return some decoded bytes as soon as there are any, b"" at the end."""
        ...

    def bulk(self) -> Bulk | None:
        """Return a faster way to the rest of the body, instead of `next_chunk`, if there is one."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return the whole body; `DecodeError` beyond *limit* bytes."""
        ...


class Session(Protocol):
    """Sends requests. A fake of it is all that a test of the layers above needs."""

    def open(self, request: Request[Any], token: Secret) -> AbstractAsyncContextManager[Response]:
        """Send *request* and hold its answer while the body runs."""
        ...

    async def aclose(self) -> None:
        """Close what this session has opened itself."""
        ...
