"""An index in memory: the protocol with plain dictionaries in place of SQLite."""

from __future__ import annotations

from collections import Counter

import attrs

from paragon_async.ingest.sinks.protocol import Place
from paragon_async.ingest.values import digest_of


@attrs.define
class MemoryIndex:
    """Knows of each record the place of its current row; the last one of that id there."""

    homes: dict = attrs.field(factory=dict)
    sizes: dict = attrs.field(factory=dict)
    rows: Counter = attrs.field(factory=Counter)
    lines: dict = attrs.field(factory=dict)

    def wrote(self, mark, ids):
        """Commit what `write` returned."""
        if mark is not None:
            self.sizes[mark.place] = mark.size
            self.rows[mark.place] += mark.rows
            self.homes.update(dict.fromkeys(ids, mark.place))

    def deleted(self, ids):
        """Commit deletes."""
        for one in ids:
            self.homes.pop(one, None)

    async def places(self):
        living = Counter(self.homes.values())
        return {
            name: Place(size, self.rows[name], self.rows[name] - living[name])
            for name, size in self.sizes.items()
        }

    async def current(self, place, ids):
        return {one for one in ids if self.homes.get(one) == place}

    async def digests(self, place, ids):
        found = await self.current(place, ids)
        return {one: digest_of(self.lines[one]) if one in self.lines else b"" for one in found}

    async def moved(self, old, mark, ids):
        assert mark is None or mark.rows == len(ids) == len(set(ids))
        assert all(self.homes[one] in old for one in ids)
        assert not [one for one, home in self.homes.items() if home in old and one not in ids]
        for name in old:
            del self.sizes[name], self.rows[name]
        self.wrote(mark, ids)


class PowerCutError(Exception):
    """The process ends here."""


@attrs.define
class FailingIndex(MemoryIndex):
    """Loses power at the *cut*-th commit of a move, before or after it is durable."""

    cut: int = 0
    late: bool = False

    async def moved(self, old, mark, ids):
        self.cut -= 1
        if self.cut == 0 and not self.late:
            raise PowerCutError
        await super().moved(old, mark, ids)
        if self.cut == 0:
            raise PowerCutError
