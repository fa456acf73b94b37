"""The world as `checker` asks for it: the feed is the API, the drive is the source.

The drive goes on changing while the engine works, so a content may be newer than its record; and in
`batch` a power cut may leave one broken that the state suspects anyway.
"""

from __future__ import annotations

from pathlib import Path

from tests.proofs import checker
from tests.simulation.source import FOLDER

LONG = 1 << 40


class OneOf(frozenset):
    """Equal to each of its members: a content may be the record's, or newer already."""

    def __eq__(self, other):
        return other in self

    __hash__ = None


class Drive:
    """The world as the checker asks for it."""

    def __init__(self, source, folder):
        self.source = folder
        self._source = source

    async def pull(self, after=None):
        records, _, _ = self._source.page(after, LONG)
        return {record["id"]: record for record in records}

    def path_of(self, id_):
        return self.source / id_

    def write(self):
        """Write the drive to its folder, for the last look."""
        self.source.mkdir()
        for item in self._source.items.values():
            if not item.is_deleted and item.mime != FOLDER:
                self.path_of(item.id).write_bytes(item.body)


def look(world, drive):
    """Hold the mirror against the feed; in it nothing may be promised that is not there."""
    versions = checker.Versions()
    for id_, known in world.source.contents.items():
        versions.ever[id_] = {sha for _, sha in known}
        record = world.source.record(id_)
        if record and known:
            versions.now[id_] = OneOf(world.source.acceptable(id_))
    if world.plan.durability == "batch" and world.power_cuts:
        _forgive(world.disk.root, versions)
    at_once = world.plan.concurrency if world.plan.durability == "file" else LONG
    now(checker.midway(drive, world.disk.root, versions, in_flight=at_once))


def look_at_all(world, drive, *, swept=True):
    """Hold the mirror against the drive itself."""
    now(checker.whole(drive, world.disk.root, swept=swept))


def _forgive(root, versions):
    """Let contents be broken that a power cut met before they were flushed, where the state suspects them."""
    state = checker.saved(root)
    for location, sha256 in checker.files_of(root).items():
        id_ = Path(location).parts[1]
        if id_ in state.intents:
            versions.ever[id_] = versions.ever[id_] | {sha256}


def now(work):
    """Return what a coroutine returns that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")
