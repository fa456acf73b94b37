"""Is a content there already? Asked of the disk, and of what the record promises."""

from __future__ import annotations

import hashlib
import stat
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paragon_async.download import Evidence


def is_present(path: Path, evidence: Evidence, updated_at: datetime | None) -> bool:
    """Tell whether the file at *path* is the content of a record. Blocks.

    Where the record has a hash, the file is read and must agree; where it has only a size, that must
    agree, and the file must not be older than the record. Without either its age alone decides, and
    without a date nothing is taken for present.
    """
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(found.st_mode):
        return False
    if evidence.size is not None and evidence.size != found.st_size:
        return False
    if evidence.algorithm and evidence.digest:
        return _digest(path, evidence.algorithm) == evidence.digest
    return updated_at is not None and found.st_mtime >= updated_at.timestamp()


def _digest(path: Path, algorithm: str) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(
                file, lambda: hashlib.new(algorithm, usedforsecurity=False)
            ).hexdigest()
    except OSError:
        return None
