"""What the library logs, told on standard error with -v, -vv or --log-json, while work is done."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from paragon_async.cli.settings import Settings
from paragon_async.logs import ROOT, Plain

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def spoken(level: str, message: str, more: Mapping[str, Any] | None = None) -> str:
    """Return one line of JSON for standard error: ASCII, so that no terminal obeys any of it."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "level": level, "message": message, **(more or {})})


@contextmanager
def narrated(settings: Settings) -> Iterator[None]:
    """Tell what the library logs as *settings* ask; without -v and --log-json, it is left alone."""
    if not settings.verbose and not settings.log_json:
        yield
        return
    wanted = _LEVELS[min(settings.verbose, 2)]
    root, handler = logging.getLogger(ROOT), _Stderr(wanted, as_json=settings.log_json)
    before = root.level, root.handlers[:]
    if settings.log_json:
        # `PARAGON_LOG` may have set one that writes plain lines: each would be told twice.
        root.handlers = [h for h in root.handlers if type(h) is not logging.StreamHandler]
    root.addHandler(handler)
    root.setLevel(min(wanted, before[0] or wanted))
    try:
        yield
    finally:
        root.level, root.handlers = before


class _Stderr(logging.Handler):
    """Writes to what standard error is when the record comes."""

    def __init__(self, level: int, *, as_json: bool) -> None:
        super().__init__(level)
        self.setFormatter(Plain("%(name)s: %(message)s"))
        self._as_json = as_json

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        if self._as_json:
            more = {"logger": record.name}
            line = spoken(record.levelname.lower(), record.getMessage(), more)
        else:
            line = self.format(record)
        print(line, file=sys.stderr, flush=True)
