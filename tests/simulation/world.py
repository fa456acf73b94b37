"""What one seed decides: chance, time, the moments of death, and the trace of all that happened.

Everything that the engine does to the outside, and the outside to it, is an *event* of the trace: a call
to the disk, a commit, a request, an answer, a piece of a body. A process dies, or is cancelled, at the
n-th event from where that was arranged. The hash of the trace tells whether two runs were the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections import Counter, deque

START = 1_760_000_000.0  # the Unix time at which every world begins
_RANDOM_NAME = re.compile(r"(?<=[-./])[0-9a-f]{8}(?:[0-9a-f]{8})?(?![0-9a-z])")
TAIL = 60


class World:
    """The outside of the engine, over several lives of its process."""

    def __init__(self, seed, tail=TAIL):
        self.seed = seed
        self.now = 0.0
        self.loop = None
        self.events = 0
        self.dead = None
        self.kinds = Counter()
        self.tail = deque(maxlen=tail)
        self._hash = hashlib.sha256()
        self._names = {}
        self._due = None
        self._at = 0
        self._then = None

    def dice(self, part):
        """Return the chance of one part of the world: the others do not disturb it."""
        return random.Random(f"{self.seed} {part}")  # noqa: S311  # chance that repeats

    def arrange(self, events, then):
        """Call *then* at the event that comes after so many others; None forgets it."""
        self._at, self._then = self.events + events, then

    def happens(self, kind, *words):
        """Note an event; what was arranged for it happens first."""
        self.events += 1
        self.kinds[kind] += 1
        self.note(kind, *words)
        if self._then is not None and self.events >= self._at:
            then, self._then = self._then, None
            then()

    def note(self, kind, *words):
        """Write a line of the trace."""
        if self.dead:
            return
        now = self.loop.now if self.loop else self.now
        line = f"{now:.6f} {kind} {' '.join(map(str, words))}".rstrip()
        # The engine's random names come from the machine: they are told by when they were first seen.
        line = _RANDOM_NAME.sub(self._name, line)
        self._hash.update(f"{line}\n".encode())
        self.tail.append(line)

    @property
    def digest(self):
        """The hash of the trace."""
        return self._hash.hexdigest()

    def _name(self, match):
        return self._names.setdefault(match[0], f"#{len(self._names) + 1}")


class SimClock:
    """The clock of a process in this world, as the engine asks it."""

    def __init__(self, world, loop):
        self._loop = loop
        self._dice = world.dice(f"clock {world.events}")

    def monotonic(self):
        return self._loop.now

    def wall(self):
        return START + self._loop.now

    def chance(self):
        return self._dice.random()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)
