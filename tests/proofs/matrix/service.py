"""What all cells stand on: one emulator over one folder that nothing changes, asked by wires.

Service     the emulator in its thread, what it shows, and what a cell is held against
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from paragon_async import Paragon, Record, SigningKey
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.matrix.wire import Answer, Wire
from tests.proofs.served import Served

PAGE = 2
SMALL = {"a.txt": 3000, "b.pdf": 2000, "empty": 0, "sub/c.bin": 4000}
LARGE = {"large.bin": 3 << 20, "b.txt": 100, "c.txt": 100}
USER = "user-1"


class Service:
    """An emulator over *files*; of these *record* is the one whose content is spoiled."""

    def __init__(self, source, key, files):
        for name, size in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(hashlib.shake_256(name.encode()).digest(size))
        self.source, self.key = source, key
        self.served = Served(source, key)
        self.emulator = self.served.emulator
        # Parsed once: it takes longer than most cells.
        self.tokens = SigningKey(PROJECT, key)
        try:
            self.records = self.served.run(self._look())
        except BaseException:
            self.close()  # a thread that nobody ends would keep the whole process
            raise
        name = Path(next(iter(files))).name
        self.record = next(Record(data) for data in self.records if data["name"] == name)
        self.bodies = {
            data["id"]: (source / path).read_bytes()
            for data in self.records
            for path in files
            if data["name"] == Path(path).name
        }

    async def _look(self):
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self.wire = Wire(self._ask)
        await self.wire.start()
        async with self.direct() as user:
            sync = await user.syncs.enable("googledrive", "files")
            await user.syncs.wait_until_idle(sync.id, timeout=10)
            self.sync_id = sync.id
            pages = [page async for page in user.records.pages(sync.id)]
            self.cursor = pages[-1].cursor
            self.wire.records = [record.data for page in pages for record in page.records]
            return self.wire.records

    @asynccontextmanager
    async def direct(self):
        """A client without a wire."""
        async with Paragon(tokens=self.tokens, base_url=self.emulator.url) as paragon:
            user = paragon.user(USER)
            yield user

    def there(self, work):
        """Run *work* in the loop of the service."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.served.loop))

    def drive(self, user):
        return checker.Drive(self.source, self.emulator, user, self.sync_id)

    @asynccontextmanager
    async def laid(self, **options):
        """Give the wire to one cell; afterwards nobody is connected to it any more."""
        self.wire.begin(asyncio.get_running_loop(), **options)
        try:
            yield self.wire
            # Awaited, for a wire can wait for the client's loop.
            await self.there(self.wire.left())
        finally:
            await self.there(self.wire.cleared())

    def at(self, point):
        """Return what tells the requests of a point."""
        content = f"/{self.record.id}/content"
        return {
            "page": lambda target: "/records?" in target and "cursor=" in target,
            "content": lambda target: target.endswith(content),
            "status": lambda target: target.endswith(f"/syncs/{self.sync_id}"),
            "any": lambda _: True,
        }[point]

    def rules(self, point):
        """Return where a rule of the emulator has to act to hit a point."""
        paths = {
            "page": {"path": "*/records", "skip": 1},
            "content": {"path": f"*/{self.record.id}/content"},
            "status": {"path": f"*/syncs/{self.sync_id}"},
            "any": {},
        }
        return paths[point]

    async def _closed(self):
        self.wire.close()
        await self._session.close()

    async def _ask(self, target, headers):
        passed = {k: v for k, v in headers.items() if k.lower() not in {"host", "connection"}}
        url = aiohttp.client.URL(self.emulator.url + target, encoded=True)
        async with self._session.get(url, headers=passed, allow_redirects=False) as answer:
            body = await answer.read()
            return Answer(answer.status, answer.reason or "-", dict(answer.headers), body)

    def close(self):
        self.served.run(self._closed())
        self.served.close()
