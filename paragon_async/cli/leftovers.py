"""Parts that a killed process left behind.

Their names are never used again, so nobody else would remove them: a nightly job would fill the disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

# Another process may be at work beside this one, and it writes to its part more often than that.
_AGE = 86_400


def swept(folder: Path, name: re.Pattern[str]) -> tuple[int, int]:
    """Remove files in *folder* that are called like *name* and a day old; return count and bytes.

    What cannot be looked at or removed is left: this is a favour, not the work.
    """
    count = size = 0
    oldest = time.time() - _AGE
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            if name.fullmatch(entry.name) is None:
                continue
            with contextlib.suppress(OSError):
                seen = entry.stat(follow_symlinks=False)
                if entry.is_file(follow_symlinks=False) and seen.st_mtime < oldest:
                    Path(entry.path).unlink()
                    count, size = count + 1, size + seen.st_size
    return count, size
