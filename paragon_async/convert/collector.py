"""Building a page without the garbage collector looking at it half made.

A page is thousands of new objects that all live: the collector, called for every few hundred of them,
finds nothing, and calls itself for older generations all the more often. That was a fifth of the time
of a pull. For the milliseconds of one page, which never waits for anything, it is called more rarely.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

# Some pages of records. Beyond it collections happen as always, so that memory stays bounded.
_RARELY = 50_000


@contextmanager
def undisturbed() -> Generator[None]:
    """Let young objects be collected rarely inside; nothing inside may wait.

    The threshold belongs to the whole process. Other threads notice nothing but fewer collections,
    and where they come here too, the first to leave puts it back. Nothing is switched off: a process
    that is forked meanwhile still collects. Who has set a higher threshold, or none, keeps it.
    """
    usual = gc.get_threshold()
    if not 0 < usual[0] < _RARELY:
        yield
        return
    gc.set_threshold(_RARELY, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
