"""Parts of an engine that promise too early. A simulation that does not find them proves nothing."""

from __future__ import annotations

import asyncio
import contextlib

import attrs

from paragon_async.ingest import FolderSink
from paragon_async.models import Page
from tests.simulation.disk import SimDisk
from tests.simulation.run import Parts


class LyingDisk(SimDisk):
    """Says that bytes are flushed, and flushes nothing."""

    def sync(self, file):
        self._event("sync", self.open_now[file])


class NamelessDisk(SimDisk):
    """Flushes bytes, and not the names of files."""

    def sync_folder(self, path):
        self._event("sync folder", path)


class HastySink(FolderSink):
    """Says that a content lies in its place, and gives it its name a moment later."""

    async def put(self, source, record_id, name):
        kept = source.with_suffix(".kept")
        source.rename(kept)
        asyncio.get_running_loop().call_later(0.02, self._late, kept, record_id, name)
        return f"files/{record_id}/{name}"

    def _late(self, source, record_id, name):
        with contextlib.suppress(OSError):
            self._put(source, record_id, name)


@attrs.frozen(eq=False)
class EagerRecords:
    """Gives each page the cursor of the page behind it, so that a cursor is saved too early."""

    _records: object

    def __getattr__(self, name):
        return getattr(self._records, name)

    async def pages(self, *args, **options):
        before = None
        async with contextlib.aclosing(self._records.pages(*args, **options)) as pages:
            async for page in pages:
                if before is not None:
                    yield Page(before.records, page.cursor, before.remaining, before.total)
                before = page
            yield before


def eager(user):
    """Return the view of a user whose pages come with the wrong cursor."""
    return attrs.evolve(user, records=EagerRecords(user.records))


WRONG = {
    "bytes that are not flushed": Parts(disk=LyingDisk),
    "names that are not flushed": Parts(disk=NamelessDisk),
    "a content that is put later": Parts(sink=HastySink),
    "a cursor that is saved early": Parts(user=eager),
}
