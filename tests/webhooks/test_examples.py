"""The two services of `examples/`, run as programs: what happens in a folder happens in the mirror."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.webhooks.sending import SECRET

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
EXAMPLES = Path(__file__).with_name("examples")
# uvicorn, when all is shut down, lets the signal have its way, so that a shell sees it.
SERVICES = [("service_aiohttp.py", 0), ("service_fastapi.py", -signal.SIGTERM)]
LOG_LINE = re.compile(r"(INFO:[\w.]+:|INFO: {5})\S.*")


class Service:
    """A running example, and what it said so far."""

    def __init__(self, process):
        self.process, self.lines = process, []
        self.url = asyncio.get_running_loop().create_future()
        self._readers = [
            asyncio.create_task(self._read(stream, kept))
            for stream, kept in ((process.stdout, []), (process.stderr, self.lines))
        ]

    async def _read(self, stream, kept):
        async for raw in stream:
            line = raw.decode().rstrip("\n")
            kept.append(line)
            if (found := re.search(r"http://127\.0\.0\.1:\d+", line)) and not self.url.done():
                self.url.set_result(found[0])

    async def ended(self):
        status = await self.process.wait()
        await asyncio.gather(*self._readers)
        return status


@asynccontextmanager
async def running(name, emulator, sync_id, mirror):
    named = {"SYNC": sync_id, "PARAGON_USER": "user-1", "MIRROR": str(mirror), "SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "always::ResourceWarning", EXAMPLES / name),
        env=os.environ | emulator.environ | named | {"PORT": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    service = Service(process)
    try:
        done = asyncio.ensure_future(service.ended())
        await asyncio.wait([done, service.url], return_when=asyncio.FIRST_COMPLETED)
        assert not done.done(), service.lines
        yield service
    finally:
        if process.returncode is None:
            process.kill()
        await done


async def until(holds):
    """Look again and again; a service that sleeps for an hour never makes it true."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # it is another process that makes it true
            await asyncio.sleep(0.02)


def contents(folder):
    """Return what all files hold; None when one went away while it was being looked at."""
    try:
        return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:
        return None


@pytest.mark.parametrize(("name", "status"), SERVICES)
async def test_an_example_mirrors_what_is_saved_and_deleted_until_it_is_ended(
    emulator, folder, sync_id, tmp_path, name, status
):
    """A saved file is in the mirror and a deleted one leaves it, by events alone; SIGTERM ends it."""
    mirror = tmp_path / "mirror"
    same = lambda: contents(mirror / "files") == contents(folder)  # noqa: E731  # short
    async with running(name, emulator, sync_id, mirror) as service:
        emulator.world.hooks.configure(f"{await service.url}/hooks/webhook/{SECRET}")
        await emulator.world.deliverer.settle()
        await until(same)
        (folder / "new.txt").write_text("it was saved a moment ago")
        await emulator.refresh()
        await until(same)
        (folder / "hello.txt").unlink()
        await emulator.refresh()
        await until(same)
        emulator.world.hooks.remove()
        service.process.send_signal(signal.SIGTERM)
        assert await service.ended() == status
    assert [line for line in service.lines if not LOG_LINE.fullmatch(line)] == []
    assert not [line for line in service.lines if SECRET in line]


@pytest.mark.parametrize(("name", "status"), SERVICES)
async def test_an_example_ends_when_there_is_nothing_it_could_mirror(
    emulator, sync_id, tmp_path, name, status
):
    """A sync that does not exist ends the service, and its log says why."""
    async with running(name, emulator, "no-such-sync", tmp_path / "mirror") as service:
        assert await service.ended() in {1, status, -signal.SIGTERM}
    assert any("no-such-sync" in line for line in service.lines)
