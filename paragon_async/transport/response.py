"""An answer of aiohttp's: its body, and what its errors become.

AiohttpResponse.next_chunk()   decoded bytes as they come, b"" at the end
AiohttpResponse.bulk()         a faster way to the rest of a large body
mapped(error, host)            the error of ours for one of aiohttp's, without its words
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping

import aiohttp
from aiohttp.http import HttpProcessingError

from paragon_async.errors import (
    CertificateError,
    ConfigurationError,
    ConnectionFailedError,
    CutShortError,
    DecodeError,
    MalformedAnswerError,
    ParagonError,
    RedirectRefusedError,
    TimedOutError,
)
from paragon_async.transport import lean, redirects
from paragon_async.transport.bulk import LEAST, Blocks, Bulk
from paragon_async.transport.gunzip import decoder
from paragon_async.transport.pace import Pace
from paragon_async.transport.protocols import Timeouts

Answer = aiohttp.ClientResponse | lean.Answer
_ADVICE = "; check the base URL, and the network"


class AiohttpResponse:
    """The body of one answer: decoded, watched, and never ended in silence where it can be told."""

    def __init__(self, answer: Answer, timeouts: Timeouts, blocks: Blocks) -> None:
        self._answer = answer
        self._timeouts = timeouts
        self._blocks = blocks
        self._pace = Pace(timeouts.slowest, timeouts.window)
        self._pending: Iterator[bytes] = iter(())
        self._gunzip = decoder(answer.headers.get("Content-Encoding", ""))
        self._is_chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        self._ended = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        return self._answer.headers

    @property
    def length(self) -> int | None:
        """The announced size; unknown when the body is compressed."""
        return None if self._gunzip else self._answer.content_length

    @property
    def framed(self) -> bool:
        """Whether length, chunks or gzip mark the end."""
        return (
            self._is_chunked or self._answer.content_length is not None or self._gunzip is not None
        )

    async def next_chunk(self) -> bytes:
        """Return some decoded bytes, b"" at the end. Cancelling leaves the body where it was."""
        while True:
            if self._gunzip:
                # One read of a bomb decodes to a thousand pieces: others get their turn in between.
                await asyncio.sleep(0)
            for piece in self._pending:
                return piece
            if self._ended:
                return b""
            data = await self._read()
            if not data:
                self._ended = True
                if self._gunzip:
                    self._gunzip.end()
                elif not self.framed and self._was_reset():
                    raise CutShortError("the connection was reset before the body's end")
            elif self._gunzip is None:
                return data
            else:
                self._pending = self._gunzip.feed(data)

    def bulk(self) -> Bulk | None:
        """Take over the rest of a large body, if it has a length and needs no decoding."""
        answer, content = self._answer, self._answer.content
        connection, length = answer.connection, answer.content_length
        plain = self._gunzip is None and not self._is_chunked
        # Windows' loop would only copy once more.
        if connection is None or length is None or not plain or os.name == "nt":
            return None
        transport, home = connection.transport, connection.protocol
        if transport is None or home is None or transport.is_closing() or content.exception():
            return None
        left = length - content.total_bytes
        if left < LEAST or (pair := self._blocks.take(left)) is None:
            return None
        come = b"".join(iter(content.read_nowait, b""))
        home.read_timeout = None
        home.start_timeout()
        return Bulk(
            transport,
            home,
            come,
            length - content.total_bytes,
            ended=content.feed_eof,
            blocks=self._blocks,
            pair=pair,
            timeouts=self._timeouts,
            host=host_of(str(answer.url)),
        )

    async def read(self, limit: int) -> bytes:
        """Return the whole body; `DecodeError` beyond *limit* bytes."""
        parts: list[bytes] = []
        size = 0
        while chunk := await self.next_chunk():
            size += len(chunk)
            if size > limit:
                raise DecodeError("$", f"the answer is larger than {limit} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _was_reset(self) -> bool:
        """Tell whether a reset ended the body: without length or chunks aiohttp calls that an end."""
        # Nothing public tells it, and a stand-in for aiohttp has no connection.
        protocol = getattr(self._answer, "_protocol", None)
        return protocol is not None and isinstance(protocol.exception(), OSError)

    async def _read(self) -> bytes:
        content = self._answer.content
        if content.is_eof() and content.exception() is None:
            # All of it has come: there is no wait to be measured, and nothing that could fail.
            return content.read_nowait()
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            data = await self._next()
        except (aiohttp.ClientError, OSError) as error:
            failure = mapped(error, host_of(str(self._answer.url)))
        else:
            if data and self._pace.too_slow(len(data), clock() - begun):
                raise TimedOutError("the body comes too slowly to be alive")
            return data
        raise failure

    async def _next(self) -> bytes:
        """Return what the wire gave in one read, without a copy; b"" at the end."""
        content = self._answer.content
        if self._is_chunked:
            # The server's chunks can be tiny: all that has come of them is one piece.
            return await content.readany()
        data, _ = await content.readchunk()
        return data


def host_of(url: str) -> str:
    """Name the host and port of *url*, for messages."""
    _, host, port = redirects.origin(url)
    return f"{host}:{port}"


def mapped(error: BaseException, host: str) -> ParagonError:  # noqa: PLR0911  # a table
    """Turn what aiohttp raises into ours; its words are dropped, they can hold the token."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return CertificateError(f"no trusted TLS connection to {host}", sent=False)
        case aiohttp.ConnectionTimeoutError():
            return TimedOutError(f"no connection to {host} in time{_ADVICE}", sent=False)
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno or 0
            known = os.strerror(number) if number > 0 else error.os_error.strerror
            reason = known or "no reason given"
            return ConnectionFailedError(f"cannot connect to {host}: {reason}{_ADVICE}", sent=False)
        case aiohttp.SocketTimeoutError():
            return TimedOutError(f"{host} sent nothing for too long")
        case TimeoutError():
            return TimedOutError(f"{host} did not begin to answer in time")
        case aiohttp.ClientPayloadError():
            return CutShortError(f"the answer of {host} ended too early")
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return MalformedAnswerError(f"what {host} sent is not proper HTTP")
        case RuntimeError():
            return ConfigurationError(
                "the aiohttp session that was given cannot be used: is it closed?"
            )
        case aiohttp.InvalidURL() | ValueError():
            return RedirectRefusedError("an address that cannot be read")
        case _:
            sent = getattr(error, "was_sent", True)
            return ConnectionFailedError(f"the connection to {host} was lost", sent=sent)
