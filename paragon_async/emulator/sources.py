"""Where the bytes of a content come from: a file on disk, memory, or a computation. Source: api.md 5.

The service documents no ETag; ours are strong and true: of a file by its inode, time and size, of
bytes by their hash, of a computed file by what it is computed from. A file on disk is opened when its
first byte is wanted; if it was replaced since its size was told, it counts as shrunk.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from functools import cached_property
from pathlib import Path
from typing import Protocol

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.virtual import VirtualFile

PIECE = 1 << 20
_INLINE = 1 << 18


class Shrunk(Exception):  # noqa: N818  # what happened to a file, not a failure of the emulator
    """The bytes that were promised are not there any more."""


class Source(Protocol):
    """Bytes that can be read from any place, any number of times."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    @property
    def etag(self) -> str:
        """What changes with the bytes, in quotes."""

    @property
    def content_type(self) -> str:
        """What the bytes are."""

    def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a range in pieces of at most 1 MiB; raise Shrunk when they are gone."""


class DiskSource:
    """A file on this machine, as it is now; refused with 404 if it cannot be read."""

    def __init__(self, path: Path, content_type: str) -> None:
        try:
            info = os.stat(path)  # noqa: PTH116  # one call
        except OSError:
            raise Refusal(404, "The file is not there any more") from None
        self.path = path
        self.size = info.st_size
        self.etag = _etag(info)
        self.content_type = content_type

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a range; large ones are read beside the event loop."""
        try:
            file = os.open(self.path, os.O_RDONLY)
        except OSError:
            raise Shrunk from None
        try:
            if _etag(os.fstat(file)) != self.etag:
                raise Shrunk
            for at in range(start, stop, PIECE):
                size = min(PIECE, stop - at)
                if size <= _INLINE:
                    yield _read(file, size, at)
                else:
                    yield await asyncio.to_thread(_read, file, size, at)
        finally:
            os.close(file)


class MemorySource:
    """Bytes at hand."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self.data = data
        self.size = len(data)
        self.content_type = content_type

    @cached_property
    def etag(self) -> str:
        """The beginning of the bytes' hash, in quotes."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a range."""
        for at in range(start, stop, PIECE):
            yield self.data[at : min(at + PIECE, stop)]


class VirtualSource:
    """A file whose bytes are computed when they are asked for."""

    content_type = "application/octet-stream"

    def __init__(self, file: VirtualFile) -> None:
        self.file = file
        self.size = file.size
        self.etag = f'"{file.seed:x}-{file.index:x}-{file.size:x}"'

    async def pieces(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a range, cut where the file's own pieces end."""
        at = start
        while at < stop:
            end = min(stop, (at // PIECE + 1) * PIECE)
            yield self.file.read(at, end)
            at = end


def _etag(info: os.stat_result) -> str:
    return f'"{info.st_ino:x}-{info.st_mtime_ns:x}-{info.st_size:x}"'


def _read(file: int, size: int, at: int) -> bytes:
    parts = []
    while size:
        try:
            part = os.pread(file, size, at)
        except OSError:
            raise Shrunk from None
        if not part:
            raise Shrunk
        parts.append(part)
        size, at = size - len(part), at + len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
