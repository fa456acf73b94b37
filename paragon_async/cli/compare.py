"""A mirror held against its sources by what lies on the disk: rows are read, files are hashed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs


@attrs.define(kw_only=True)
class Compared:
    """What came of it: *files* there should be, *verified* of them equal, *bytes* of these."""

    files: int = 0
    verified: int = 0
    bytes: int = 0
    failures: list[str] = attrs.field(factory=list)


def rows(mirror: Path) -> list[dict[str, Any]]:
    """Return the records of a mirror as its JSON lines have them."""
    found = []
    for file in sorted((mirror / "records").glob("*.jsonl")):
        with file.open("rb") as lines:
            found += [json.loads(line) for line in lines]
    return found


def compare(
    mirror: Path, sources: Mapping[str, Path], key: Callable[[str], str | None]
) -> Compared:
    """Hold every content of *mirror* against its source, and look for what lacks or is too much.

    *sources* are files by a key, and *key* returns the one of a record's id, or None. Both files of a
    pair are hashed from the disk; no word of the engine is believed. Blocks.
    """
    found = Compared(files=len(sources))
    kept = {mirror / row["_file"]: key(row["id"]) for row in rows(mirror) if row.get("_file")}
    for path, source in kept.items():
        if source is None or source not in sources:
            found.failures.append(f"{path.name}: has no source")
        elif not _is_equal(path, sources[source]):
            found.failures.append(f"{path.name}: differs from its source")
        else:
            found.verified += 1
            found.bytes += path.stat().st_size
    found.failures += [f"{lost}: is missing" for lost in sources.keys() - set(kept.values())]
    strays = set(_files(mirror / "files")) - kept.keys()
    found.failures += [
        f"{stray.name}: lies in the mirror, and no record has it" for stray in strays
    ]
    return found


def _is_equal(one: Path, other: Path) -> bool:
    try:
        return _sha256(one) == _sha256(other)
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(top: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(top):
        for name in names:
            yield Path(folder) / name
