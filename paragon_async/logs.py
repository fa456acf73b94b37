"""Logging: one logger for each part, quiet unless somebody asks.

    paragon_async.auth       tokens that are minted (never a token)
    paragon_async.http       each attempt, its status, seconds and the wait before the next
    paragon_async.paging     what is odd about pages
    paragon_async.download   attempts that broke off, and how they go on
    paragon_async.ingest     runs, and records whose contents became dead letters
    paragon_async.webhooks   what receiver and inbox are told; `.access` and `.server` below it
    paragon_async.emulator   what the emulator does

A program sets levels and handlers as it does for any other library. Without a program, the environment
variable `PARAGON_LOG` does: `debug`, `info`, `warning` or `error` for all parts, or for some of them,
as in `http=debug,ingest=info`; lines then go to standard error.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping

VARIABLE = "PARAGON_LOG"
ROOT = "paragon_async"
PARTS = ("auth", "http", "paging", "download", "ingest", "webhooks", "emulator")
LEVELS = ("debug", "info", "warning", "error")
_FORM = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def begin(environ: Mapping[str, str] = os.environ) -> None:
    """Keep the library quiet, or log what `PARAGON_LOG` in *environ* says; called by the import.

    A value that says nothing sensible is warned of, and nothing is logged: logging stops no program.
    """
    root = logging.getLogger(ROOT)
    root.addHandler(logging.NullHandler())
    if wanted := environ.get(VARIABLE, "").strip():
        try:
            levels = read(wanted)
        except ValueError as error:
            warnings.warn(f"{VARIABLE}: {error}", stacklevel=2)
            return
        show(levels)


def read(text: str) -> dict[str, int]:
    """Return the level of each logger that *text* names. Pure. Raises `ValueError`."""
    found = {}
    for item in text.split(","):
        name, _, level = item.strip().rpartition("=")
        name, level = name.strip().removeprefix(f"{ROOT}."), level.strip().lower()
        if level not in LEVELS:
            raise ValueError(f"{level!r} is no level: use {', '.join(LEVELS)}")
        if name and name.partition(".")[0] not in PARTS:
            raise ValueError(f"{name!r} is no part: use {', '.join(PARTS)}")
        found[f"{ROOT}.{name}" if name else ROOT] = logging.getLevelNamesMapping()[level.upper()]
    return found


def show(levels: Mapping[str, int]) -> None:
    """Write lines of loggers with these *levels* to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Plain(_FORM))
    logging.getLogger(ROOT).addHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class Plain(logging.Formatter):
    """Lines in which nothing moves a cursor: what came from outside may hold any character."""

    def format(self, record: logging.LogRecord) -> str:
        """Format as usual, and write what cannot be printed as its escape."""
        lines = super().format(record).split("\n")
        return "\n".join(line if line.isprintable() else _escaped(line) for line in lines)


def _escaped(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
