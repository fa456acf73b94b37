"""What all tests share: one signing key, a small folder, an emulator over it, a client of it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from paragon_async import Paragon
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from tests.canary import Watch, learn_key

PROJECT = "6a8f3c0e-1f7d-4a58-9a6e-0f6b6c1d2e3f"


def pytest_configure(config):
    watch = Watch(config)
    watch.begin()
    config.pluginmanager.register(watch, "canaries")


@pytest.fixture(scope="session")
def signing_key():
    return learn_key(new_signing_key())


@pytest.fixture
def folder(tmp_path):
    """A drive: files at two depths, an empty one, an empty folder, names with accents."""
    root = tmp_path / "drive"
    (root / "reports" / "2025").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "hello.txt").write_text("hello")
    (root / "zero.bin").write_bytes(b"")
    (root / "reports" / "Überblick.pdf").write_bytes(b"%PDF" + bytes(range(256)) * 40)
    (root / "reports" / "2025" / "large.bin").write_bytes(bytes(range(251)) * 15_000)
    return root


@pytest.fixture
async def emulator(folder, signing_key):
    options = {"project_id": PROJECT, "signing_key": signing_key, "settle": 0, "rescan": 0}
    async with Emulator(folder, **options) as running:
        yield running


@pytest.fixture
async def paragon(emulator):
    async with Paragon(
        project_id=emulator.project_id, signing_key=emulator.signing_key, base_url=emulator.url
    ) as client:
        yield client


@pytest.fixture
def user(paragon):
    return paragon.user("user-1")


@pytest.fixture
async def sync_id(user):
    sync = await user.syncs.enable("googledrive", "files")
    await user.syncs.wait_until_idle(sync.id, timeout=10)
    return sync.id


@pytest.fixture
async def nothing_left():
    """After the test: no task but its own, nothing for the garbage collector to complain of."""
    before = asyncio.all_tasks()
    yield
    gc.collect()
    await asyncio.sleep(0.01)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left
