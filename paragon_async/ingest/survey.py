"""What lies in a mirror, counted for plots: kinds, sizes and ages of contents, and all runs kept.

survey(folder)    one `Survey` for each feed, in one reading transaction, without the lock
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, defaultdict
from pathlib import PurePosixPath
from typing import Any

import attrs

from paragon_async.ingest import overview
from paragon_async.ingest.overview import Overview

_LETTERS = 50
_RUNS = 500
_MINUTE = 60
_LONGEST_SUFFIX = 12


@attrs.frozen(kw_only=True)
class Amount:
    """How many contents, and their bytes together."""

    files: int
    bytes: int


@attrs.frozen(kw_only=True)
class Survey:
    """One feed of a mirror, for plots.

    *kinds* are contents by the suffix of their name (`.pdf`, or `none`). *sizes* are contents by
    the power of two that their bytes are under: key 0 is the empty ones, key n those of less than
    2**n bytes. *stored* and *deleted* count contents stored and records deleted by the minute, as Unix
    time; a content that came again counts at its last coming.
    """

    overview: Overview
    kinds: dict[str, Amount]
    sizes: dict[int, Amount]
    stored: dict[int, Amount]
    deleted: dict[int, int]


def survey(folder: str | os.PathLike[str]) -> list[Survey]:
    """Return what lies in the mirror in *folder*; reads all receipts, some 2 s for a million.

    It takes no lock and changes nothing, also while an ingest works there. Blocks; raises as
    `overview.look`.
    """
    found = overview.look(folder, letters=_LETTERS, runs=_RUNS)
    with overview.reading(folder) as db:
        return [_survey(db, one) for one in found]


def _survey(db: sqlite3.Connection, one: Overview) -> Survey:
    number = overview.number_of(db, one.feed)
    kinds, sizes, stored = _Sums(), _Sums(), _Sums()
    rows = db.execute("SELECT path, size, at FROM receipts WHERE feed = ?", (number,))
    for path, size, at in rows:
        kinds.add(kind_of(path), size)
        sizes.add(size.bit_length(), size)
        stored.add(int(at // _MINUTE) * _MINUTE, size)
    deleted = Counter(
        int(at // _MINUTE) * _MINUTE
        for (at,) in db.execute(
            "SELECT deleted_at FROM records WHERE feed = ? AND deleted_at IS NOT NULL", (number,)
        )
    )
    return Survey(
        overview=one,
        kinds=kinds.amounts(),
        sizes=sizes.amounts(),
        stored=stored.amounts(),
        deleted=dict(sorted(deleted.items())),
    )


class _Sums(defaultdict[Any, list[int]]):
    """Sums by a key, in lists: a value of our own for each content would cost more than reading it."""

    def __init__(self) -> None:
        super().__init__(lambda: [0, 0])

    def add(self, key: Any, size: int) -> None:
        sums = self[key]
        sums[0] += 1
        sums[1] += size

    def amounts(self) -> dict[Any, Amount]:
        return {key: Amount(files=sums[0], bytes=sums[1]) for key, sums in sorted(self.items())}


def kind_of(path: str) -> str:
    """Return the suffix of a name in small letters, or `none` where there is no sensible one. Pure."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if 1 < len(suffix) <= _LONGEST_SUFFIX and suffix[1:].isalnum() else "none"
