"""The request for a content, without what aiohttp's client prepares for every kind of request.

A third of a small file's time goes there: headers merged, cookies and proxies looked for, a writer for
a body, an answer with links and a history. A content of the service's own needs none of that. This
takes aiohttp's pool, connections and parser, and writes the request as one string. The usual way stands
beside it in `session`: it makes the first request, all others than contents, and all of a session that
was given; and it is the oracle of the tests.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict

from paragon_async.transport import idle

_INTERIM = range(100, 200)
_SWITCHED = 101
_BREAKS = re.compile("[\r\n\0]")


class Answer:
    """What is asked of a `ClientResponse`, and no more."""

    def __init__(
        self,
        url: str,
        connection: Connection,
        protocol: ResponseHandler,
        message: RawResponseMessage,
        content: aiohttp.StreamReader,
    ) -> None:
        self.url = url
        self.status = message.code
        self.headers: Mapping[str, str] = message.headers
        self.content = content
        self.connection: Connection | None = connection
        self._protocol = protocol
        length = message.headers.get("Content-Length")
        self.content_length = None if length is None else int(length)
        content.on_eof(self.release)

    def release(self) -> None:
        """Give the connection back; it is closed unless the body has ended."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.release()


def is_possible() -> bool:
    """Tell whether this aiohttp has what is used here: none of it is promised."""
    wanted = {
        "read_until_eof",
        "auto_decompress",
        "read_timeout",
        "max_line_size",
        "max_field_size",
    }
    return wanted <= set(
        inspect.signature(ResponseHandler.set_response_params).parameters
    ) and list(inspect.signature(aiohttp.BaseConnector.connect).parameters) == [
        "self",
        "req",
        "traces",
        "timeout",
    ]


def example(request: aiohttp.ClientRequest) -> aiohttp.ClientRequest:
    """Keep of a request what a connection is found or made by: its host and how to reach it."""
    kept = copy.copy(request)
    kept.headers = CIMultiDict(Host=request.headers["Host"])
    kept.response = None
    return kept


def head(url: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Return a GET request. Raises `ValueError` where a line would break into two."""
    target = url.partition("://")[2].partition("/")[2]
    lines = [f"GET /{target} HTTP/1.1", f"Host: {host}", *map(": ".join, headers.items())]
    if _BREAKS.search("".join(lines)):
        raise ValueError("a line break in a request")
    return "\r\n".join([*lines, "", ""]).encode()


async def get(
    connector: aiohttp.BaseConnector,
    like: aiohttp.ClientRequest,
    url: str,
    head: Callable[[], bytes],  # called, for no frame is to hold a token
    *,
    limits: aiohttp.ClientTimeout,
    longest: int,
) -> Answer:
    """Send *head* to where *like* went, and return the answer; it is the caller's to release.

    Raises what aiohttp's client raises, and `HttpProcessingError` as its parser does.
    """
    try:
        connection = await connector.connect(like, [], limits)
    except TimeoutError:
        raise aiohttp.ConnectionTimeoutError from None
    try:
        protocol, transport = idle.refuse_strays(connection)
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=limits.sock_read,
            max_line_size=longest,
            max_field_size=longest,
        )
        transport.write(head())
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            if message.code not in _INTERIM or message.code == _SWITCHED:
                return Answer(url, connection, protocol, message, content)
    except BaseException:
        connection.close()
        raise
