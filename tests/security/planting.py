"""What somebody who may write to a mirror's folder puts in our way, and a place that must stay as it is."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

# A process, not a thread: it must move while we are between two calls of the system.
_SWAPS = """
import contextlib, os, sys
place, room, outside, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
done = turn = 0
while os.getppid() == int(sys.argv[5]) and (done < count or not os.path.exists(room + "/enough")):
    turn += 1
    aside = os.path.join(room, str(turn))
    with contextlib.suppress(OSError):
        os.rename(place, aside)
    with contextlib.suppress(OSError):
        os.symlink(outside, place)
        done += 1
    with contextlib.suppress(OSError):
        if os.path.islink(place):
            os.unlink(place)
    with contextlib.suppress(OSError):
        os.rename(aside, place)
"""


class Outside:
    """A folder beyond every root, which looks like a part of a mirror to whoever is led there."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        for name in ("victim.txt", *names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("untouched")
        self._before = self._seen()

    def is_untouched(self) -> bool:
        """Tell whether nothing came, went or changed."""
        return self._seen() == self._before

    def _seen(self) -> dict[str, str]:
        return {str(p): p.read_text() if p.is_file() else "" for p in self.folder.rglob("*")}


def plant(place: Path, kind: str, outside: Outside) -> None:
    """Put a pipe, or a link that leads outside, in this place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "link to a file":
        place.symlink_to(outside.folder / "victim.txt")
    else:
        place.symlink_to(outside.folder)


@contextlib.contextmanager
def swapping(place: Path, outside: Path, room: Path, count: int, rounds: int = 1):
    """Swap *place* for a link, and back, while the block runs, *count* times at least.

    The value is for who asks whether to go on: True until there were so many swaps and *rounds* asked.
    """
    room.mkdir(parents=True, exist_ok=True)
    given = [str(place), str(room), str(outside), str(count), str(os.getpid())]
    attacker = subprocess.Popen([sys.executable, "-I", "-c", _SWAPS, *given])
    turns = itertools.count(1)

    def goes_on() -> bool:
        if next(turns) > rounds:
            (room / "enough").touch()
        return attacker.poll() is None

    try:
        yield goes_on
        assert attacker.wait(60) == 0
    finally:
        attacker.kill()
        attacker.wait()


async def named(user, sync_id, name):
    """Return the record of this name."""
    return next(r for r in [r async for r in user.records.pull(sync_id)] if r.data["name"] == name)
