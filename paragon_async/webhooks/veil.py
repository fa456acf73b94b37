"""Keeps secrets out of the logs of servers, which show whole paths and quote broken requests.

A secret in a path may be written in many ways, each of its characters as itself or in percents, so it
is looked for as whoever decodes it would find it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

HIDDEN = "…"
# The servers' own: of what they were asked for, and of requests that are no HTTP, quoted.
_SERVER_LOGS = (
    "aiohttp.access",
    "aiohttp.server",
    "gunicorn.access",
    "gunicorn.error",
    "hypercorn.access",
    "hypercorn.error",
    "uvicorn.access",
    "uvicorn.error",
)


@contextmanager
def veiled(secrets: Iterable[str]) -> Iterator[None]:
    """Hide *secrets* in what the known servers log while the block runs."""
    veil = _Veil(secrets)
    loggers = [logging.getLogger(name) for name in _SERVER_LOGS]
    for logger in loggers:
        logger.addFilter(veil)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(veil)


class _Veil(logging.Filter):
    """Hides secrets in all that a record would show."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        words = [_pattern(secret) for secret in sorted(secrets, key=len, reverse=True)]
        self._words = re.compile("|".join(words)) if words else None

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without secrets."""
        for name, value in vars(record).items():
            vars(record)[name] = self._hide(value)
        if record.exc_info:
            shown = logging.Formatter().formatException(record.exc_info)
            hidden = self._hide(shown)
            if hidden != shown:
                # Whoever formats the exception itself would quote it again.
                record.exc_info, record.exc_text = None, hidden
        return True

    def _hide(self, value: Any) -> Any:
        match value:
            case str():
                return value if self._words is None else self._words.sub(HIDDEN, value)
            case bytes():
                shown = value.decode("latin-1")
                hidden = self._hide(shown)
                return value if hidden == shown else hidden
            case tuple():
                return tuple(self._hide(part) for part in value)
            case dict():
                return {name: self._hide(part) for name, part in value.items()}
            case _:
                return value


def _pattern(secret: str) -> str:
    """Match a secret however its characters are written: plain, in percents, or as bytes are shown."""
    return "".join(_character(one) for one in secret)


def _character(one: str) -> str:
    raw = one.encode(errors="surrogatepass")
    percents = "".join(f"%(?i:{byte:02x})" for byte in raw)
    forms = {re.escape(one), percents, re.escape(ascii(one)[1:-1]), re.escape(str(raw)[2:-1])}
    forms.add(re.escape(raw.decode("latin-1")))
    return f"(?:{'|'.join(sorted(forms))})"
