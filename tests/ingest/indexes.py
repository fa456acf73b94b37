"""Real implementations of what places of rows stand on: an index in memory, a disk that breaks."""

from __future__ import annotations

import contextlib
import errno
import os

import attrs
from hypothesis import strategies as st

from paragon_async.disk import SystemDisk
from paragon_async.errors import SinkError
from paragon_async.ingest.sinks.protocol import Place, Row
from paragon_async.ingest.values import digest_of

IDS = [f"id-{n}" for n in range(6)]
PAIRS = st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 99)), min_size=1, max_size=5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["write", "write", "lose"]), PAIRS),
        st.tuples(st.just("delete"), st.sampled_from(IDS)),
        st.tuples(st.sampled_from(["tidy", "open"]), st.none()),
        st.tuples(st.sampled_from(["crash write", "full write"]), PAIRS, st.integers(1, 8)),
        st.tuples(st.sampled_from(["crash tidy", "full tidy"]), st.none(), st.integers(1, 16)),
    ),
    max_size=14,
)


class MemoryIndex:
    """Knows which row of which record counts, as a state does; what it is told it keeps for good."""

    def __init__(self):
        self.rows = {}
        self.lines = {}
        self.known = {}
        self.asked = 0
        self.error = None

    def commit(self, mark, ids, lines=()):
        """Take a mark that a write returned, the ids it was for, in order, and their lines."""
        before = self.known.get(mark.place, Place(0, 0, 0))
        self.known[mark.place] = Place(mark.size, before.rows + mark.rows, before.stale)
        for each in ids:
            self.delete(each)
            self.rows[each] = mark.place
        self.lines |= dict(zip(ids, lines, strict=False))

    def delete(self, id):
        if (place := self.rows.pop(id, None)) is not None:
            self.known[place] = attrs.evolve(self.known[place], stale=self.known[place].stale + 1)

    @property
    def marks(self):
        return {name: place.size for name, place in self.known.items()}

    async def places(self):
        return dict(self.known)

    async def current(self, place, ids):
        self.asked = max(self.asked, len(ids))
        return {each for each in ids if self.rows.get(each) == place}

    async def digests(self, place, ids):
        self.asked = max(self.asked, len(ids))
        digest = {each: digest_of(self.lines[each]) if each in self.lines else b"" for each in ids}
        return {each: digest[each] for each in ids if self.rows.get(each) == place}

    async def moved(self, old, mark, ids):
        if self.error:
            raise self.error
        for name in old:
            del self.known[name]
        if mark:
            self.known[mark.place] = Place(mark.size, mark.rows, 0)
        for each in ids:
            self.rows[each] = mark.place
        assert not set(old) & set(self.rows.values()), "a row was left behind"


class BreakingDisk:
    """A real disk whose call number *at* fails, half done; *dead*, every later one fails as well.

    A dead disk is what a killed process leaves: nothing is put in order any more.
    """

    def __init__(self, at=None, *, dead=False, number=errno.ENOSPC):
        self.calls = []
        self.open_files = 0
        self._real = SystemDisk()
        self._at = at
        self._dead = dead
        self._number = number

    def __getattr__(self, name):
        real = getattr(self._real, name)

        def call(*args):
            self.calls.append((name, *args))
            count = len(self.calls)
            if self._at is not None and (count == self._at or (self._dead and count > self._at)):
                if name == "write" and count == self._at:
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                if name == "close":
                    self._close(args[0])
                raise OSError(self._number, os.strerror(self._number))
            if name == "close":
                return self._close(args[0])
            self.open_files += name in {"create", "append"}
            return real(*args)

        return call

    def _close(self, file):
        self.open_files -= 1
        self._real.close(file)

    def names_called(self):
        return [name for name, *_ in self.calls]


def row(id, value=0, **more):
    return Row.of({"id": id, "value": value, "pad": "x" * (value % 40)}, **more)


def rows(pairs):
    return [row(*pair) for pair in pairs]


class World:
    """One destination over crashes: a mirror that is made again, an index that stays, the truth."""

    def __init__(self, make):
        self.make = make
        self.index = MemoryIndex()
        self.truth = {}
        self.segments = make(None)

    async def open(self, disk=None):
        self.segments = self.make(disk)
        await self.segments.open(self.index.marks)

    async def write(self, pairs):
        mark = await self.segments.write(rows(pairs))
        lines = [each.line for each in rows(pairs)]
        self.index.commit(mark, [pair[0] for pair in pairs], lines)
        self.truth |= dict(pairs)

    def delete(self, id):
        self.index.delete(id)
        self.truth.pop(id, None)

    def living(self, read):
        """Read each place up to its mark as the state would: the last row of each id that counts."""
        found = {}
        for place, size in self.index.marks.items():
            last = {record["id"]: record["value"] for record in read(place, size)}
            found |= {n: v for n, v in last.items() if self.index.rows.get(n) == place}
        return found


async def play(world, steps):
    """Do *steps*; what a step that was stopped left uncommitted must not be seen again."""
    await world.open()
    for kind, what, *at in steps:
        if kind == "write":
            await world.write(what)
        elif kind == "lose":
            await world.segments.write(rows(what))
            await world.open()
        elif kind == "delete":
            world.delete(what)
        elif kind == "open":
            await world.open()
        elif kind == "tidy":
            await world.segments.tidy(world.index)
        else:
            disk = BreakingDisk(None)
            await world.open(disk)
            disk._at, disk._dead = len(disk.calls) + at[0], kind.startswith("crash")
            with contextlib.suppress(SinkError):
                await (world.write(what) if what else world.segments.tidy(world.index))
            disk._at = None
            if kind.startswith("crash"):
                await world.open()
        yield kind
