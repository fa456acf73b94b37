"""Gzip that notices when it is cut: the client library does not. Source: failures.md finding 2."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from paragon_async.errors import CutShortError, MalformedAnswerError

_GZIP = 31
_PIECE = 1 << 18
_MOST_MEMBERS = 1000


class Gunzip:
    """Decodes a gzip stream of one or more members, a bounded piece at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._members = 1
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded pieces of *data*; what is not asked for is not decoded."""
        self._fed = self._fed or bool(data)
        while data:
            if self._member.eof:
                self._begin()
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error:
                raise MalformedAnswerError("the body says gzip and is not") from None
            data = self._member.unused_data or self._member.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        """Raise `CutShortError` unless the stream came to its own end."""
        if not self._fed or not self._member.eof:
            raise CutShortError("the compressed body ended before its end")

    def _begin(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise MalformedAnswerError("the compressed body is made of too many members")
        self._member = zlib.decompressobj(_GZIP)


def decoder(encoding: str) -> Gunzip | None:
    """Return what decodes a body of this Content-Encoding, None for one that is as it is."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return Gunzip()
        case _:
            raise MalformedAnswerError("the body is in an encoding that was not asked for")
