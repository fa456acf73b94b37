"""A file that has its name only once it is complete."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from paragon_async.cli.leftovers import swept
from paragon_async.errors import ConfigurationError, DestinationError


class Whole:
    """Writes beside *path*, and takes its name with `commit`; `close` removes what was not committed.

    Raises `ConfigurationError` where something is there already that *replaces* does not allow to
    replace, and `DestinationError` for what the system refuses.
    """

    def __init__(self, path: Path, *, replaces: bool) -> None:
        if path.is_dir():
            raise ConfigurationError(f"{str(path)!r} is a folder: name a file")
        if not replaces and os.path.lexists(path):
            raise ConfigurationError(f"{str(path)!r} is there already: --force replaces it")
        self._path = path
        stem = f".{path.name[:100]}."
        swept(path.parent, re.compile(rf"{re.escape(stem)}[0-9a-f]{{8}}\.part", re.DOTALL))
        self._beside = path.with_name(f"{stem}{secrets.token_hex(4)}.part")
        self._committed = False
        with self._refusals():
            self._file = self._beside.open("xb")

    def write(self, data: bytes) -> int:
        """Append *data*."""
        with self._refusals():
            return self._file.write(data)

    def flush(self) -> None:
        """Do nothing: it is flushed when it is complete."""

    @property
    def closed(self) -> bool:
        """Whether no more can be written."""
        return self._file.closed

    def commit(self) -> None:
        """Give the file its name, durably."""
        with self._refusals():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._beside.replace(self._path)
            self._committed = True
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Let go; what was not committed is removed."""
        with contextlib.suppress(OSError):
            self._file.close()
        if not self._committed:
            with contextlib.suppress(OSError):
                self._beside.unlink()

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DestinationError(
                f"cannot write {str(self._path)!r}: {error.strerror}", errno=error.errno
            ) from error
