"""`paragon-async ingest report`: a mirror as one page, written to a file or to standard output."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

from paragon_async.cli import output
from paragon_async.cli.exits import Exit


async def report(folder: Path, target: Path | None, *, force: bool) -> int:
    """Write the page of the mirror in *folder*; return the exit status, as `status` does."""
    from paragon_async.cli.whole import Whole
    from paragon_async.threads import in_thread

    html, is_good = await in_thread(_page, folder)
    if target is None:
        sys.stdout.buffer.write(html)
        sys.stdout.flush()
    else:
        with contextlib.closing(Whole(target, replaces=force)) as file:
            file.write(html)
            file.commit()
        output.note(f"open {target} in a browser; it needs no network")
    return Exit.GOOD if is_good else Exit.NOT_ALL


def _page(folder: Path) -> tuple[bytes, bool]:
    """Return the page, and whether nothing waits for somebody to look at it."""
    from paragon_async.cli.page import page
    from paragon_async.ingest.survey import survey

    found = survey(folder)
    html = page(found, f"Mirror {folder.absolute().name}", time.time())
    return html.encode("utf-8", "replace"), all(one.overview.is_good for one in found)
